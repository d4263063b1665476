{{- define "shop.controller.settings" -}}
{{- toJson (mergeOverwrite (deepCopy .Values.serviceDefaults) (deepCopy .Values.controller)) -}}
{{- end -}}

{{- define "shop.controller.env" -}}
{{- $variables := include "shop.telemetry" . | fromJson -}}
{{- $lease := .Values.controller.lease -}}
{{- if or (le (int $lease.durationSeconds) (int $lease.renewDeadlineSeconds)) (le (mul 10 $lease.renewDeadlineSeconds) (mul 12 $lease.retryPeriodSeconds)) -}}
{{- fail "controller.lease: durationSeconds must be more than renewDeadlineSeconds, which must be more than 1.2 times retryPeriodSeconds" -}}
{{- end -}}
{{- $_ := set $variables "OUTBOX_LISTEN" "[::]:8081" -}}
{{- $_ := set $variables "OUTBOX_LEASE_SECONDS" ($lease.durationSeconds | toString) -}}
{{- $_ := set $variables "OUTBOX_RENEW_DEADLINE_SECONDS" ($lease.renewDeadlineSeconds | toString) -}}
{{- $_ := set $variables "OUTBOX_RETRY_PERIOD_SECONDS" ($lease.retryPeriodSeconds | toString) -}}
{{- toJson (mergeOverwrite $variables (include "shop.controller.settings" . | fromJson).env) -}}
{{- end -}}

{{- /*
The queues that a publisher waits for, in JSON: (dict "root" $ "publisher" …). A service's queue has the service's name. Nobody declares that of a
service that does not run, so a publisher that waited for it would never publish anything.
*/ -}}
{{- define "shop.requiredQueues" -}}
{{- $services := include "shop.services" .root | fromJson -}}
{{- $ours := concat (keys .root.Values.services) (list "catalog" "order" "payment" "notification") -}}
{{- $queues := list -}}
{{- range .publisher.requiredQueues -}}
{{- if or (hasKey $services .) (not (has . $ours)) -}}
{{- $queues = append $queues . -}}
{{- end -}}
{{- end -}}
{{- toJson $queues -}}
{{- end -}}

{{- /* The Secrets that the controller may read: those named by the release's OutboxPublishers, and controller.secretNames. */ -}}
{{- define "shop.controller.secretNames" -}}
{{- $names := .Values.controller.secretNames -}}
{{- range $publisher := .Values.outboxPublishers -}}
{{- if $publisher -}}
{{- $names = append $names (include "shop.database.secret" (dict "root" $ "own" (dig "database" "secret" dict $publisher)) | fromJson).name -}}
{{- $names = append $names (include "shop.broker.secret" (dict "root" $ "own" (dig "broker" "secret" dict $publisher)) | fromJson).name -}}
{{- end -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end -}}
