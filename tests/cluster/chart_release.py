"""A release of the chart on a real API server, and the real operator with exactly what the release gives it."""

import json
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from builders import experiment_dict
from tepui_testbed.build import build
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until

CHART = Path(__file__).parents[2] / "charts" / "tepui"
DEFINITION = "experimentspecs.tepui.dev"
IMAGE = {"image": {"repository": "registry.example/tepui-operator"}}
Values = dict[str, Any]

_CREATE_AS = ("create", "--validate=false", "-f", "-", "-o", "json", "--as")
"""Validation by kubectl asks for more rights than the account has."""


@dataclass(frozen=True)
class Release:
    """The release `tepui` in a namespace."""

    cluster: Cluster
    namespace: str

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """What helm prints."""
        build(["helm"])
        done = subprocess.run(
            ["helm", *arguments, "--namespace", self.namespace],
            env=self.cluster.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: Values, chart: Path = CHART) -> str:
        """Install or upgrade it, and wait until its pods are ready; returns the notes."""
        options = ("--install", "--values=-", "--wait", "--timeout=120s")
        return self.helm("upgrade", "tepui", str(chart), *options, stdin=json.dumps(values))

    def uninstall(self) -> str:
        """Uninstall it and wait until its objects are gone."""
        return self.helm("uninstall", "tepui", "--wait", "--timeout=60s")

    @property
    def account(self) -> str:
        """The operator's user name towards the API server."""
        return f"system:serviceaccount:{self.namespace}:tepui"

    def may(self, verb: str, resource: str, namespace: str, user: str | None = None, subresource: str = "") -> bool:
        """What `kubectl auth can-i` says of the operator, or of another user."""
        asked = ("auth", "can-i", verb, resource, f"--subresource={subresource}", "--namespace", namespace)
        return self.cluster.kubectl_result(*asked, "--as", user or self.account).stdout.strip() == "yes"

    def rights(self, namespace: str) -> set[tuple[str, str]]:
        """Verbs and resources (`resource/name` for a single object) that the operator has and not every account has."""
        nobody = f"system:serviceaccount:{namespace}:default"
        return self._rules(self.account, namespace) - self._rules(nobody, namespace)

    def _rules(self, user: str, namespace: str) -> set[tuple[str, str]]:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        told = self.cluster.kubectl(*_CREATE_AS, user, stdin=json.dumps(review))
        return {
            (verb, f"{resource}/{name}" if name else resource)
            for rule in json.loads(told)["status"]["resourceRules"]
            for verb in rule["verbs"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames") or [""]
        }

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig with a token of the operator's service account and nothing else."""
        token = self.cluster.kubectl("create", "token", "tepui", "--namespace", self.namespace).strip()
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        file = folder / "operator.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    @contextmanager
    def operator(self, folder: Path) -> Iterator["RunningOperator"]:
        """The container's command and arguments as a process of this machine, on ports of its own."""
        container = self.cluster.get("deployment", "tepui", "--namespace", self.namespace)["spec"]["template"]["spec"][
            "containers"
        ][0]
        assert container["command"] == ["tepui", "operator"]
        metrics, health = _free_port(), _free_port()
        ports = {"--metrics-port=8080": f"--metrics-port={metrics}", "--health-port=8081": f"--health-port={health}"}
        arguments = [ports.get(argument, argument) for argument in container["args"]]
        environment = self.cluster.environment | {"KUBECONFIG": str(self.kubeconfig(folder))}
        log = folder / "operator.log"
        with log.open("wb") as output:
            program = Path(sys.executable).with_name("tepui")
            process = subprocess.Popen([program, "operator", *arguments], env=environment, stderr=output)
        running = RunningOperator(process, metrics, health, log)
        try:
            wait_until(running.ready, "the operator to be ready", timeout_s=60)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


@dataclass(frozen=True)
class RunningOperator:
    """An operator that runs."""

    process: "subprocess.Popen[bytes]"
    metrics_port: int
    health_port: int
    log: Path

    def ready(self) -> bool:
        """What the readiness probe would see."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def requests(self) -> dict[tuple[str, str], set[int]]:
        """By verb and resource, the HTTP codes that its requests were answered with, as its metrics tell them."""
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == "tepui_api_request_seconds_count":
                    found[sample.labels["verb"], sample.labels["resource"]].add(int(sample.labels["code"]))
        return found


def study(namespace: str, name: str) -> dict[str, Any]:
    """Four trials, each a gang over two nodes, untracked."""
    document = experiment_dict(
        name,
        upstream={"data": {"uri": "s3://data/fonts"}, "imageSize": 32},
        evaluation={"tasks": ["mnist"], "dataRoot": "s3://data/tasks"},
        storage={"uri": "s3://results/study"},
        pods={"image": f"registry.example/tepui-study@sha256:{'0' * 64}", "nodes": 2},
        tracking={"enabled": False},
    )
    document["metadata"]["namespace"] = namespace
    return document


def _free_port() -> int:
    with socket.create_server(("", 0)) as free:
        return int(free.getsockname()[1])
