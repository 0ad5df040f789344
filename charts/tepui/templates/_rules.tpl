{{- /* Everything the operator does to a watched namespace. No Secrets: pods read those, by name, from their own namespace. */}}
{{- define "tepui.rules" -}}
- apiGroups: [tepui.dev]
  resources: [experimentspecs]
  verbs: [get, list, watch]
- apiGroups: [tepui.dev]
  resources: [experimentspecs/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [create]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.kueue.enabled }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [get, list, watch, patch]
{{- end }}
{{- end }}
