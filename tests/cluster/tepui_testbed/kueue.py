"""Kueue, by its own chart with the real helm, its image made from the program that was built."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tepui_testbed.build import build
from tepui_testbed.cluster import Cluster
from tepui_testbed.images import program_image
from tepui_testbed.waiting import TestbedError

NAMESPACE = "kueue-system"
PROGRAMS = ("kueue", "kueue-chart", "helm")
_REPOSITORY, _TAG = "tepui.dev/testbed/kueue", "1"
_INSTALL = [
    *("helm", "upgrade", "--install", "--create-namespace", f"--namespace={NAMESPACE}"),
    *("--values=-", "--wait", "--timeout=180s", "kueue"),
]


def install_kueue(cluster: Cluster) -> None:
    """Install Kueue and wait until it is available. Raises TestbedError with helm's words if it is not."""
    places = build(PROGRAMS)
    cluster.import_image(program_image(f"{_REPOSITORY}:{_TAG}", "manager", places["kueue"]))
    chart = places["kueue-chart"]
    done = subprocess.run(
        [*_INSTALL, str(chart)],
        env=cluster.environment,
        input=json.dumps(values(chart)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise TestbedError(f"helm did not install Kueue: {done.stderr.strip()}")


def values(chart: Path) -> dict[str, Any]:
    """The chart's values that differ: our image, small requests, a quick probe, Jobs as the only kind."""
    shipped = yaml.safe_load((chart / "values.yaml").read_text())["managerConfig"]["controllerManagerConfigYaml"]
    configuration = yaml.safe_load(shipped)
    configuration["integrations"]["frameworks"] = ["batch/job"]
    quick = {"initialDelaySeconds": 1, "periodSeconds": 1}
    return {
        "controllerManager": {
            "manager": {
                "image": {"repository": _REPOSITORY, "tag": _TAG, "pullPolicy": "IfNotPresent"},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            },
            "readinessProbe": quick,
            "nodeSelector": {"kubernetes.io/hostname": "node-1"},  # tests kill node 2
        },
        "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(configuration)},
    }
