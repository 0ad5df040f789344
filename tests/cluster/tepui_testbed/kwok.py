"""Simulated nodes: KWOK plays their kubelets, by Stage objects that a test can add to.

A pod of a Job runs and succeeds unless it says otherwise by annotations:

    testbed.tepui.dev/run-for: 3s       how long it runs (a Go duration)
    testbed.tepui.dev/exit-code: "42"
    testbed.tepui.dev/message: '{"outcome": "Diverged"}'    its termination message

A test that does not make the pods itself applies `ending(...)`: a Stage for the pods with certain labels, which goes
before the rule above.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tepui_testbed.credentials import Credentials
from tepui_testbed.layout import Layout
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.processes import Process

RUN_FOR = "testbed.tepui.dev/run-for"
EXIT_CODE = "testbed.tepui.dev/exit-code"
MESSAGE = "testbed.tepui.dev/message"
SIMULATED = {"type": "kwok"}
"""Label of every simulated node."""
_UPSTREAM = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-delete",
)
_ANNOTATION = "kwok.x-k8s.io/node"
_SUCCESS = json.dumps({"outcome": "Succeeded"})

Manifest = dict[str, Any]

_TERMINATED = """\
{{ $now := Now }}
{{ $root := . }}
{{ $exitCode := %(exit_code)s }}
{{ $message := %(message)s }}
containerStatuses:
{{ range $index, $item := .spec.containers }}
{{ $running := index $root.status.containerStatuses $index }}
- image: {{ $item.image | Quote }}
  name: {{ $item.name | Quote }}
  ready: false
  restartCount: 0
  started: false
  state:
    terminated:
      exitCode: {{ $exitCode }}
      reason: {{ if eq $exitCode "0" }}Completed{{ else }}Error{{ end }}
      message: {{ $message | Quote }}
      startedAt: {{ $running.state.running.startedAt | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
phase: {{ if eq $exitCode "0" }}Succeeded{{ else }}Failed{{ end }}
"""


def start_kwok(where: Namespaces, layout: Layout, credentials: Credentials, lease_s: int) -> Process:
    """Start KWOK; it plays the nodes that `node` makes. Their leases last `lease_s`."""
    kubeconfig = credentials.kubeconfig("kwok", "kwok", ["system:masters"])
    return layout.start(
        where,
        "kwok",
        [
            f"--kubeconfig={kubeconfig}",
            "--enable-crds=Stage",
            f"--manage-nodes-with-annotation-selector={_ANNOTATION}=fake",
            f"--node-lease-duration-seconds={lease_s}",
            "--cidr=10.245.0.0/16",
            "--v=WARN",
        ],
    )


def node(number: int, *, cpu: str = "256", memory: str = "1Ti", pods: str = "10000", gpus: int = 0) -> Manifest:
    """A simulated node."""
    room = {"cpu": cpu, "memory": memory, "pods": pods, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"kwok-{number}",
            "labels": {**SIMULATED, "kubernetes.io/hostname": f"kwok-{number}"},
            "annotations": {_ANNOTATION: "fake"},
        },
        "status": {"allocatable": room, "capacity": room},
    }


def ending(
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    *,
    exit_code: int = 0,
    message: str = _SUCCESS,
    run_for_ms: int = 0,
) -> Manifest:
    """A Stage: how pods of this namespace with these labels end, instead of by their annotations.

    Where two of them select the same pod, KWOK draws one: make their labels exclude each other.
    """
    template = _TERMINATED % {"exit_code": json.dumps(str(exit_code)), "message": json.dumps(message)}
    stage = _stage(name, [*_RUNNING, _expression(".metadata.namespace", "In", namespace)], {"statusTemplate": template})
    stage["spec"]["selector"]["matchLabels"] = dict(labels)
    stage["spec"]["delay"] = {"durationMilliseconds": run_for_ms}
    stage["spec"]["weight"] = 1  # the general rule weighs nothing: it is never drawn beside this one
    return stage


def default_stages(upstream: Path, run_for_ms: int = 0) -> list[Manifest]:
    """Nodes that are ready, pods that run, go when deleted, and end as they say.

    `upstream` holds KWOK's own stages: they are used as they are but for the end of a pod.
    """
    stages = [yaml.safe_load((upstream / f"{name}.yaml").read_text()) for name in _UPSTREAM]
    template = _TERMINATED % {
        "exit_code": _annotated(EXIT_CODE, "0"),
        "message": _annotated(MESSAGE, _SUCCESS),
    }
    of_a_job = _expression(".metadata.ownerReferences.[].kind", "In", "Job")
    complete = _stage("pod-complete", [*_RUNNING, of_a_job], {"statusTemplate": template})
    complete["spec"]["delay"] = {
        "durationMilliseconds": run_for_ms,
        "durationFrom": {"expressionFrom": f'.metadata.annotations["{RUN_FOR}"]'},
    }
    return [*stages, complete]


def stage_definition() -> Manifest:
    """The CustomResourceDefinition of Stage; KWOK itself checks what is in one."""
    group = "kwok.x-k8s.io"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"stages.{group}",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/kwok"},
        },
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": "Stage", "plural": "stages", "singular": "stage"},
            "versions": [version],
        },
    }


def _stage(name: str, expressions: list[Manifest], following: Manifest) -> Manifest:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": expressions},
            "next": following,
        },
    }


def _expression(key: str, operator: str, *values: str) -> Manifest:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


_RUNNING = (_expression(".metadata.deletionTimestamp", "DoesNotExist"), _expression(".status.phase", "In", "Running"))


def _annotated(name: str, otherwise: str) -> str:
    """A template's value: of a pod's annotation, or a default."""
    return f"or (index (or .metadata.annotations dict) {json.dumps(name)}) {json.dumps(otherwise)}"
