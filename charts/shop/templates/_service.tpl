{{- /* What an HTTP service's process is told. `service` is a service's settings over serviceDefaults. */ -}}

{{- /* What is no secret, as a dictionary in JSON: (dict "root" $ "name" "auth" "service" $service). */ -}}
{{- define "shop.service.env" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $variables := include "shop.telemetry" $root | fromJson -}}
{{- with $service.variables.listen -}}
{{- $_ := set $variables . "0.0.0.0:8000" -}}
{{- end -}}
{{- if ne $service.tokens "none" -}}
{{- $_ := set $variables "AUTH_JWT_ALGORITHM" $root.Values.tokens.algorithm -}}
{{- end -}}
{{- if and (eq $service.tokens "sign") $root.Values.admin.email -}}
{{- $_ := set $variables "AUTH_ADMIN_EMAIL" $root.Values.admin.email -}}
{{- end -}}
{{- range $callee, $variable := $service.calls -}}
{{- $_ := set $variables $variable (include "shop.serviceUrl" (dict "root" $root "service" $callee)) -}}
{{- end -}}
{{- toJson (mergeOverwrite $variables (deepCopy $service.env)) -}}
{{- end -}}

{{- /* Its variables from Secrets of `secrets`: {VARIABLE: {secret, key, optional}}, in JSON. */ -}}
{{- define "shop.service.secretEnv" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $variables := dict -}}
{{- if ne $service.tokens "none" -}}
{{- if hasPrefix "HS" $root.Values.tokens.algorithm -}}
{{- $_ := set $variables "AUTH_JWT_SECRET" (dict "secret" "tokens" "key" "secret") -}}
{{- $_ := set $variables "AUTH_JWT_OTHER_SECRET" (dict "secret" "tokens" "key" "other-secret" "optional" true) -}}
{{- else if not $root.Values.secrets.tokens.existingSecret -}}
{{- fail (printf "secrets.tokens.existingSecret must name a Secret with private-key and public-key (PEM): the chart cannot make a pair of keys for tokens.algorithm %s" $root.Values.tokens.algorithm) -}}
{{- else if eq $service.tokens "sign" -}}
{{- $_ := set $variables "AUTH_JWT_PRIVATE_KEY" (dict "secret" "tokens" "key" "private-key") -}}
{{- else -}}
{{- $_ := set $variables "AUTH_JWT_PUBLIC_KEY" (dict "secret" "tokens" "key" "public-key") -}}
{{- end -}}
{{- if not (hasPrefix "HS" $root.Values.tokens.algorithm) -}}
{{- $_ := set $variables "AUTH_JWT_OTHER_PUBLIC_KEY" (dict "secret" "tokens" "key" "other-public-key" "optional" true) -}}
{{- end -}}
{{- if and (eq $service.tokens "sign") $root.Values.admin.email -}}
{{- $_ := set $variables "AUTH_ADMIN_PASSWORD" (dict "secret" "admin" "key" "password") -}}
{{- end -}}
{{- end -}}
{{- toJson (mergeOverwrite $variables (deepCopy $service.secretEnv)) -}}
{{- end -}}

{{- /* All of its variables from Secrets: {VARIABLE: {name, key, optional}}, in JSON. */ -}}
{{- define "shop.service.secretRefs" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $refs := dict -}}
{{- with $service.variables.database -}}
{{- $_ := set $refs . (include "shop.database.secret" (dict "root" $root "own" $service.database.secret) | fromJson) -}}
{{- end -}}
{{- with $service.variables.redis -}}
{{- $_ := set $refs . (include "shop.redis.secret" (dict "root" $root "own" $service.redis.secret) | fromJson) -}}
{{- end -}}
{{- with $service.variables.broker -}}
{{- $_ := set $refs . (include "shop.broker.secret" (dict "root" $root "own" $service.broker.secret) | fromJson) -}}
{{- end -}}
{{- range $variable, $from := (include "shop.service.secretEnv" . | fromJson) -}}
{{- $name := include "shop.secret.name" (dict "root" $root "secret" $from.secret) -}}
{{- $_ := set $refs $variable (dict "name" $name "key" $from.key "optional" ($from.optional | default false)) -}}
{{- end -}}
{{- toJson $refs -}}
{{- end -}}
