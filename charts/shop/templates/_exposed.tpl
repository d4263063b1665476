{{- /* A route to a service that does not exist, or that the NetworkPolicies block, would only show as time-outs. */ -}}
{{- define "shop.exposed" -}}
{{- if not (hasKey .services .service) -}}
{{- fail (printf "%s names the service %s, which is not among the services that run" .by .service) -}}
{{- end -}}
{{- if not (get .services .service).exposed -}}
{{- fail (printf "%s names the service %s: set services.%s.exposed, which opens its NetworkPolicy" .by .service .service) -}}
{{- end -}}
{{- end -}}
