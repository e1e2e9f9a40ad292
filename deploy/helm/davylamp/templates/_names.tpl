{{- define "davylamp.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The release's name, unless it would say davylamp twice. Cut to leave room
for the longest suffix of an object's name. */}}
{{- define "davylamp.fullname" -}}
{{- $name := include "davylamp.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "davylamp.selectorLabels" -}}
app.kubernetes.io/name: {{ include "davylamp.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "davylamp.labels" -}}
{{ include "davylamp.selectorLabels" . }}
app.kubernetes.io/component: guard
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "davylamp.image" -}}
{{- $repository := required "image.repository is empty: build the image (podman build -f deploy/container/Containerfile .), push it to your registry and pass --set image.repository=REGISTRY/davylamp" .Values.image.repository }}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}
