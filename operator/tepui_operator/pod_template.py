"""The pod of a Job: everything is ours but resources, placement, volumes and secrets by name. Pure.

Every pod passes Pod Security `restricted` and mounts no service-account token.
"""

from collections.abc import Mapping
from typing import Any

from tepui_operator.payloads import TOKEN_VARIABLE, VOLUME_PATH
from tepui_operator.resources import PodResources
from tepui_spec.experiment import Experiment
from tepui_spec.pods import Pods
from tepui_spec.status import Stage

Manifest = dict[str, Any]

USER = 65532
"""Neither root nor a user of the machine; images need no entry for it."""
GRACE_S: dict[Stage, int] = {"train": 120, "evaluate": 30, "analyse": 30}
"""Seconds from SIGTERM to SIGKILL: a training pod writes a checkpoint in them."""
TASK_FOLDER = "/etc/tepui"
"""Where a task is mounted that is too long for a variable."""
TOPOLOGY_ANNOTATION = "kueue.x-k8s.io/podset-required-topology"


def pod_template(
    experiment: Experiment,
    stage: Stage,
    asked: PodResources,
    variables: Mapping[str, str],
    task_map: str | None = None,
) -> Manifest:
    """The template of one stage's pods, with `variables` in their environment, and the ConfigMap with their task."""
    spec = experiment.spec
    pods = spec.pods
    claim = spec.storage.persistent_volume_claim
    volumes: list[Manifest] = [
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": pods.shared_memory}},
        {"name": "scratch", "emptyDir": {}},
    ]
    if claim is not None:
        volumes.append({"name": "results", "persistentVolumeClaim": {"claimName": claim.claim_name}})
    mounts = [{"name": "task", "mountPath": TASK_FOLDER, "readOnly": True}] if task_map is not None else []
    if task_map is not None:
        volumes.append({"name": "task", "configMap": {"name": task_map}})
    template: Manifest = {
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_S[stage],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **_placement(pods, stage),
            "containers": [_container(experiment, stage, asked, variables, mounts)],
            "volumes": volumes,
        }
    }
    if pods.topology is not None and asked.pods > 1:
        template["metadata"] = {"annotations": {TOPOLOGY_ANNOTATION: pods.topology}}
    return template


def _placement(pods: Pods, stage: Stage) -> Manifest:
    """Where pods may run. Analysis needs no GPU node, so the selector for those does not bind it."""
    chosen: Manifest = {}
    if pods.node_selector and not (stage == "analyse" and pods.gpus_per_node):
        chosen["nodeSelector"] = dict(sorted(pods.node_selector.items()))
    if pods.tolerations:
        chosen["tolerations"] = [
            {key: value for key, value in toleration.model_dump().items() if value} for toleration in pods.tolerations
        ]
    if pods.priority_class is not None and pods.queue is None:
        chosen["priorityClassName"] = pods.priority_class
    return chosen


def _container(
    experiment: Experiment, stage: Stage, asked: PodResources, variables: Mapping[str, str], more_mounts: list[Manifest]
) -> Manifest:
    pods = experiment.spec.pods
    mounts = [
        {"name": "shared-memory", "mountPath": "/dev/shm"},
        {"name": "scratch", "mountPath": "/tmp"},
        *more_mounts,
    ]
    if experiment.spec.storage.persistent_volume_claim is not None:
        mounts.append({"name": "results", "mountPath": str(VOLUME_PATH)})
    return {
        "name": "pod",
        **({"image": pods.image} if pods.image is not None else {}),
        "command": ["tepui-pod", stage],
        "env": [
            {"name": "OMP_NUM_THREADS", "value": str(asked.threads)},
            *({"name": name, "value": value} for name, value in variables.items()),
            *_token(experiment),
        ],
        **({"envFrom": [{"secretRef": {"name": pods.storage_secret}}]} if pods.storage_secret is not None else {}),
        "resources": _requests(pods, asked),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _token(experiment: Experiment) -> list[Manifest]:
    secret = experiment.spec.tracking.mlflow.token_secret
    if secret is None or not experiment.spec.tracking.enabled:
        return []
    return [{"name": TOKEN_VARIABLE, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}]


def _requests(pods: Pods, asked: PodResources) -> Manifest:
    """Memory is limited to what was asked, cores are not: a throttled core helps nobody."""
    memory = f"{asked.memory_mib}Mi"
    requests = {"cpu": f"{asked.millicpus}m", "memory": memory}
    limits = {"memory": memory}
    if asked.gpus:
        requests[pods.gpu_resource] = limits[pods.gpu_resource] = str(asked.gpus)
    return {"requests": requests, "limits": limits}
