{{- /*
The number of replicas for an upgrade, which must not remove pods that the load needs; (dict "root" $ "component" "auth" "settings" $service).

With an autoscaler it is the current number in the cluster, from which the autoscaler continues, and at least minReplicas. Without a number, a new Deployment
would start with one pod, and an existing one would drop to one because the previous release's number is removed. Without access to a cluster it is minReplicas.
The upgrade that turns the autoscaler off keeps at least minReplicas; the next one uses `replicas`.
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
