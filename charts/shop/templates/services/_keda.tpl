{{- /*
KEDA's autoscaler; (dict "root" $ "component" "order" "settings" $service). KEDA makes a HorizontalPodAutoscaler from it, which gets the name of the one that
it takes the place of, and takes that over if it is still there.
*/ -}}
{{- define "shop.scaledObject" -}}
{{- $autoscaling := .settings.autoscaling -}}
{{- $keda := $autoscaling.keda -}}
{{- $name := printf "%s-%s" (include "shop.fullname" .root) .component -}}
{{- if $autoscaling.metrics -}}
{{- fail (printf "services.%s.autoscaling.metrics are the HorizontalPodAutoscaler's: KEDA has none" .component) -}}
{{- end -}}
{{- if and $keda.queue (not .settings.variables.broker) -}}
{{- fail (printf "services.%s.autoscaling.keda.queue needs services.%s.variables.broker, which names the broker's address" .component .component) -}}
{{- end -}}
{{- if not (or $keda.queue $autoscaling.targetCPU $autoscaling.targetCPUUtilizationPercentage) -}}
{{- fail (printf "services.%s.autoscaling: KEDA needs keda.queue, targetCPU or targetCPUUtilizationPercentage" .component) -}}
{{- end -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels:
    {{- include "shop.labels" (dict "root" .root "component" .component) | nindent 4 }}
  annotations:
    scaledobject.keda.sh/transfer-hpa-ownership: "true"
spec:
  scaleTargetRef:
    name: {{ $name }}
  minReplicaCount: {{ $autoscaling.minReplicas }}
  maxReplicaCount: {{ $autoscaling.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      name: {{ $name }}
      {{- with $autoscaling.behavior }}
      behavior:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  triggers:
    {{- with $keda.queue }}
    - type: rabbitmq
      metadata:
        protocol: amqp
        # The container's own variable, so KEDA reads the broker's address from the same Secret.
        hostFromEnv: {{ $.settings.variables.broker }}
        queueName: {{ . | quote }}
        mode: QueueLength
        value: {{ $keda.messages | int64 | toString | quote }}
    {{- end }}
    {{- with $autoscaling.targetCPU }}
    - type: cpu
      metricType: AverageValue
      metadata:
        value: {{ . | quote }}
    {{- end }}
    {{- with $autoscaling.targetCPUUtilizationPercentage }}
    - type: cpu
      metricType: Utilization
      metadata:
        value: {{ . | int64 | toString | quote }}
    {{- end }}
{{- end -}}
