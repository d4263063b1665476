{{- /* Names and labels. */ -}}

{{- /*
A name that every API accepts. Service names must begin with a letter and contain no dots, but release names need not follow that: `2024-shop`
becomes shop-2024-shop, and `my.shop` becomes my-shop. At most 40 characters, so that a component's name can be appended within a label's 63.
*/ -}}
{{- define "shop.asName" -}}
{{- $name := . | replace "." "-" -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- $name = printf "shop-%s" $name -}}
{{- end -}}
{{- $name | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "shop.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "shop.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- include "shop.asName" .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "shop.name" . -}}
{{- contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | include "shop.asName" -}}
{{- end -}}
{{- end -}}

{{- /*
Names and labels are written by toYaml or quote, never bare: a release may be called 123, true or 1e3, which YAML does not read as
a string.
*/ -}}

{{- /* Labels that never change during a release's life: selectors are immutable. */ -}}
{{- define "shop.releaseLabels" -}}
{{- dict "app.kubernetes.io/name" (include "shop.name" .) "app.kubernetes.io/instance" .Release.Name | toYaml -}}
{{- end -}}

{{- /* (dict "root" $ "component" "auth") */ -}}
{{- define "shop.selectorLabels" -}}
{{- merge (dict "app.kubernetes.io/component" .component) (include "shop.releaseLabels" .root | fromYaml) | toYaml -}}
{{- end -}}

{{- /*
Labels added by the values, as strings; (dict "labels" .Values.commonLabels "what" "commonLabels"). Labels by which selectors find pods,
or Helm its objects, are refused: overriding them would create objects that nothing finds, or that Helm does not recognise as its own.
*/ -}}
{{- define "shop.addedLabels" -}}
{{- range $label, $_ := .labels -}}
{{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by") -}}
{{- fail (printf "%s must not set %s: selectors and Helm go by it" $.what $label) -}}
{{- end -}}
{{- end -}}
{{- include "shop.strings" .labels -}}
{{- end -}}

{{- /* A dictionary whose values are all strings. YAML reads whole numbers as floats, which would be printed as 1e+06. */ -}}
{{- define "shop.strings" -}}
{{- $strings := dict -}}
{{- range $name, $value := . -}}
{{- $_ := set $strings $name (kindIs "float64" $value | ternary (printf "%.0f" $value) (toString $value)) -}}
{{- end -}}
{{- toYaml $strings -}}
{{- end -}}

{{- /* The labels of an object: (dict "root" $ "component" "auth"); `labels` take precedence over all others. */ -}}
{{- define "shop.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- $labels := dict "app.kubernetes.io/managed-by" .root.Release.Service "helm.sh/chart" $chart -}}
{{- $added := include "shop.strings" (.labels | default dict) | fromYaml -}}
{{- mergeOverwrite $labels (include "shop.podLabels" (pick . "root" "component") | fromYaml) $added | toYaml -}}
{{- end -}}

{{- /*
The labels of pods, without the chart's version, which would roll them although nothing of theirs has changed. (dict "root" $ "component" "auth"), and
`settings` with podLabels.
*/ -}}
{{- define "shop.podLabels" -}}
{{- $version := .root.Chart.AppVersion | toString | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- $labels := dict "app.kubernetes.io/part-of" "shop" "app.kubernetes.io/version" $version -}}
{{- $common := include "shop.addedLabels" (dict "labels" .root.Values.commonLabels "what" "commonLabels") | fromYaml -}}
{{- $own := include "shop.addedLabels" (dict "labels" (dig "podLabels" dict (.settings | default dict)) "what" (printf "podLabels of %s" .component)) | fromYaml -}}
{{- mergeOverwrite $labels $common $own (include "shop.selectorLabels" . | fromYaml) | toYaml -}}
{{- end -}}

{{- /* (dict "given" the values' annotations "own" the chart's): the chart's checksums must not be replaced. */ -}}
{{- define "shop.annotations" -}}
{{- $own := .own -}}
{{- range $name, $_ := .given -}}
{{- if and (hasPrefix "checksum/" $name) (hasKey $own $name) -}}
{{- fail (printf "podAnnotations must not set %s: by it pods roll when what they read has changed" $name) -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite (deepCopy $own) (include "shop.strings" .given | fromYaml) | toYaml -}}
{{- end -}}

{{- /* (dict "root" $ "image" .image "name" "services.auth.image"): registry/repository:tag, or @digest, which takes precedence. */ -}}
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

{{- /* The services that run, each merged over the defaults, as JSON: ($services := include … | fromJson). */ -}}
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

{{- /*
Whether this rendering has access to the cluster; `helm template` has not. Helm stores its releases as Secrets, so whoever may install may
also list them.
*/ -}}
{{- define "shop.seesCluster" -}}
{{- not (empty (lookup "v1" "Secret" .Release.Namespace "")) -}}
{{- end -}}

{{- /* (dict "root" $ "service" "catalog"): the address of a service of this release, for the others. */ -}}
{{- define "shop.serviceUrl" -}}
{{- printf "http://%s-%s" (include "shop.fullname" .root) .service -}}
{{- end -}}
