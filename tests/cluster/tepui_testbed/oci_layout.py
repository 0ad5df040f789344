"""Images as a folder of blobs named by their digests: the OCI image specification's image layout."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that is here, in an OCI layout."""

    name: str
    """Without tag or digest."""
    digest: str
    """Of its manifest, "sha256:..."."""
    layout: Path

    @property
    def reference(self) -> str:
        """What a pod asks for: the image by its digest."""
        return f"{self.name}@{self.digest}"

    def blob(self, digest: str) -> Path:
        """The file of one of its parts."""
        return blob(self.layout, digest)


def blob(layout: Path, digest: str) -> Path:
    """The file of a blob in an OCI layout."""
    return layout / "blobs" / digest.replace(":", "/")


def parts(layout: Path, manifest_digest: str) -> list[str]:
    """Digests of an image's config and layers, the lowest layer first."""
    return parts_of_manifest(blob(layout, manifest_digest).read_text())


def parts_of_manifest(manifest: str) -> list[str]:
    """Digests of the config and the layers that a manifest (JSON) names."""
    content = json.loads(manifest)
    return [part["digest"] for part in (content["config"], *content["layers"])]


def sweep(layout: Path) -> None:
    """Remove the blobs of images that have been built anew since."""
    manifests = [entry["digest"] for entry in json.loads((layout / "index.json").read_text())["manifests"]]
    kept = {blob(layout, digest) for manifest in manifests for digest in (manifest, *parts(layout, manifest))}
    for file in (layout / "blobs" / "sha256").iterdir():
        if file not in kept:
            file.unlink()
