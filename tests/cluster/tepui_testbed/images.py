"""Images from archives into a node's store: no registry has a part in it."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tepui_testbed.debian import install_packages, missing_packages
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.node_files import CONTAINERD_SOCKET
from tepui_testbed.oci import NAME_ANNOTATION, Image, write_archive
from tepui_testbed.versions import cache, digest_of, place_of
from tepui_testbed.waiting import TestbedError

PAUSE = "tepui.dev/testbed/pause:1"
"""The container that holds a pod's namespaces."""
BUSYBOX = "tepui.dev/testbed/busybox:1"
"""A shell and the usual commands, for tests."""


def import_image(where: Namespaces, programs: Path, archive: Path) -> None:
    """Import an OCI archive, unless the node's store has these very images. Raises TestbedError if it cannot."""
    ctr = [str(programs / "ctr"), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images"]
    lines = where.run([*ctr, "list"]).splitlines()[1:]
    stored = {(words[0], words[2]) for words in map(str.split, lines)}
    if not images_of(archive) <= stored:
        where.run([*ctr, "import", str(archive.resolve())])


def program_image(name: str, path: str, program: Path, links: Mapping[str, str] | None = None) -> Path:
    """The archive of an image that holds one program at `path`, kept between runs."""
    file = f"{name.rpartition('/')[2].replace(':', '-')}.tar"
    archive = cache() / "images" / digest_of([program], name, path) / file
    if not archive.exists():
        write_archive(Image(name, {path: program}, [f"/{path}"], links or {}), archive)
    return archive


def pause_image() -> Path:
    """The archive of PAUSE."""
    return program_image(PAUSE, "pause", place_of("pause"))


def busybox_image() -> Path:
    """The archive of BUSYBOX, from Debian's static busybox. Raises RuntimeError where that cannot be installed."""
    install_packages(missing_packages(["busybox-static"]))
    busybox = shutil.which("busybox")
    assert busybox is not None, "Debian's busybox-static is installed"
    commands = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return program_image(
        BUSYBOX, "bin/busybox", Path(busybox), {f"bin/{name}": "busybox" for name in commands if name != "busybox"}
    )


def images_of(archive: Path) -> set[tuple[str, str]]:
    """Name and digest of each image in an OCI archive. Raises TestbedError where one has no name."""
    with tarfile.open(archive) as tar:
        index = tar.extractfile("index.json")
        assert index is not None, "index.json is a file in every OCI archive"
        manifests = json.load(index)["manifests"]
    found = {(manifest.get("annotations", {}).get(NAME_ANNOTATION), manifest["digest"]) for manifest in manifests}
    if any(name is None for name, _ in found):
        raise TestbedError(f"{archive}: an image without a name ({NAME_ANNOTATION})")
    return found
