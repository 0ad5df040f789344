"""The images of images/Containerfile: kept as an OCI layout, and built again when what is in them has changed.

New code is a new layer of 3 MB: the layers below, 6 GB of them, are neither built nor written again.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tepui_testbed.base_tree import CERTIFICATES, base_image, base_key, certificates
from tepui_testbed.build import exclusive
from tepui_testbed.buildah import Buildah
from tepui_testbed.debian import IMAGE_PACKAGES, install_packages, missing_packages
from tepui_testbed.namespaces import checked
from tepui_testbed.oci_layout import BuiltImage, sweep
from tepui_testbed.template_store import fill_template
from tepui_testbed.versions import cache, digest_of

ROOT = Path(__file__).parents[3]
TARGETS = ("operator", "study")
_RECIPE = ("images/Containerfile", "images/Containerfile.dockerignore", "images/requirements.py")
_PINS = ("constraints.txt", "constraints-uv.txt", "pyproject.toml")
_CODE = ("spec", "operator", "trainer", "evaluator")


def build_images(targets: Sequence[str] = TARGETS, tell: Callable[[str], None] = print) -> dict[str, BuiltImage]:
    """The product's images by target, built if this code's are not here yet; then new nodes begin with them.

    Raises RuntimeError with what the builder said if one cannot be built.
    """
    folder = cache() / "images"
    found = {target: image for target in targets if (image := _recorded(folder, target))}
    if missing := [target for target in targets if target not in found]:
        install_packages(missing_packages(IMAGE_PACKAGES))
        with exclusive("images"):
            for target in missing:
                began = time.monotonic()
                found[target] = _recorded(folder, target) or _build(Buildah(_store()), folder, target)
                tell(f"image {target:<18} {time.monotonic() - began:>6.0f} s")
            fill_template(found[target] for target in missing)
            sweep(folder / "oci")
    return {target: found[target] for target in targets}


def content_key(target: str, root: Path = ROOT) -> str:
    """What an image is made of, in twelve digits."""
    files = [root / name for name in (*_RECIPE, *_PINS, "README.md", "LICENSE")]
    files += [
        file
        for part in _CODE
        for file in (root / part).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return digest_of(files, target, base_key(), *sorted(str(file.relative_to(root)) for file in files))


def _store() -> Path:
    """buildah's store for this torch and base. Those of others go: they hold 6 GB that nothing will use again."""
    script, pins = ROOT / "images" / "requirements.py", (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    torch = checked([sys.executable, str(script), *map(str, pins), "--package", "torch"])
    store = cache() / f"buildah-{digest_of([ROOT / 'constraints-uv.txt'], torch, base_key())}"
    for other in cache().glob("buildah-*"):
        if other != store:
            Buildah(other).remove()
    return store


def _build(buildah: Buildah, folder: Path, target: str) -> BuiltImage:
    key = content_key(target)
    volumes = {_uv_cache(): "/root/.cache/uv"}
    if trusted := certificates():
        volumes[trusted] = f"{CERTIFICATES}:ro"
    name = f"localhost/{target}:built"
    recipe, ignored = (ROOT / file for file in _RECIPE[:2])
    buildah.build(
        recipe,
        ROOT,
        name,
        target=target,
        ignore_file=ignored,
        arguments={"BASE": base_image(buildah)},
        volumes=volumes,
    )
    folder.mkdir(parents=True, exist_ok=True)
    digest = buildah.export(name, folder / "oci")
    _record(folder, target, key).write_text(digest)
    return BuiltImage(f"tepui.dev/{target}", digest, folder / "oci")


def _recorded(folder: Path, target: str) -> BuiltImage | None:
    """The image of this very content, if it was built and is still here."""
    record = _record(folder, target, content_key(target))
    if not record.exists():
        return None
    image = BuiltImage(f"tepui.dev/{target}", record.read_text(), folder / "oci")
    return image if image.blob(image.digest).exists() else None


def _record(folder: Path, target: str, key: str) -> Path:
    return folder / f"{target}-{key}.digest"


def _uv_cache() -> Path:
    """uv's cache of this user: what `make setup` has fetched is not fetched again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(os.environ.get("UV_CACHE_DIR") or Path(base) / "uv")
    place.mkdir(parents=True, exist_ok=True)
    return place
