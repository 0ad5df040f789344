"""The chart on real nodes, with the images of images/Containerfile: probes, handing over, MLflow on a volume."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart_release import DEFINITION, Release
from tepui_operator.pod_template import USER
from tepui_spec.crd import custom_resource_definition
from tepui_testbed.cluster import Cluster
from tepui_testbed.containerfile import build_images
from tepui_testbed.node_store import load
from tepui_testbed.oci_layout import BuiltImage
from tepui_testbed.waiting import wait_until
from workloads import job

TOKEN = "token-of-the-secret"


@pytest.fixture
def release(cluster: Cluster, namespace: str) -> Iterator[Release]:
    """A release in a namespace that enforces Pod Security `restricted`; the definition is not its own."""
    cluster.apply(custom_resource_definition())
    cluster.wait("condition=Established", f"crd/{DEFINITION}")
    release = Release(cluster, namespace)
    yield release
    release.uninstall()


@pytest.fixture(scope="module")
def operator_image(cluster: Cluster) -> BuiltImage:
    """The operator's image, in every node's store."""
    return loaded(cluster, "operator")


@pytest.fixture(scope="module")
def study_image(cluster: Cluster) -> BuiltImage:
    """The image with MLflow."""
    return loaded(cluster, "study")


def loaded(cluster: Cluster, target: str) -> BuiltImage:
    """An image of the Containerfile, in every node's store."""
    image = build_images([target])[target]
    load(cluster, [image])
    return image


def values(release: Release, image: BuiltImage, **more: object) -> dict[str, object]:
    """Those of a release that watches its own namespace only."""
    return {"image": by_digest(image), "crd": {"install": False}, "watch": {"namespaces": [release.namespace]}, **more}


def by_digest(image: BuiltImage) -> dict[str, str]:
    """An image as the chart's values name it."""
    return {"repository": image.name, "digest": image.digest}


ASK = """
import json, os, sys, urllib.error, urllib.request
asked = urllib.request.Request(sys.argv[1], os.environb.get(b"BODY"), json.loads(os.environ["HEADERS"]))
try:
    print(urllib.request.urlopen(asked, timeout=20).read().decode())
except urllib.error.HTTPError as error:
    print(error)
"""


def ask(release: Release, image: BuiltImage, url: str, body: str | None = None, **headers: str) -> str:
    """What a pod of the release's namespace is answered, errors too. Its image is one with Python."""
    name = f"ask-{uuid.uuid4().hex[:8]}"
    made = job(release.namespace, name, "")
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["image"] = image.reference
    container["command"] = ["python", "-c", ASK, url]
    container["env"] = [{"name": "HEADERS", "value": json.dumps(headers)}]
    container["env"] += [{"name": "BODY", "value": body}] if body is not None else []
    release.cluster.create(made)
    release.cluster.wait("condition=Complete", f"job/{name}", "-n", release.namespace, timeout_s=120)
    return release.cluster.kubectl("logs", f"job/{name}", "-n", release.namespace)


def holder(release: Release) -> str:
    """The pod that leads; empty while none does."""
    lease = release.cluster.get("lease", "tepui", "--namespace", release.namespace)
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


def test_the_next_replica_takes_over(release: Release, operator_image: BuiltImage) -> None:
    """Both replicas are ready by the kubelet's probes; Prometheus finds their metrics; the leader's end is no gap."""
    release.install(values(release, operator_image))
    pods = release.cluster.get("pods", "--namespace", release.namespace)["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == 2
    page = ask(release, operator_image, "http://tepui-metrics:8080/metrics")
    assert 'tepui_build_info{version="' in page
    first = wait_until(lambda: holder(release), "a replica to lead", timeout_s=30)
    release.cluster.kubectl("delete", "pod", first, "--namespace", release.namespace, "--timeout=30s")
    second = wait_until(lambda: holder(release).replace(first, ""), "another replica to lead", timeout_s=30)
    assert second in {pod["metadata"]["name"] for pod in pods}


def test_mlflow_keeps_runs_on_its_volume(
    release: Release, operator_image: BuiltImage, study_image: BuiltImage, tmp_path: Path
) -> None:
    """Asked by its Service's name with the token, it answers; what it was told outlives its pod; others get nothing."""
    os.chown(tmp_path, USER, USER)
    cluster, namespace = release.cluster, release.namespace
    cluster.create(*Cluster.folder_claim(namespace, "runs", tmp_path))
    cluster.kubectl("create", "secret", "generic", "mlflow-token", f"--from-literal=token={TOKEN}", "-n", namespace)
    mlflow = {
        "enabled": True,
        "image": by_digest(study_image),
        "tokenSecret": "mlflow-token",
        "workers": 1,
        "persistence": {"existingClaim": "runs"},
    }
    release.install(values(release, operator_image, mlflow=mlflow))
    mlflow_at, token = f"http://tepui-mlflow.{namespace}:5000/api/2.0/mlflow/experiments", f"Bearer {TOKEN}"
    body = {"body": json.dumps({"name": "kept"}), "Content-Type": "application/json"}
    made = json.loads(ask(release, operator_image, f"{mlflow_at}/create", **body, Authorization=token))
    cluster.kubectl("delete", "pod", "-n", namespace, "-l", "app.kubernetes.io/component=mlflow")
    cluster.kubectl("rollout", "status", "deployment/tepui-mlflow", "-n", namespace, "--timeout=180s")
    kept = f"{mlflow_at}/get-by-name?experiment_name=kept"
    assert (
        json.loads(ask(release, operator_image, kept, Authorization=token))["experiment"]["experiment_id"]
        == made["experiment_id"]
    )
    assert "HTTP Error 401" in ask(release, operator_image, kept)
    assert "HTTP Error 403" in ask(release, operator_image, kept, Authorization=token, Host="evil.example.com")
    cluster.kubectl("delete", "pv", f"{namespace}-runs", "--wait=false")
