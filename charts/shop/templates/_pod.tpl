{{- /* Shared parts of all pods of the chart. `settings` are those of a service or the controller, merged over serviceDefaults. */ -}}

{{- /*
The restricted profile of the Pod Security Standards: (dict "root" $), and "uid" and "fsGroup" if an image has its own user. A platform that
assigns user ids to each namespace, such as OpenShift, refuses all others.
*/ -}}
{{- define "shop.podSecurityContext" -}}
runAsNonRoot: true
{{- with .root.Values.podSecurity.runAsUser }}
{{- $uid := int64 ($.uid | default .) }}
runAsUser: {{ $uid }}
runAsGroup: {{ $uid }}
{{- with $.fsGroup }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "shop.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* (dict "root" $ "component" "auth" "settings" $service) */ -}}
{{- define "shop.scheduling" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- toYaml (list .) | nindent 2 }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- include "shop.selectorLabels" (dict "root" $.root "component" $.component) | nindent 8 }}
    {{- end }}
    {{- if not .matchLabelKeys }}
    # Counts the pods of this roll-out only; the old pods would skew the placement of the new ones.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Drops the rolling update settings for other strategies: the API refuses the combination. */ -}}
{{- define "shop.strategy" -}}
{{- $strategy := .strategy -}}
{{- if eq $strategy.type "Recreate" -}}
{{- $strategy = omit $strategy "rollingUpdate" -}}
{{- end -}}
strategy:
  {{- toYaml $strategy | nindent 2 }}
{{- end -}}

{{- /*
A process answers /livez once it listens, and /readyz depending on its dependencies; (dict "settings" … "port" "probes").
*/ -}}
{{- define "shop.probes" -}}
{{- with .settings.startupProbe }}
startupProbe:
  httpGet:
    path: /livez
    port: {{ $.port }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.livenessProbe }}
livenessProbe:
  httpGet:
    path: /livez
    port: {{ $.port }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.readinessProbe }}
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ $.port }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "shop.serviceAccountName" -}}
{{- .settings.serviceAccount.name | default (printf "%s-%s" (include "shop.fullname" .root) .component) -}}
{{- end -}}

{{- /* The settings of every process for logs and traces, as a dictionary in JSON. */ -}}
{{- define "shop.telemetry" -}}
{{- $telemetry := .Values.telemetry -}}
{{- $endpoint := $telemetry.otlp.endpoint -}}
{{- if and (not $endpoint) .Values.devInfra.enabled -}}
{{- $endpoint = printf "http://%s-jaeger:4318" (include "shop.fullname" .) -}}
{{- end -}}
{{- $variables := dict "RUST_LOG" $telemetry.log "LOG_FORMAT" $telemetry.logFormat -}}
{{- if $endpoint -}}
{{- $_ := set $variables "OTEL_EXPORTER_OTLP_ENDPOINT" $endpoint -}}
{{- end -}}
{{- toJson (mergeOverwrite $variables (deepCopy $telemetry.env)) -}}
{{- end -}}

{{- /* The pod's identity for its spans, and the collector's credentials. */ -}}
{{- define "shop.telemetryEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "service.namespace=%s,k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)" (include "shop.fullname" .) | quote }}
{{- with .Values.telemetry.otlp.headersSecret.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: {{ $.Values.telemetry.otlp.headersSecret.key | quote }}
{{- end }}
{{- end -}}

{{- /* (dict "root" $ "component" … "settings" …) */ -}}
{{- define "shop.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "shop.fullname" .root }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  # Not minAvailable: with a single replica, no node could ever be drained.
  maxUnavailable: {{ .settings.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready anyway may always be evicted.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "shop.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "shop.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "shop.serviceAccountName" . | quote }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
  {{- with .settings.serviceAccount.annotations }}
  annotations:
    {{- include "shop.strings" . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
