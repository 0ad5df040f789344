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
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, create]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.kueue.enabled }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list, patch]
{{- end }}
{{- end }}
