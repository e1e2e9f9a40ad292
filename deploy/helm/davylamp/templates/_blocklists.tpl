{{- /* The inline lists as one JSON object, list name to list. Both places a
cryptnono user may have them in are read; a list switched off there
(execwhacker.enabled: false, or a null list) is off here. */}}
{{- define "davylamp.lists" -}}
{{- $lists := dict }}
{{- $nested := (.Values.cryptnono | default dict).detectors }}
{{- range $detectors := list .Values.detectors $nested }}
  {{- $execwhacker := ($detectors | default dict).execwhacker | default dict }}
  {{- if ne "false" (toString $execwhacker.enabled) }}
    {{- range $name, $list := $execwhacker.configs }}
      {{- if $list }}
        {{- if hasKey $lists $name }}
          {{- fail (printf "the list %q is given both under detectors and under cryptnono.detectors: remove or rename one" $name) }}
        {{- end }}
        {{- $_ := set $lists $name $list }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- toJson $lists }}
{{- end }}

{{- /* The mounted lists as a JSON array of {volume, path, kind, object}. */}}
{{- define "davylamp.mountedLists" -}}
{{- $root := "/etc/davylamp/blocklists" }}
{{- $mounts := list }}
{{- if include "davylamp.lists" . | fromJson }}
  {{- $mounts = append $mounts (dict "volume" "lists" "path" (printf "%s/release" $root) "kind" .Values.blocklists.storeIn "object" (printf "%s-blocklists" (include "davylamp.fullname" .))) }}
{{- end }}
{{- range $index, $name := .Values.blocklists.existingSecrets }}
  {{- $mounts = append $mounts (dict "volume" (printf "secret-%d" $index) "path" (printf "%s/secret-%s" $root $name) "kind" "Secret" "object" $name) }}
{{- end }}
{{- range $index, $name := .Values.blocklists.existingConfigMaps }}
  {{- $mounts = append $mounts (dict "volume" (printf "configmap-%d" $index) "path" (printf "%s/configmap-%s" $root $name) "kind" "ConfigMap" "object" $name) }}
{{- end }}
{{- toJson $mounts }}
{{- end }}

{{- /* Every directory the guard reads lists from, as a JSON array. */}}
{{- define "davylamp.listPaths" -}}
{{- $paths := list }}
{{- if .Values.blocklists.default }}
  {{- $paths = append $paths "/usr/share/davylamp/blocklists" }}
{{- end }}
{{- range include "davylamp.mountedLists" . | fromJsonArray }}
  {{- $paths = append $paths .path }}
{{- end }}
{{- if not $paths }}
  {{- fail "there is no list to enforce: set blocklists.default=true, or give lists under detectors.execwhacker.configs, blocklists.existingSecrets or blocklists.existingConfigMaps" }}
{{- end }}
{{- toJson $paths }}
{{- end }}
