{{- define "console.fullname" -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) }}
{{- $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "console.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "console.labels" -}}
{{ include "console.selectorLabels" . }}
app.kubernetes.io/component: console
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "console.image" -}}
{{- $repository := required "image.repository is empty: build the image (podman build -f deploy/container/Containerfile .), push it to your registry and pass --set image.repository=REGISTRY/davylamp" .Values.image.repository }}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* The address by which people reach it. */}}
{{- define "console.url" -}}
{{- if .Values.url -}}
{{ .Values.url }}
{{- else if .Values.ingress.enabled -}}
https://{{ .Values.ingress.host }}
{{- end }}
{{- end }}

{{- /* Values that do not go together. */}}
{{- define "console.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.database.url) }}
{{- fail "replicas: SQLite has one console; name a PostgreSQL in database.url for more" }}
{{- end }}
{{- if and .Values.metrics.enabled (not .Values.metrics.tokenSecret.name) }}
{{- fail "metrics.tokenSecret.name is empty: metrics are read by whoever has the token, so name the Secret with it" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "metrics.serviceMonitor.enabled wants metrics.enabled" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host is empty: name the host by which people reach the console" }}
{{- end }}
{{- end }}
