"""The chart's life on a real API server: install, upgrade, uninstall. Its pods run on simulated nodes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart_release import DEFINITION, Release
from chart_rendered import CHART, IMAGE, MLFLOW
from operators import study
from tepui_spec.crd import custom_resource_definition
from tepui_testbed.cluster import Cluster


@pytest.fixture
def release(kwok_cluster: Cluster, kwok_namespace: str) -> Iterator[Release]:
    """A release in a namespace that enforces Pod Security `restricted`, on a cluster without the definition."""
    kwok_cluster.kubectl("delete", "crd", DEFINITION, "--ignore-not-found")
    release = Release(kwok_cluster, kwok_namespace)
    yield release
    kwok_cluster.kubectl_result("delete", "crd", DEFINITION, "--ignore-not-found")
    if "tepui" in release.helm("list", "--short"):
        release.uninstall()
    kwok_cluster.apply(custom_resource_definition())


def apply_study(release: Release, name: str) -> str:
    """Apply a small study; returns its UID."""
    release.cluster.apply(study(release.namespace, name))
    return uid_of(release, name)


def uid_of(release: Release, name: str) -> str:
    """The UID by which an object is the same one."""
    return str(release.cluster.get("experimentspec", name, "--namespace", release.namespace)["metadata"]["uid"])


def test_install(release: Release) -> None:
    """Two replicas on two nodes, admitted where Pod Security is `restricted`; notes that say what next."""
    notes = release.install(IMAGE)
    assert f"kubectl --namespace {release.namespace} rollout status deployment/tepui" in notes
    pods = release.cluster.get("pods", "--namespace", release.namespace)["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == len(pods) == 2
    budget = release.cluster.get("pdb", "tepui", "--namespace", release.namespace)["status"]
    assert (budget["expectedPods"], budget["desiredHealthy"]) == (2, 1)
    assert "Every combination of the values of all axes" in release.cluster.kubectl(
        "explain", "experimentspec.spec.sweep"
    )


def test_every_object_is_accepted(release: Release, tmp_path: Path) -> None:
    """MLflow on a volume, policies, a dashboard: the API server takes them, and the pod passes `restricted` too."""
    release.cluster.create(*Cluster.folder_claim(release.namespace, "runs", tmp_path))
    mlflow = MLFLOW | {"tokenSecret": "token"}
    release.install(
        {
            **IMAGE,
            "mlflow": {**mlflow, "persistence": {"existingClaim": "runs"}},
            "networkPolicies": {"enabled": True},
            "metrics": {"dashboard": {"enabled": True}},
        }
    )
    pods = release.cluster.get("pods", "--namespace", release.namespace)["items"]
    assert sorted(pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods) == [
        "mlflow",
        "operator",
        "operator",
    ]
    release.cluster.kubectl("delete", "pv", f"{release.namespace}-runs", "--wait=false")


def test_an_upgrade_brings_changes_of_the_definition(release: Release, tmp_path: Path) -> None:
    """And the studies that are there stay what they are."""
    release.install(IMAGE)
    before = apply_study(release, "kept")
    newer = tmp_path / "tepui"
    shutil.copytree(CHART, newer)
    file = newer / "files" / "experimentspecs.yaml"
    changed = file.read_text().replace("Where the study stands.", "A newer description.")
    file.write_text(changed)
    release.install({**IMAGE, "replicas": 3}, newer)
    version = release.cluster.get("crd", DEFINITION)["spec"]["versions"][0]
    assert version["additionalPrinterColumns"][0]["description"] == "A newer description."
    assert release.cluster.get("deployment", "tepui", "--namespace", release.namespace)["status"]["replicas"] == 3
    assert uid_of(release, "kept") == before


def test_uninstalling_keeps_the_definition_and_the_studies(release: Release) -> None:
    """Everything else goes; installed again, the release takes the definition back."""
    release.install(IMAGE)
    before = apply_study(release, "kept")
    kept = release.uninstall()
    assert f"[CustomResourceDefinition] {DEFINITION}" in kept
    left = release.cluster.get(
        "clusterroles,clusterrolebindings,roles,serviceaccounts,deployments,services,pdb,configmaps",
        "--namespace",
        release.namespace,
        "--selector",
        "app.kubernetes.io/name=tepui",
    )["items"]
    assert [one for one in left if one["metadata"]["name"].startswith((release.namespace, "tepui"))] == []
    assert uid_of(release, "kept") == before
    release.install(IMAGE)
    assert uid_of(release, "kept") == before
