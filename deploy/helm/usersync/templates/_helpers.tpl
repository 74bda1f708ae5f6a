{{- define "usersync.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* Short enough that `-migrate` and `-metrics` fit behind it. */}}
{{- define "usersync.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "usersync.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "usersync.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "usersync.selectorLabels" -}}
app.kubernetes.io/name: {{ include "usersync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "usersync.labels" -}}
{{ include "usersync.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "usersync.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "usersync.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "usersync.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "usersync.databaseSecret" -}}
{{- if .root.Values.database.existingSecret -}}
{{ .root.Values.database.existingSecret }}
{{- else -}}
{{ include "usersync.fullname" .root }}{{ .suffix }}
{{- end -}}
{{- end }}

{{/* The container of the service and that of the migration differ in their command alone. `suffix` is of the names of what
     belongs to the migration, which must exist before everything else of the chart. */}}
{{- define "usersync.ownEnv" -}}
{{- $database := .root.Values.database -}}
{{- $secret := include "usersync.databaseSecret" . -}}
- name: USERSYNC_DATABASE__URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ if $database.existingSecret }}{{ $database.existingSecretKey }}{{ else }}url{{ end }}
{{- if and $database.existingSecret $database.existingSecretDirectKey }}
- name: USERSYNC_DATABASE__DIRECT_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $database.existingSecretDirectKey }}
{{- else if and (not $database.existingSecret) $database.directUrl }}
- name: USERSYNC_DATABASE__DIRECT_URL
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: direct-url
{{- end }}
- name: USERSYNC_DATABASE__MAX_CONNECTIONS
  value: {{ $database.maxConnections | quote }}
- name: USERSYNC_SERVER__LISTEN
  value: "[::]:8787"
- name: USERSYNC_SERVER__METRICS_LISTEN
  value: "[::]:{{ .root.Values.metrics.port }}"
{{- with .root.Values.trustedProxies }}
- name: USERSYNC_SERVER__TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
- name: USERSYNC_LOG__FORMAT
  value: {{ .root.Values.log.format }}
- name: USERSYNC_LOG__LEVEL
  value: {{ .root.Values.log.level | quote }}
{{- if .root.Values.config }}
- name: USERSYNC_CONFIG
  value: /etc/usersync/usersync.toml
{{- end }}
{{- end }}

{{- define "usersync.env" -}}
{{- include "usersync.ownEnv" . }}
{{- with .root.Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "usersync.envFrom" -}}
{{- range .Values.secrets }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- end }}

{{- define "usersync.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "usersync.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "usersync.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
# The image declares a volume here, for SQLite.
- name: data
  mountPath: /data
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- if .Values.config }}
- name: config
  mountPath: /etc/usersync
  readOnly: true
{{- end }}
{{- end }}

{{- define "usersync.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
- name: data
  emptyDir:
    sizeLimit: 256Mi
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- if .root.Values.config }}
- name: config
  configMap:
    name: {{ include "usersync.fullname" .root }}{{ .suffix }}
{{- end }}
{{- end }}

{{- define "usersync.check" -}}
{{- if and .Values.database.existingSecret .Values.database.url -}}
{{- fail "set database.existingSecret or database.url, not both" -}}
{{- end -}}
{{- if not (or .Values.database.existingSecret .Values.database.url) -}}
{{- fail "set database.existingSecret to the name of a secret with the URL of PostgreSQL, or database.url to the URL" -}}
{{- end -}}
{{- /* Of two variables of one name an upgrade keeps either, or fails: that depends on how Helm applies them. */ -}}
{{- $own := printf "%s\n" (include "usersync.ownEnv" (dict "root" . "suffix" "")) -}}
{{- range .Values.env -}}
{{- if contains (printf "- name: %s\n" .name) $own -}}
{{- fail (printf "env: the chart sets %s itself; set the value that it is made of" .name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "set ingress.hosts, or ingress.enabled to false" -}}
{{- end -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add .Values.stopDelaySeconds 40 | int) -}}
{{- fail "terminationGracePeriodSeconds must be at least stopDelaySeconds and 40 more" -}}
{{- end -}}
{{- end }}
