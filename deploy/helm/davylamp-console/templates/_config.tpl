{{- /* One TOML table from a map, its subtables after it. A JSON string, integer,
boolean or array of them is also TOML. */}}
{{- define "console.tomlTable" -}}
[{{ .name }}]
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- $name := .name }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}

{{ include "console.tomlTable" (dict "name" (printf "%s.%s" $name $key) "table" $value) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* davy.toml: what the chart decides, and the rest of the values. */}}
{{- define "console.config" -}}
{{- $wired := dict "listen" "0.0.0.0:7878" "url" (include "console.url" .) "daily" (dict "scratch" "/scratch") }}
{{- if .Values.database.url }}
{{- $wired = set $wired "database" .Values.database.url }}
{{- if .Values.database.passwordSecret.name }}
{{- $wired = set $wired "database_password_file" (printf "/etc/davylamp/database/%s" .Values.database.passwordSecret.key) }}
{{- end }}
{{- else }}
{{- $wired = set $wired "database" "sqlite:///var/lib/davylamp/console/ledger.db" }}
{{- end }}
{{- if .Values.tls.secret }}
{{- $wired = merge $wired (dict "tls_certificate_file" "/etc/davylamp/tls/tls.crt" "tls_key_file" "/etc/davylamp/tls/tls.key") }}
{{- else }}
{{- $wired = set $wired "behind_proxy" true }}
{{- end }}
{{- if .Values.metrics.enabled }}
{{- $wired = set $wired "metrics" (dict "listen" (printf "0.0.0.0:%v" .Values.metrics.port) "token_file" (printf "/etc/davylamp/metrics/%s" .Values.metrics.tokenSecret.key)) }}
{{- end }}
{{- include "console.tomlTable" (dict "name" "console" "table" (merge $wired (deepCopy .Values.config))) }}
{{- end }}
