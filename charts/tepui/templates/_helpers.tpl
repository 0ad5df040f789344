{{- define "tepui.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* The release's name, with the chart's unless it says so already. Short enough for every suffix below. */}}
{{- define "tepui.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tepui.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tepui.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* For objects of the whole cluster: releases of one name in two namespaces must not meet. */}}
{{- define "tepui.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "tepui.fullname" .) }}
{{- end }}

{{- define "tepui.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "tepui.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is required when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* What selects the pods of one component: (list . "operator"). */}}
{{- define "tepui.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: {{ include "tepui.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "tepui.labels" -}}
{{- $root := first . -}}
{{ include "tepui.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") }}
{{- end }}

{{- /* An image by digest where there is one, otherwise by tag: (list . .Values.image "image"). */}}
{{- define "tepui.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 }}{{ $where := index . 2 -}}
{{- $repository := required (printf "%s.repository is required: the images are built from images/Containerfile and pushed to a registry of yours" $where) $image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end }}
{{- end }}

{{- /* Pod Security `restricted`, for pods and for containers. */}}
{{- define "tepui.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tepui.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "tepui.mlflowName" -}}
{{ include "tepui.fullname" . }}-mlflow
{{- end }}

{{- define "tepui.mlflowUri" -}}
{{- if .Values.operator.defaultMlflowUri }}
{{- .Values.operator.defaultMlflowUri }}
{{- else if .Values.mlflow.enabled }}
{{- printf "http://%s.%s:%d" (include "tepui.mlflowName" .) .Release.Namespace (int .Values.mlflow.port) }}
{{- end }}
{{- end }}

{{- /* Name resolution, wherever the cluster's resolver is. */}}
{{- define "tepui.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{- /* Names under which MLflow may be asked: the Service's, port-forward's, and further ones; with and without a port. */}}
{{- define "tepui.mlflowHosts" -}}
{{- $name := include "tepui.mlflowName" . }}
{{- $here := printf "%s.%s" $name .Release.Namespace }}
{{- $hosts := list "localhost" "127.0.0.1" $name $here (printf "%s.svc" $here) (printf "%s.svc.cluster.local" $here) }}
{{- $all := list }}
{{- range concat $hosts .Values.mlflow.allowedHosts }}
{{- $all = append $all . }}
{{- $all = append $all (printf "%s:*" .) }}
{{- end }}
{{- join "," $all }}
{{- end }}
