{{- /* How an HTTP service's process is configured. `service` is a service's settings merged over serviceDefaults. */ -}}

{{- /*
The service's ports by name, as a dictionary in JSON: `http` for requests, and `probes` for kubelet and Prometheus. A service without a
variable for the latter serves probes on `http` too.
*/ -}}
{{- define "shop.service.ports" -}}
{{- $ports := dict -}}
{{- if .variables.probes -}}
{{- $_ := set $ports "probes" 9000 -}}
{{- end -}}
{{- if or .variables.listen (not .variables.probes) -}}
{{- $_ := set $ports "http" 8000 -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{- /* The port for kubelet and Prometheus. */ -}}
{{- define "shop.service.probesPort" -}}
{{- $ports := include "shop.service.ports" . | fromJson -}}
{{- $ports.probes | default $ports.http -}}
{{- end -}}

{{- /* The plain variables, as a dictionary in JSON: (dict "root" $ "name" "auth" "service" $service). */ -}}
{{- define "shop.service.env" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $variables := include "shop.telemetry" $root | fromJson -}}
{{- $ports := include "shop.service.ports" $service | fromJson -}}
{{- with $service.variables.listen -}}
{{- $_ := set $variables . (printf "[::]:%v" $ports.http) -}}
{{- end -}}
{{- with $service.variables.probes -}}
{{- $_ := set $variables . (printf "[::]:%v" $ports.probes) -}}
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

{{- /* The variables from entries of `secrets`: {VARIABLE: {secret, key, optional}}, in JSON. */ -}}
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
{{- range $variable, $from := $service.secretEnv -}}
{{- if or (not $from.optional) (eq "true" (include "shop.secret.isGiven" (dict "root" $root "secret" $from.secret))) -}}
{{- $_ := set $variables $variable $from -}}
{{- end -}}
{{- end -}}
{{- toJson $variables -}}
{{- end -}}

{{- /* All variables from Secrets: {VARIABLE: {name, key, optional, file}}, in JSON; with `file`, the variable names a mounted file. */ -}}
{{- define "shop.service.secretRefs" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $refs := dict -}}
{{- with $service.variables.database -}}
{{- $ref := include "shop.database.secret" (dict "root" $root "own" $service.database.secret) | fromJson -}}
{{- if $service.database.file -}}
{{- $_ := set $ref "file" "/run/secrets/database/url" -}}
{{- end -}}
{{- $_ := set $refs . $ref -}}
{{- end -}}
{{- with $service.variables.redis -}}
{{- $_ := set $refs . (include "shop.redis.secret" (dict "root" $root "own" $service.redis.secret) | fromJson) -}}
{{- end -}}
{{- with $service.variables.broker -}}
{{- $_ := set $refs . (include "shop.broker.secret" (dict "root" $root "own" $service.broker.secret) | fromJson) -}}
{{- end -}}
{{- with $service.variables.mail -}}
{{- $_ := set $refs . (include "shop.mail.secret" (dict "root" $root "own" $service.mail.secret) | fromJson) -}}
{{- end -}}
{{- range $variable, $from := (include "shop.service.secretEnv" . | fromJson) -}}
{{- $name := include "shop.secret.name" (dict "root" $root "secret" $from.secret) -}}
{{- $_ := set $refs $variable (dict "name" $name "key" $from.key "optional" ($from.optional | default false)) -}}
{{- end -}}
{{- toJson $refs -}}
{{- end -}}

{{- /* Whether it may call addresses outside the cluster. */ -}}
{{- define "shop.service.internet" -}}
{{- $internet := .service.internet -}}
{{- with .service.internetWithSecret -}}
{{- $internet = or $internet (eq "true" (include "shop.secret.isGiven" (dict "root" $.root "secret" .))) -}}
{{- end -}}
{{- $internet -}}
{{- end -}}

{{- /* Lists in JSON. A directory is mounted, not a single file by subPath, which would never be updated in a running pod. */ -}}
{{- define "shop.service.volumes" -}}
{{- $volumes := list -}}
{{- range (include "shop.service.secretRefs" . | fromJson) -}}
{{- if .file -}}
{{- $items := list (dict "key" .key "path" (base .file)) -}}
{{- $volumes = append $volumes (dict "name" "database-url" "secret" (dict "secretName" .name "items" $items)) -}}
{{- end -}}
{{- end -}}
{{- concat $volumes (.service.extraVolumes | default list) | toJson -}}
{{- end -}}

{{- define "shop.service.volumeMounts" -}}
{{- $mounts := list -}}
{{- range (include "shop.service.secretRefs" . | fromJson) -}}
{{- if .file -}}
{{- $mounts = append $mounts (dict "name" "database-url" "mountPath" (dir .file) "readOnly" true) -}}
{{- end -}}
{{- end -}}
{{- concat $mounts (.service.extraVolumeMounts | default list) | toJson -}}
{{- end -}}

{{- /*
What makes its pods roll, besides plain variables: the values of the chart's Secrets, and the content of Secrets managed elsewhere.
*/ -}}
{{- define "shop.service.secretChecksum" -}}
{{- $root := .root -}}
{{- $given := dict -}}
{{- range (include "shop.service.secretEnv" . | fromJson) -}}
{{- $_ := set $given .secret (get $root.Values.secrets .secret) -}}
{{- end -}}
{{- if and $root.Values.devInfra.enabled (or .service.variables.database .service.variables.broker) -}}
{{- $_ := set $given "devInfra" $root.Values.devInfra.password -}}
{{- end -}}
{{- $names := include "shop.namedSecrets" (dict "root" $root "settings" .service) | fromJsonArray -}}
{{- range (include "shop.service.secretRefs" . | fromJson) -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- include "shop.secret.checksum" (dict "root" $root "names" ($names | uniq | sortAlpha) "given" $given) -}}
{{- end -}}
