"""A namespace in which studies run for real: the chart's operator, a volume, the image, and what is read back."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from chart_release import Release
from operators import definition
from tepui_operator.payloads import VOLUME_PATH
from tepui_operator.pod_template import USER
from tepui_testbed.build import exclusive
from tepui_testbed.cluster import Cluster
from tepui_testbed.containerfile import build_images
from tepui_testbed.node_store import load
from tepui_testbed.oci_layout import BuiltImage

ROOT = Path(__file__).parents[2]
CLAIM = "results"
STUDY_S = 900
"""Longer than any study here takes on a loaded machine."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """Where studies run: pods see `folder` as /results."""

    cluster: Cluster
    namespace: str
    folder: Path
    release: Release
    image: str

    def study(self, spec: Manifest, name: str = "study") -> Manifest:
        """A study here, its results in a folder of the volume that has its name."""
        pods = {"image": self.image, "cpus": 0.9, "memory": "3Gi", **spec.get("pods", {})}
        storage = {"persistentVolumeClaim": {"claimName": CLAIM, "path": name}}
        metadata = {"name": name, "namespace": self.namespace}
        document = {"apiVersion": "tepui.dev/v1alpha1", "kind": "ExperimentSpec", "metadata": metadata}
        return {**document, "spec": {**spec, "pods": pods, "storage": storage}}

    def complete(self, name: str = "study") -> Manifest:
        """Wait until a study is complete; returns its status."""
        self.wait("condition=Complete", f"exps/{name}")
        return self.status(name)

    def wait(self, condition: str, what: str) -> None:
        """Wait for anything here, as long as a study may take."""
        self.cluster.wait(condition, what, "-n", self.namespace, timeout_s=STUDY_S)

    def status(self, name: str = "study") -> Manifest:
        """What stands in a study's status."""
        return dict(self.cluster.get("exps", name, "-n", self.namespace)["status"])

    def rows(self, name: str = "study") -> dict[str, bytes]:
        """The bytes of every file of rows of every trial, as `rows_of` has them."""
        return rows_of(self.folder / name)

    def run_locally(self, study: Manifest) -> Path:
        """`tepui run` of the same study on this machine, where /results is the same folder; returns its results.

        Trials and points have the same names then: those hold where data are.
        """
        results = f"{study['metadata']['name']}-local"
        local = {**study, "spec": {**study["spec"], "storage": {"uri": str(VOLUME_PATH / results)}}}
        file = self.folder / f"{results}.yaml"
        file.write_text(yaml.safe_dump(local))
        tepui = Path(sys.executable).with_name("tepui")
        script = 'mount --bind "$1" "$2" && exec "$3" run "$4"'
        with exclusive("results"):  # who removes the folder takes it away under every other mount of it
            created = not Path(VOLUME_PATH).exists()
            Path(VOLUME_PATH).mkdir(exist_ok=True)
            try:
                done = subprocess.run(
                    ["unshare", "--mount", "sh", "-c", script, "run", self.folder, VOLUME_PATH, tepui, file],
                    env={**os.environ, "CI": "true"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
            finally:
                if created:
                    Path(VOLUME_PATH).rmdir()
        assert done.returncode == 0, done.stdout + done.stderr
        return self.folder / results


def install(cluster: Cluster, namespace: str, folder: Path, **values: Any) -> Site:
    """The chart in a namespace, its operator watching nothing else, and a volume for results."""
    definition(cluster)
    images = build_images()
    load(cluster, images.values())
    (folder / CLAIM).mkdir(parents=True)
    os.chown(folder / CLAIM, USER, USER)
    cluster.create(*Cluster.folder_claim(namespace, CLAIM, folder / CLAIM))
    release = Release(cluster, namespace)
    shared = {"image": chart_image(images["operator"]), "crd": {"install": False}}
    release.install({**shared, "watch": {"namespaces": [namespace]}, **values})
    return Site(cluster, namespace, folder / CLAIM, release, images["study"].reference)


def uninstall(site: Site) -> None:
    """The release and the volume go; the namespace is the fixture's."""
    site.cluster.kubectl("delete", "exps", "--all", "-n", site.namespace)
    site.release.uninstall()
    site.cluster.kubectl("delete", "pv", f"{site.namespace}-{CLAIM}", "--wait=false")


def chart_image(image: BuiltImage) -> dict[str, str]:
    """An image as the chart's values name it."""
    return {"repository": image.name, "digest": image.digest}


def rows_of(results: Path) -> dict[str, bytes]:
    """The bytes of every file of rows of every trial."""
    return {
        str(file.relative_to(results)): file.read_bytes() for file in sorted((results / "trials").rglob("*.parquet"))
    }


def laws_of(results: Path, study: str) -> list[Manifest]:
    """The rows of laws.parquet."""
    return list(pq.read_table(results / "studies" / study / "laws.parquet").to_pylist())
