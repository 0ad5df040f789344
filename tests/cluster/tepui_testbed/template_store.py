"""The store that a new node's begins as a clone of.

The template is the store of a containerd that runs only while it takes an image. Its unpacked layers are never written
to, so a clone shares their files by hard links: a node's 6 GB cost nothing and are there at once.
"""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tepui_testbed.build import build, exclusive
from tepui_testbed.containerd_store import ContainerdStore
from tepui_testbed.namespaces import checked
from tepui_testbed.oci_layout import BuiltImage
from tepui_testbed.versions import cache
from tepui_testbed.waiting import TestbedError, wait_until

_LAYERS = "io.containerd.snapshotter.v1.overlayfs"
_KEPT = ("io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt")
_START_S = 60
_CONFIGURATION = """\
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
"""


def fill_template(images: Iterable[BuiltImage]) -> None:
    """Put images into the template, so that new nodes have them from the start."""
    with exclusive("template"), _containerd(template()) as store:
        for image in images:
            store.take(image)


def new_store(store: Path) -> None:
    """Make the store of a node that has none yet: a clone of the template, or empty where there is no template."""
    if store.exists():
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    with exclusive("template"):
        if not template().exists():
            store.mkdir()
            return
        clone(template(), store)


def clone(source: Path, target: Path) -> None:
    """Copy a store that no containerd has open; unpacked layers are the same files. It appears whole."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / _LAYERS).mkdir(parents=True)
    for kept in (*_KEPT, f"{_LAYERS}/metadata.db"):
        checked(["cp", "--archive", str(source / kept), str(unfinished / kept)])
    checked(["cp", "--archive", "--link", str(source / _LAYERS / "snapshots"), str(unfinished / _LAYERS / "snapshots")])
    unfinished.rename(target)


def template() -> Path:
    """Where the template is."""
    return cache() / "containerd" / "template"


@contextmanager
def _containerd(root: Path) -> Iterator[ContainerdStore]:
    """A containerd that has a store open, and no kubelet, until the end of the block."""
    programs = build(["containerd", "ctr"])
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        socket, log = folder / "socket", folder / "log"
        configuration = folder / "containerd.toml"
        configuration.write_text(_CONFIGURATION.format(root=root, state=folder / "state", socket=socket))
        with log.open("w") as output:
            daemon = subprocess.Popen(
                [str(programs["containerd"]), "--config", str(configuration)], stdout=output, stderr=output
            )

        def standing() -> bool:
            if daemon.poll() is not None:
                raise TestbedError(f"containerd ended: {log.read_text(errors='replace')[-1500:].strip()}")
            return "containerd successfully booted" in log.read_text(errors="replace")

        try:
            wait_until(standing, "containerd has booted", _START_S)
            yield ContainerdStore(str(socket))
        finally:
            daemon.terminate()
            daemon.wait()
