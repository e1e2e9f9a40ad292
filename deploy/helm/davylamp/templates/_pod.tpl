{{- define "davylamp.securityContext" -}}
runAsUser: 0
runAsGroup: 0
readOnlyRootFilesystem: true
{{- if .Values.privileged }}
privileged: true
{{- else }}
privileged: false
{{- /* The API server refuses false beside SYS_ADMIN: that capability can always
get more. */}}
allowPrivilegeEscalation: {{ has "SYS_ADMIN" .Values.capabilities }}
capabilities:
  drop: [ALL]
  add:
    {{- toYaml .Values.capabilities | nindent 4 }}
{{- with .Values.seccompProfile }}
seccompProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version }}
{{- with .Values.appArmorProfile }}
appArmorProfile:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The profile as clusters before 1.30 spell it, in an annotation. */}}
{{- define "davylamp.appArmorAnnotation" -}}
{{- if eq .type "Localhost" -}}
localhost/{{ .localhostProfile }}
{{- else -}}
{{ ternary "unconfined" "runtime/default" (eq .type "Unconfined") }}
{{- end }}
{{- end }}

{{- /* What to mount for the runtimes' sockets, as a JSON array of {volume, path,
type}: the directory each socket is in, once. A socket directly in /run is
mounted alone, for /run holds everybody's. A directory that a node lacks is made:
a node with another runtime must be guarded all the same. */}}
{{- define "davylamp.runtimeMounts" -}}
{{- $paths := list }}
{{- $mounts := list }}
{{- range concat (.Values.containers.criSockets | default list) (.Values.containers.dockerSockets | default list) }}
  {{- $shared := has (dir .) (list "/run" "/var/run") }}
  {{- $path := ternary . (dir .) $shared }}
  {{- if not (has $path $paths) }}
    {{- $mounts = append $mounts (dict "volume" (printf "runtime-%d" (len $paths)) "path" $path "type" (ternary "Socket" "DirectoryOrCreate" $shared)) }}
    {{- $paths = append $paths $path }}
  {{- end }}
{{- end }}
{{- toJson $mounts }}
{{- end }}
