{{- /* Shared parts of the development backends. */ -}}

{{- define "shop.dev.image" -}}
{{- /* Official images, so image.registry, which is where the shop's own are, does not apply. */ -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository .tag -}}
{{- end -}}
{{- end -}}

{{- /* (dict "root" $ "component" "postgres" "ports" (dict "postgres" 5432)) */ -}}
{{- define "shop.dev.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "shop.fullname" .root }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  type: {{ .type | default "ClusterIP" }}
  {{- with .root.Values.serviceDefaults.service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  selector:
    {{- include "shop.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name | quote }}
      port: {{ $port }}
      targetPort: {{ $name }}
      protocol: TCP
      {{- with get ($.nodePorts | default dict) $name }}
      nodePort: {{ . }}
      {{- end }}
    {{- end }}
{{- end -}}

{{- /* A StatefulSet, from its head down to the pod's containers; (dict "root" $ "component" "postgres"). */ -}}
{{- define "shop.dev.statefulSet" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "shop.fullname" .root }}-{{ .component }}
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  serviceName: {{ include "shop.fullname" .root }}-{{ .component }}
  replicas: 1
  {{- if .root.Values.devInfra.storage }}
  # The password's Secret is deleted with the release, so the data must be, too.
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Delete
    whenScaled: Retain
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        resources:
          requests:
            storage: {{ .root.Values.devInfra.storage | quote }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "shop.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "shop.podLabels" . | nindent 8 }}
      {{- if ne .component "redis" }}
      annotations:
        checksum/password: {{ .root.Values.devInfra.password | sha256sum | quote }}
      {{- end }}
    spec:
      {{- include "shop.dev.pod" (merge (dict "uid" 999) .) | nindent 6 }}
{{- end -}}

{{- define "shop.dev.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  {{- include "shop.podSecurityContext" (dict "root" .root "uid" .uid "fsGroup" .uid) | nindent 2 }}
{{- include "shop.scheduling" (dict "root" .root "component" .component "settings" (omit .root.Values.serviceDefaults "topologySpreadConstraints")) }}
{{- end -}}

{{- /* Volumes: the data, unless it has a claim, and scratch space for a read-only root; (dict "root" $ "scratch" (list "tmp")). */ -}}
{{- define "shop.dev.volumes" -}}
volumes:
  {{- if not .root.Values.devInfra.storage }}
  - name: data
    emptyDir: {}
  {{- end }}
  {{- range .scratch }}
  - name: {{ . | quote }}
    emptyDir: {}
  {{- end }}
{{- end -}}
