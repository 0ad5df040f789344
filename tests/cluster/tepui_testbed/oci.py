"""Images of one program, as OCI archives: written here, byte for byte the same for the same files.

Format: OCI image specification 1.1, image-layout.md (a tar of blobs named by their SHA-256, with an index.json).
"""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME_ANNOTATION = "io.containerd.image.name"
"""Where containerd's importer looks for an image's name."""
_MEDIA = "application/vnd.oci.image"
_NOBODY = "65532:65532"
"""The user of an image: a number, so that kubelet can see that it is not root."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds."""

    name: str
    files: Mapping[str, Path]
    """Path in the image (without the leading slash) to an executable here."""
    entrypoint: Sequence[str]
    links: Mapping[str, str]
    """Path in the image to the target of a symbolic link."""


def write_archive(image: Image, archive: Path) -> Path:
    """Write the image; returns the archive, which appears whole."""
    layer = _layer(image)
    packed = gzip.compress(layer, compresslevel=1, mtime=0)
    config = _json(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": {"Entrypoint": list(image.entrypoint), "User": _NOBODY, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _described(f"{_MEDIA}.config.v1+json", config),
            "layers": [_described(f"{_MEDIA}.layer.v1.tar+gzip", packed)],
        }
    )
    entry = _described(f"{_MEDIA}.manifest.v1+json", manifest) | {"annotations": {NAME_ANNOTATION: image.name}}
    contents = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        **{f"blobs/sha256/{_digest(blob).partition(':')[2]}": blob for blob in (config, manifest, packed)},
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    with tarfile.open(unfinished, "w") as tar:
        for name, content in contents.items():
            _add(tar, name, content, 0o644)
    unfinished.replace(archive)
    return archive


def _layer(image: Image) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, source in sorted(image.files.items()):
            _add(tar, name, source.read_bytes(), 0o755)
        for name, target in sorted(image.links.items()):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _described(media: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
