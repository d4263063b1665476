{{- /* Which Secret is meant: one that exists already, or one of the chart's. Values name Secrets of `secrets` by their key. */ -}}

{{- /* (dict "root" $ "secret" "tokens") */ -}}
{{- define "shop.secret.settings" -}}
{{- $secret := get .root.Values.secrets .secret | required (printf "secrets.%s must be set: a service names it" .secret) -}}
{{- toJson $secret -}}
{{- end -}}

{{- /* Whether there is anything in it. */ -}}
{{- define "shop.secret.isGiven" -}}
{{- $secret := include "shop.secret.settings" . | fromJson -}}
{{- $given := not (empty $secret.existingSecret) -}}
{{- range $key, $content := $secret.keys -}}
{{- if or $content.value $content.generate -}}{{- $given = true -}}{{- end -}}
{{- end -}}
{{- $given -}}
{{- end -}}

{{- define "shop.secret.name" -}}
{{- $secret := include "shop.secret.settings" . | fromJson -}}
{{- $secret.existingSecret | default (printf "%s-%s" (include "shop.fullname" .root) .secret) -}}
{{- end -}}

{{- /*
What a pod's checksum says of the Secrets that it names (dict "root" $ "names" (list …) "given" …): it changes when the values do, `given`
being those of its own, and when a Secret that somebody else keeps has changed since the last upgrade. Those of the chart are given by the values, or never change by themselves,
and a look-up of what the first install is only about to make would roll every pod at the second.
*/ -}}
{{- define "shop.secret.checksum" -}}
{{- $seen := dict -}}
{{- $root := .root -}}
{{- range .names -}}
{{- $found := lookup "v1" "Secret" $root.Release.Namespace . -}}
{{- $annotations := dig "metadata" "annotations" dict $found | default dict -}}
{{- if and $found (ne (get $annotations "meta.helm.sh/release-name") $root.Release.Name) -}}
{{- $_ := set $seen . $found.data -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "names" .names "found" $seen "given" .given) | sha256sum -}}
{{- end -}}

{{- /* Secrets that a pod's variables name beside those of `secrets` and the backing services', in JSON; (dict "root" $ "settings" …). */ -}}
{{- define "shop.namedSecrets" -}}
{{- $names := list -}}
{{- with .root.Values.telemetry.otlp.headersSecret.name -}}
{{- $names = append $names . -}}
{{- end -}}
{{- range .settings.extraEnv -}}
{{- with dig "valueFrom" "secretKeyRef" "name" "" . -}}
{{- $names = append $names . -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{- /* The backing services' addresses: {"name": …, "key": …} of a Secret; `own` goes before the release's. */ -}}

{{- define "shop.database.secret" -}}
{{- $all := .root.Values.database.secret -}}
{{- if .root.Values.devInfra.enabled -}}
{{- $all = dict "name" (printf "%s-postgres" (include "shop.fullname" .root)) "key" "uri" -}}
{{- end -}}
{{- include "shop.secretRef" (dict "all" $all "own" .own) -}}
{{- end -}}

{{- define "shop.redis.secret" -}}
{{- $all := .root.Values.redis.secret -}}
{{- if .root.Values.devInfra.enabled -}}
{{- $all = dict "name" (printf "%s-redis" (include "shop.fullname" .root)) "key" "url" -}}
{{- end -}}
{{- include "shop.secretRef" (dict "all" $all "own" .own) -}}
{{- end -}}

{{- define "shop.broker.secret" -}}
{{- $all := .root.Values.broker.secret -}}
{{- if .root.Values.devInfra.enabled -}}
{{- $all = dict "name" (printf "%s-rabbitmq" (include "shop.fullname" .root)) "key" "connection_string" -}}
{{- end -}}
{{- include "shop.secretRef" (dict "all" $all "own" .own) -}}
{{- end -}}

{{- define "shop.secretRef" -}}
{{- $own := .own | default dict -}}
{{- toJson (dict "name" ($own.name | default .all.name) "key" ($own.key | default .all.key)) -}}
{{- end -}}
