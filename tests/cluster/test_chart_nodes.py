"""The chart on real nodes, with the images of images/Containerfile: probes, handing over, MLflow on a volume."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart_release import DEFINITION, Release
from tepui_operator.pod_template import USER
from tepui_spec.crd import custom_resource_definition
from tepui_testbed.cluster import Cluster
from tepui_testbed.containerfile import BuiltImage, build_images
from tepui_testbed.images import busybox_image
from tepui_testbed.node_store import load
from tepui_testbed.waiting import wait_until
from workloads import job

TOKEN = "token-of-the-secret"
EXPERIMENTS = "api/2.0/mlflow/experiments"


@pytest.fixture
def release(cluster: Cluster, namespace: str) -> Iterator[Release]:
    """A release in a namespace that enforces Pod Security `restricted`; the definition is not its own."""
    cluster.apply(custom_resource_definition())
    cluster.wait("condition=Established", f"crd/{DEFINITION}")
    cluster.import_image(busybox_image())
    release = Release(cluster, namespace)
    yield release
    release.uninstall()


def loaded(cluster: Cluster, target: str) -> dict[str, str]:
    """The values of an image that is in every node's store."""
    image: BuiltImage = build_images([target])[target]
    load(cluster, [image])
    return {"repository": image.name, "digest": image.digest}


def values(cluster: Cluster, **more: object) -> dict[str, object]:
    """Those of a release that watches nothing but its own namespace."""
    return {"image": loaded(cluster, "operator"), "crd": {"install": False}, **more}


def ask(release: Release, name: str, *arguments: str) -> str:
    """What `wget` prints in a pod of the release's namespace, errors too."""
    release.cluster.create(job(release.namespace, name, f"wget -q -T 20 -O - {' '.join(arguments)} 2>&1 || true"))
    release.cluster.wait("condition=Complete", f"job/{name}", "-n", release.namespace, timeout_s=120)
    return release.cluster.kubectl("logs", f"job/{name}", "-n", release.namespace)


def holder(release: Release) -> str:
    """The pod that leads; empty while none does."""
    lease = release.cluster.get("lease", "tepui", "--namespace", release.namespace)
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


def test_the_next_replica_takes_over(release: Release) -> None:
    """Both replicas are ready by the kubelet's probes; Prometheus finds their metrics; the leader's end is no gap."""
    release.install(values(release.cluster, watch={"namespaces": [release.namespace]}))
    pods = release.cluster.get("pods", "--namespace", release.namespace)["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == 2
    page = ask(release, "scrape", "http://tepui-metrics:8080/metrics")
    assert 'tepui_build_info{version="' in page
    first = wait_until(lambda: holder(release), "a replica to lead", timeout_s=30)
    release.cluster.kubectl("delete", "pod", first, "--namespace", release.namespace, "--timeout=30s")
    second = wait_until(lambda: holder(release).replace(first, ""), "another replica to lead", timeout_s=30)
    assert second in {pod["metadata"]["name"] for pod in pods}


def test_mlflow_keeps_runs_on_its_volume(release: Release, tmp_path: Path) -> None:
    """Asked by its Service's name with the token, it answers; what it was told outlives its pod; others get nothing."""
    os.chown(tmp_path, USER, USER)
    cluster, namespace = release.cluster, release.namespace
    cluster.create(*Cluster.folder_claim(namespace, "runs", tmp_path))
    cluster.kubectl("create", "secret", "generic", "mlflow-token", f"--from-literal=token={TOKEN}", "-n", namespace)
    mlflow = {
        "enabled": True,
        "image": loaded(cluster, "study"),
        "tokenSecret": "mlflow-token",
        "workers": 1,
        "persistence": {"existingClaim": "runs"},
    }
    release.install(values(cluster, watch={"namespaces": [namespace]}, mlflow=mlflow))
    server, token = f"http://tepui-mlflow.{namespace}:5000", f"--header 'Authorization: Bearer {TOKEN}'"
    body = "--header 'Content-Type: application/json' --post-data '{\"name\": \"kept\"}'"
    made = json.loads(ask(release, "create", token, body, f"{server}/{EXPERIMENTS}/create"))
    cluster.kubectl("delete", "pod", "-n", namespace, "-l", "app.kubernetes.io/component=mlflow")
    cluster.kubectl("rollout", "status", "deployment/tepui-mlflow", "-n", namespace, "--timeout=180s")
    found = json.loads(ask(release, "read", token, f"'{server}/{EXPERIMENTS}/get-by-name?experiment_name=kept'"))
    assert found["experiment"]["experiment_id"] == made["experiment_id"]
    foreign = f"{token} --header 'Host: evil.example.com'"
    assert "401 Unauthorized" in ask(release, "no-token", f"{server}/{EXPERIMENTS}/search?max_results=1")
    assert "403 Forbidden" in ask(release, "foreign-host", foreign, f"{server}/{EXPERIMENTS}/search?max_results=1")
    cluster.kubectl("delete", "pv", f"{namespace}-runs", "--wait=false")
