"""Objects that the tests of the cluster apply: small Jobs that pass Pod Security `restricted`."""

from typing import Any

from tepui_testbed.images import BUSYBOX

Manifest = dict[str, Any]

_KUEUE = "kueue.x-k8s.io/v1beta2"


def job(namespace: str, name: str, script: str, **spec: Any) -> Manifest:
    """A Job of one pod that runs a shell script; `spec` adds to the Job's."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backoffLimit": 0, "template": pod_template(script), **spec},
    }


def pod_template(script: str) -> Manifest:
    """A pod that runs a shell script once."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", script],
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"spec": {"restartPolicy": "Never", "securityContext": security, "containers": [container]}}


def headless_service(namespace: str, job_name: str) -> Manifest:
    """Names for the pods of an Indexed Job, known before they are ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": job_name, "namespace": namespace},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"batch.kubernetes.io/job-name": job_name},
        },
    }


def queues(namespace: str, cpu: str, **spec: Any) -> list[Manifest]:
    """A Kueue queue `main` of this namespace with so many CPUs, and memory for everyone.

    `spec` adds to its ClusterQueue's.
    """
    quotas = [{"name": "cpu", "nominalQuota": cpu}, {"name": "memory", "nominalQuota": "1Ti"}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": namespace, "resources": quotas}]}
    return [
        {"apiVersion": _KUEUE, "kind": "ResourceFlavor", "metadata": {"name": namespace}},
        {
            "apiVersion": _KUEUE,
            "kind": "ClusterQueue",
            "metadata": {"name": namespace},
            "spec": {"resourceGroups": [group], "namespaceSelector": {}, **spec},
        },
        {
            "apiVersion": _KUEUE,
            "kind": "LocalQueue",
            "metadata": {"name": "main", "namespace": namespace},
            "spec": {"clusterQueue": namespace},
        },
    ]


def priority(name: str, value: int) -> Manifest:
    """A priority in Kueue's queues; what names none has 0."""
    return {"apiVersion": _KUEUE, "kind": "WorkloadPriorityClass", "metadata": {"name": name}, "value": value}
