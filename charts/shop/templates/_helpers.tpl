{{- /* Names and labels. */ -}}

{{- define "shop.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters at most, so that a component's name fits behind it into a label's 63. */ -}}
{{- define "shop.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "shop.name" . -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What never changes in the life of a release: selectors are immutable. */ -}}
{{- define "shop.releaseLabels" -}}
app.kubernetes.io/name: {{ include "shop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* (dict "root" $ "component" "auth") */ -}}
{{- define "shop.selectorLabels" -}}
{{ include "shop.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* (dict "root" $ "component" "auth") */ -}}
{{- define "shop.labels" -}}
{{ include "shop.selectorLabels" . }}
app.kubernetes.io/part-of: shop
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* (dict "root" $ "image" .image "name" "services.auth.image"): registry/repository:tag, or @digest, which wins. */ -}}
{{- define "shop.image" -}}
{{- $all := .root.Values.image -}}
{{- $repository := required (printf "%s.repository must be set" .name) .image.repository -}}
{{- with .image.registry | default $all.registry -}}
{{- $repository = printf "%s/%s" . $repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default $all.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* Of pods: not the chart's version, with which they would roll when nothing of theirs has changed. */ -}}
{{- define "shop.podLabels" -}}
{{ include "shop.selectorLabels" . }}
app.kubernetes.io/part-of: shop
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The services that run, each with the defaults beneath it, as JSON: ($services := include … | fromJson). */ -}}
{{- define "shop.services" -}}
{{- $services := dict -}}
{{- range $name, $own := .Values.services -}}
{{- $service := mergeOverwrite (deepCopy $.Values.serviceDefaults) (deepCopy $own) -}}
{{- $runs := $service.enabled -}}
{{- with $service.onlyWithSecret -}}
{{- $runs = and $runs (eq "true" (include "shop.secret.isGiven" (dict "root" $ "secret" .))) -}}
{{- end -}}
{{- if $runs -}}
{{- $_ := set $services $name $service -}}
{{- end -}}
{{- end -}}
{{- toJson $services -}}
{{- end -}}

{{- /* (dict "root" $ "service" "catalog"): where a service of this release is, for the others. */ -}}
{{- define "shop.serviceUrl" -}}
{{- printf "http://%s-%s" (include "shop.fullname" .root) .service -}}
{{- end -}}
