{{- /*
How many pods, by an upgrade that must not take any of those that the load needs; (dict "root" $ "component" "auth" "settings" $service).

With an autoscaler it is what the cluster has, which the autoscaler goes on from, and at least minReplicas. A Deployment that said nothing
would begin with one, and drop to one when the number of the release before is withdrawn. Where no cluster is seen it is minReplicas.
The upgrade that turns the autoscaler off leaves minReplicas at least; the next one is free.
*/ -}}
{{- define "shop.service.replicas" -}}
{{- $name := printf "%s-%s" (include "shop.fullname" .root) .component -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $given := int .settings.replicas -}}
{{- $live := dig "spec" "replicas" 0 (lookup "apps/v1" "Deployment" $namespace $name | default dict) | int -}}
{{- if .settings.autoscaling.enabled -}}
{{- max (int .settings.autoscaling.minReplicas) $live -}}
{{- else if and $given (gt $live $given) -}}
{{- $autoscaler := lookup "autoscaling/v1" "HorizontalPodAutoscaler" $namespace $name | default dict -}}
{{- max $given (dig "spec" "minReplicas" 0 $autoscaler | int) -}}
{{- else -}}
{{- $given -}}
{{- end -}}
{{- end -}}
