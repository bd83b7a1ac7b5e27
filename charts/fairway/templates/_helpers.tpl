{{- define "fairway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "fairway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "fairway.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "fairway.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* These never change, and select exactly the operator's pods. */}}
{{- define "fairway.selectorLabels" -}}
app.kubernetes.io/name: fairway
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* managed-by says Helm: the value "fairway" marks what the operator itself makes. */}}
{{- define "fairway.labels" -}}
{{ include "fairway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "fairway.distinct" -}}
{{- $path := .path -}}
{{- $seen := dict -}}
{{- range .list -}}
{{- if hasKey $seen .name }}{{ fail (printf "%s: two are called %s" $path .name) }}{{ end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{/* What a schema cannot say: names are distinct, and the provider of `prometheus` is called default. */}}
{{- define "fairway.checked" -}}
{{- $providers := .Values.metrics.providers | default list -}}
{{- with .Values.prometheus -}}
{{- $providers = prepend $providers (dict "name" "default" "queries" .queries) -}}
{{- end -}}
{{- include "fairway.distinct" (dict "path" "metrics.providers" "list" $providers) -}}
{{- include "fairway.distinct" (dict "path" "notifications" "list" .Values.notifications) -}}
{{- range $providers -}}
{{- include "fairway.distinct" (dict "path" (printf "queries of %s" .name) "list" .queries) -}}
{{- end -}}
{{- end -}}

{{/* Not empty where models get alerts of their own: as asked, where there is a kind for them, and with the rights to it. */}}
{{- define "fairway.modelAlerts" -}}
{{- if and .Values.monitoring.modelAlerts.enabled .Values.rbac.create (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule") -}}
true
{{- end -}}
{{- end -}}

{{- define "fairway.config" -}}
{{- include "fairway.checked" . -}}
{{- $config := pick .Values "namespaces" "gateway" "prometheus" "metrics" "notifications" "settle" "scaleDownDelay" "lease" "port" "workers" "logLevel" -}}
{{- if include "fairway.modelAlerts" . -}}
{{- $_ := set $config "modelAlerts" true -}}
{{- $_ := set $config "modelAlertLabels" .Values.monitoring.prometheusRule.labels -}}
{{- end -}}
{{- set $config "approvalsVerified" .Values.policy.approvals.enabled | toYaml }}
{{- end -}}

{{- define "fairway.subject" -}}
- kind: ServiceAccount
  name: {{ include "fairway.serviceAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}
