{{- /* One TOML table from a map, its subtables after it. A JSON string, integer,
boolean or array of them is also TOML, which is why toJson writes the values:
Helm's own toToml turns each integer into a float, and the guard would refuse it. */}}
{{- define "davylamp.tomlTable" -}}
[{{ .name }}]
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- $name := .name }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}

{{ include "davylamp.tomlTable" (dict "name" (printf "%s.%s" $name $key) "table" $value) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* davy.toml: the values' `guard` plus what the chart itself decides. The probes
come from the node, so the guard must listen beyond loopback; who else may
connect is for the network policy. */}}
{{- define "davylamp.config" -}}
{{- $metrics := dict "listen" (printf "%s:%v" .Values.metrics.address .Values.metrics.port) "allow_remote" true }}
{{- $containers := dict "cri_sockets" (.Values.containers.criSockets | default list) "docker_sockets" (.Values.containers.dockerSockets | default list) }}
{{- $lists := include "davylamp.listPaths" . | fromJsonArray }}
{{- $wired := dict "blocklists" $lists "metrics" $metrics "containers" $containers }}
{{- if .Values.forward.enabled }}
{{- $wired = set $wired "spool" (merge (dict "dir" "/var/lib/davylamp/spool") (deepCopy (.Values.forward.spool | default dict))) }}
{{- end }}
{{- include "davylamp.tomlTable" (dict "name" "guard" "table" (merge $wired (deepCopy .Values.guard))) }}
{{- if .Values.forward.enabled }}

{{ include "davylamp.tomlTable" (dict "name" "forward" "table" (.Values.forward.config | default dict)) }}
{{- end }}
{{- end }}
