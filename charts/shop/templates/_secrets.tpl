{{- /* Which Secret to use: an existing one, or one of the chart's. Values refer to entries of `secrets` by their key. */ -}}

{{- /* (dict "root" $ "secret" "tokens") */ -}}
{{- define "shop.secret.settings" -}}
{{- $secret := get .root.Values.secrets .secret | required (printf "secrets.%s must be set: a service names it" .secret) -}}
{{- toJson $secret -}}
{{- end -}}

{{- /* Whether it has a value. */ -}}
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
The checksum annotation of a pod for the Secrets that it uses; (dict "root" $ "names" (list …) "given" …). It changes when the values change (`given`
are those of its own Secrets), and when a Secret that the chart does not manage has changed since the last upgrade. The chart's own Secrets are covered by
the values, or never change by themselves; looking them up would roll every pod at the second upgrade, because the first install has yet to create them.
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

{{- /* Secrets that a pod's variables use besides those of `secrets` and the backing services', in JSON; (dict "root" $ "settings" …). */ -}}
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

{{- /* The backing services' addresses: {"name": …, "key": …} of a Secret; `own` takes precedence over the release's. */ -}}

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

{{- define "shop.mail.secret" -}}
{{- $all := .root.Values.mail.secret -}}
{{- if .root.Values.devInfra.enabled -}}
{{- $all = dict "name" (printf "%s-mailpit" (include "shop.fullname" .root)) "key" "url" -}}
{{- end -}}
{{- include "shop.secretRef" (dict "all" $all "own" .own) -}}
{{- end -}}

{{- define "shop.secretRef" -}}
{{- $own := .own | default dict -}}
{{- toJson (dict "name" ($own.name | default .all.name) "key" ($own.key | default .all.key)) -}}
{{- end -}}
