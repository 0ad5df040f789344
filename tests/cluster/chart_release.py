"""A release of the chart on a real API server, and the real operator with exactly what the release gives it."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chart_rendered import CHART
from operators import Operator
from tepui_testbed.build import build
from tepui_testbed.cluster import Cluster

DEFINITION = "experimentspecs.tepui.dev"

Values = dict[str, Any]
Right = tuple[str, str]
"""A verb and a resource: `experimentspecs/status`, or `leases/tepui` for a single object."""

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
        options = ("--install", "--values=-", "--wait", "--timeout=180s")
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

    def rights(self, namespace: str) -> set[Right]:
        """What the operator may do there and not every account may."""
        nobody = f"system:serviceaccount:{namespace}:default"
        return self._rules(self.account, namespace) - self._rules(nobody, namespace)

    def operator(self, folder: Path) -> Operator:
        """The container's arguments, with a token of its account, as a process of this machine on a port of its own."""
        pod = self.cluster.get("deployment", "tepui", "--namespace", self.namespace)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == ["tepui", "operator"]
        arguments = [one for one in container["args"] if one not in ("--metrics-port=8080", "--health-port=8081")]
        return Operator(Cluster(self._kubeconfig(folder), None), folder / "operator.log", (), *arguments)

    def _kubeconfig(self, folder: Path) -> Path:
        token = self.cluster.kubectl("create", "token", "tepui", "--namespace", self.namespace).strip()
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        file = folder / "operator.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    def _rules(self, user: str, namespace: str) -> set[Right]:
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
