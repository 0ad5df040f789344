"""Operators as processes, and studies for them whose pods KWOK plays."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from builders import experiment_dict
from cluster_objects import REMOTE
from tepui_spec.crd import custom_resource_definition
from tepui_spec.expand import expand
from tepui_spec.source import experiment_of
from tepui_testbed.cluster import Cluster
from tepui_testbed.kwok import ending
from tepui_testbed.waiting import wait_until

Manifest = dict[str, Any]

LAW = {
    "task": "mnist",
    "shots": 5,
    "law": "frontier",
    "n": 4,
    "eIr": [0.1, 0.05, 0.15],
    "k": [1.0, 0.5, 2.0],
    "alpha": [2.0, 1.0, 3.0],
    "identified": "yes",
}
LAWS = json.dumps({"outcome": "Succeeded", "laws": [LAW], "report": "s3://results/report.html"})


class Operator:
    """`tepui operator` as a process of its own, in some namespaces."""

    def __init__(self, cluster: Cluster, log: Path, namespaces: Iterable[str], *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        where = [f"--namespace={namespace}" for namespace in namespaces]
        self._command = [
            str(Path(sys.executable).with_name("tepui")),
            "operator",
            *where,
            f"--health-port={self.port}",
            f"--metrics-port={self.port}",
            "--log-format=text",
            *arguments,
        ]
        self._environment = cluster.environment
        self.log = log

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it knows the cluster."""
        with self.log.open("a") as output:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(self._ready, "the operator is not ready", 60)

    def stop(self) -> None:
        """SIGTERM, as the kubelet ends it."""
        self._process.terminate()
        self._process.wait(20)

    def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def metric(self, name: str) -> float:
        """The sum of a metric over those of its labels that `name` leaves open: `name{verb="create"`."""
        lines = self._page("metrics").splitlines()
        bare, _, labels = name.partition("{")
        wanted = [part for part in labels.rstrip("}").split(",") if part]
        found = [
            line for line in lines if line.startswith((f"{bare}{{", f"{bare} ")) and all(w in line for w in wanted)
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def _page(self, name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{name}", timeout=5) as answer:
            return str(answer.read().decode())

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            self._page("readyz")
        except OSError:
            return False
        return True


def study(namespace: str, name: str = "study", trials: int = 4, **spec: Any) -> Manifest:
    """A study of small trials that pods need not really run."""
    sweep = {"grid": {"model": ["tiny"], "epochs": [1, 2], "seed": list(range(trials // 2))}}
    made = experiment_dict(name, **{**REMOTE, "sweep": sweep, **spec})
    made["metadata"]["namespace"] = namespace
    return made


def definition(cluster: Cluster) -> None:
    """The cluster knows ExperimentSpecs."""
    cluster.apply(custom_resource_definition())
    cluster.wait("condition=Established", "crd/experimentspecs.tepui.dev")


def first_trial(manifest: Manifest) -> str:
    """The hash of the study's first trial."""
    return expand(experiment_of(manifest).spec)[0].hash


def with_laws(cluster: Cluster, namespace: str) -> None:
    """Analysis pods of the namespace tell a law."""
    cluster.apply(ending(f"{namespace}-laws", namespace, {"tepui.dev/stage": "analyse"}, message=LAWS))


def status_of(cluster: Cluster, namespace: str, name: str = "study") -> dict[str, Any]:
    """The status of a study."""
    found: dict[str, Any] = cluster.get("exps", name, "-n", namespace).get("status", {})
    return found


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of a status; empty where there is none."""
    return next((c for c in status.get("conditions", []) if c["type"] == kind), {})


def jobs_of(cluster: Cluster, namespace: str) -> dict[str, Manifest]:
    """Jobs of a namespace by name."""
    return {job["metadata"]["name"]: job for job in cluster.get("jobs", "-n", namespace)["items"]}


def events_of(cluster: Cluster, namespace: str) -> list[str]:
    """Reasons of the events about studies of a namespace, the oldest first."""
    found = cluster.get("events.events.k8s.io", "-n", namespace)["items"]
    about = [event for event in found if event["regarding"]["kind"] == "ExperimentSpec"]
    return [event["reason"] for event in sorted(about, key=lambda event: event["eventTime"])]
