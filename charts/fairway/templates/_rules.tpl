{{/* Cluster-scoped things that are read in every mode. CRDs: to notice a Gateway API that is installed later. */}}
{{- define "fairway.rules.cluster" -}}
- apiGroups: [fairway.dev]
  resources: [modelruntimes]
  verbs: [get, list, watch]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get, list, watch]
{{- end -}}

{{/* No verb writes modeldeployments themselves, and nothing reads Secrets or ConfigMaps. */}}
{{- define "fairway.rules.namespaced" -}}
- apiGroups: [fairway.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [fairway.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{ include "fairway.rules.gateways" . }}
{{- end -}}

{{- define "fairway.rules.gateways" -}}
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get, list, watch]
{{- end -}}
