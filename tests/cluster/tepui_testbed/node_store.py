"""Built images into the stores of a cluster's nodes: only the layers that a node does not have travel.

A node unpacks a layer and forgets its blob, so an image of 6 GB takes 6 GB of it and new code takes 4 MB.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from typing import IO, Any

from tepui_testbed.cluster import Cluster
from tepui_testbed.containerfile import BuiltImage, parts
from tepui_testbed.namespaces import Namespaces
from tepui_testbed.node_files import CONTAINERD_SOCKET
from tepui_testbed.oci import NAME_ANNOTATION
from tepui_testbed.versions import place_of
from tepui_testbed.waiting import TestbedError

_PINNED = "io.cri-containerd.pinned=pinned"
"""The label that keeps kubelet's garbage collector away."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def load(cluster: Cluster, images: Iterable[BuiltImage], nodes: Iterable[int] | None = None) -> None:
    """Put images into the stores of nodes (all of them); pods ask for them by `BuiltImage.reference`.

    An image of the same name and other content leaves the store. Raises TestbedError with containerd's words.
    """
    state = cluster.state
    chosen = [state.nodes[number] for number in (state.nodes if nodes is None else nodes)]
    with ThreadPoolExecutor() as pool:
        for image in images:
            list(pool.map(_load, chosen, repeat(image)))


def _load(where: Namespaces, image: BuiltImage) -> None:
    stored = where.run(_ctr("images", "list", "--quiet")).split()
    if image.reference in stored:
        return
    there = {part for name in stored for part in _layers(where, name)}
    command = _ctr("images", "import", "--local", "--discard-unpacked-layers", f"--label={_PINNED}", "-")
    importer = subprocess.Popen(
        where.enter(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert importer.stdin is not None
    assert importer.stderr is not None
    with suppress(BrokenPipeError):  # where it ended before its time it says why
        write_archive_of(image, there, importer.stdin)
    _, said = importer.communicate()
    if importer.returncode != 0:
        raise TestbedError(f"{image.reference} was not imported: {said.decode(errors='replace').strip()}")
    for name in stored:
        if name.startswith(f"{image.name}@"):
            where.run(_ctr("images", "remove", name))


def write_archive_of(image: BuiltImage, there: set[str], out: IO[bytes]) -> None:
    """Write an OCI archive of the image, without the layers that are `there`, as a stream."""
    manifest = image.blob(image.digest)
    entry = {"mediaType": _MANIFEST, "digest": image.digest, "size": manifest.stat().st_size}
    index = {"schemaVersion": 2, "manifests": [entry | {"annotations": {NAME_ANNOTATION: image.reference}}]}
    with tarfile.open(fileobj=out, mode="w|", bufsize=2**20) as tar:
        _add(tar, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        _add(tar, "index.json", index)
        for digest in (image.digest, *parts(image.layout, image.digest)):
            if digest not in there:
                tar.add(image.blob(digest), f"blobs/{digest.replace(':', '/')}")


def _layers(where: Namespaces, name: str) -> list[str]:
    """Digests of the layers of a stored image."""
    digest = name.rpartition("@")[2]
    if not digest.startswith("sha256:"):
        return []
    manifest = json.loads(where.run(_ctr("content", "get", digest)))
    return [layer["digest"] for layer in manifest.get("layers", ())]


def _add(tar: tarfile.TarFile, name: str, content: Any) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _ctr(*words: str) -> list[str]:
    return [str(place_of("ctr")), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", *words]
