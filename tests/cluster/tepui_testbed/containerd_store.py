"""containerd's store of images: what it holds, and a built image into it, as far as its layers are not there.

It unpacks a layer and forgets its blob, so an image of 6 GB takes 6 GB of it and new code takes 4 MB.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from tepui_testbed.namespaces import checked
from tepui_testbed.oci import NAME_ANNOTATION
from tepui_testbed.oci_layout import BuiltImage, parts, parts_of_manifest
from tepui_testbed.versions import place_of
from tepui_testbed.waiting import TestbedError

_PINNED = "io.cri-containerd.pinned=pinned"
"""The label that keeps kubelet's garbage collector away."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class ContainerdStore:
    """The images of a containerd that runs."""

    socket: str
    enter: Callable[[Sequence[str]], list[str]] = list
    """Makes of a command line one that runs where the socket is."""

    def take(self, image: BuiltImage) -> None:
        """Import an image; one of the same name and other content goes. Raises TestbedError with containerd's words."""
        stored = checked(self._ctr("images", "list", "--quiet")).split()
        if image.reference in stored:
            return
        parts_of = {name: self._parts(name) for name in stored}
        self._import(image, there={layer for found in parts_of.values() for layer in found[1:]})
        for name in stored:
            if name.startswith(f"{image.name}@"):
                alias = parts_of[name][0]  # the CRI plug-in names an image by its config, too
                checked(self._ctr("images", "remove", name, *([alias] if alias in stored else [])))

    def _import(self, image: BuiltImage, there: set[str]) -> None:
        options = ["--local", "--discard-unpacked-layers", f"--label={_PINNED}"]
        importer = subprocess.Popen(
            self._ctr("images", "import", *options, "-"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert importer.stdin is not None, "it was asked for"
        with suppress(BrokenPipeError):  # where it ended before its time it says why
            write_archive_of(image, there, importer.stdin)
        _, said = importer.communicate()
        if importer.returncode != 0:
            raise TestbedError(f"{image.reference} was not imported: {said.decode(errors='replace').strip()}")

    def _parts(self, name: str) -> list[str]:
        """Digests of a stored image's config and layers; none where it is not stored by digest, as ours are."""
        _, _, digest = name.partition("@")
        if not digest:
            return []
        return parts_of_manifest(checked(self._ctr("content", "get", digest)))

    def _ctr(self, *words: str) -> list[str]:
        return self.enter([str(place_of("ctr")), f"--address={self.socket}", "--namespace=k8s.io", *words])


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


def _add(tar: tarfile.TarFile, name: str, content: Any) -> None:
    data = json.dumps(content).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
