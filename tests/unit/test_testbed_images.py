"""What the product's images are made of, when they are built again, and what of them travels to a node."""

import io
import json
import re
import shutil
import sys
import tarfile
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest

from tepui_testbed.containerd_store import write_archive_of
from tepui_testbed.containerfile import ROOT, TARGETS, content_key
from tepui_testbed.oci_layout import BuiltImage, parts, sweep
from tepui_testbed.template_store import clone

sys.path.insert(0, str(ROOT / "images"))
from requirements import blocks, closure, direct  # a script of the Containerfile, in no package

PROJECT = {
    "name": "tepui",
    "dependencies": ["pydantic>=2"],
    "optional-dependencies": {
        "trainer": ["torch>=2.10", "psycopg[binary]>=3.2"],
        "evaluator": ["tepui[trainer]", "scipy"],
        "all": ["tepui[evaluator,operator]"],
        "operator": ["kubernetes"],
    },
}
PINS = """\
numpy==2.4.6 \\
    --hash=sha256:01
    # via
    #   scipy
    #   torch
pydantic==2.14.3 \\
    --hash=sha256:02
    # via tepui (pyproject.toml)
scipy==1.17.1 \\
    --hash=sha256:03
    # via tepui (pyproject.toml)
torch==2.15.0 \\
    --hash=sha256:04 \\
    --hash=sha256:05
    # via
    #   tepui (pyproject.toml)
    #   timm
triton==3.9.0 \\
    --hash=sha256:06
    # via torch
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the images are made of, that a test may change."""
    ours = ("images", "spec", "operator", "trainer", "evaluator")
    for folder in ours:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*ROOT.glob("constraints*.txt"), *(ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE"))):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    """An image of two layers in a layout."""
    layout = tmp_path / "layout"
    config, base, code = (_put(layout, content) for content in (b"{}", b"a large layer", b"new code"))
    manifest = {"config": {"digest": config}, "layers": [{"digest": base}, {"digest": code}]}
    digest = _put(layout, json.dumps(manifest).encode())
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    return BuiltImage("tepui.dev/study", digest, layout)


def _put(layout: Path, content: bytes) -> str:
    digest = sha256(content).hexdigest()
    folder = layout / "blobs" / "sha256"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(content)
    return f"sha256:{digest}"


@pytest.mark.parametrize(
    ("extras", "asked"),
    [
        ([], {"pydantic"}),
        (["operator"], {"kubernetes", "pydantic"}),
        (["trainer", "evaluator"], {"pydantic", "psycopg", "scipy", "torch"}),
        (["all"], {"kubernetes", "pydantic", "psycopg", "scipy", "torch"}),
    ],
)
def test_an_image_asks_for_what_its_extras_need(extras: list[str], asked: set[str]) -> None:
    """Extras that name other extras of the project bring theirs; the project itself is not among them."""
    assert direct(PROJECT, extras) == asked


@pytest.mark.parametrize(
    ("wanted", "installed"),
    [
        ({"torch"}, ["numpy", "torch", "triton"]),
        ({"scipy"}, ["numpy", "scipy"]),
        ({"pydantic", "scipy"}, ["numpy", "pydantic", "scipy"]),
    ],
)
def test_a_layer_has_what_its_packages_need(wanted: set[str], installed: list[str]) -> None:
    """What uv wrote beside each pin leads from a package to all that it needs."""
    pins = blocks(PINS)
    assert closure(wanted, pins) == installed
    assert "".join(pins[name] for name in sorted(pins)) == PINS


def test_a_package_without_a_pin_is_named() -> None:
    """The message says how it gets one."""
    with pytest.raises(ValueError, match=r"kubernetes: not pinned in the constraints; `make lock` pins it"):
        closure(direct(PROJECT, ["operator"]), blocks(PINS))


def test_the_operator_has_no_torch() -> None:
    """The operator's image is small; the study's has all of the trainer's and evaluator's packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = blocks((ROOT / "constraints.txt").read_text())
    operator, study = (
        set(closure(direct(project, extras), pins)) for extras in (["operator"], ["trainer", "evaluator"])
    )
    heavy = {"torch", "deepspeed", "mlflow", "scipy", "nvidia-cublas"}
    assert not operator & heavy
    assert heavy <= study
    assert not {"ruff", "pytest"} & study


def test_the_containerfile_has_the_targets() -> None:
    """Every image that the tests build is a stage, and no line names a registry."""
    text = (ROOT / "images" / "Containerfile").read_text()
    assert set(TARGETS) <= set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    assert re.search(r"^ARG BASE=python:3\.11-slim$", text, re.MULTILINE)


@pytest.mark.parametrize("changed", ["spec/tepui_spec/pod.py", "constraints.txt", "images/Containerfile"])
def test_a_change_makes_a_new_image(tree: Path, changed: str) -> None:
    """Code, pins and recipe are the image's content."""
    before = content_key("study", tree)
    with (tree / changed).open("a") as file:
        file.write("\n# changed\n")
    assert content_key("study", tree) != before


def test_a_moved_module_makes_a_new_image(tree: Path) -> None:
    """The same bytes at another place are another image."""
    before = content_key("study", tree)
    (tree / "spec" / "tepui_spec" / "pod.py").rename(tree / "trainer" / "tepui_trainer" / "pod.py")
    assert content_key("study", tree) != before


def test_what_python_writes_makes_no_new_image(tree: Path) -> None:
    """Byte code is not content, and each target has a key of its own."""
    before = content_key("study", tree)
    folder = tree / "spec" / "tepui_spec" / "__pycache__"
    folder.mkdir()
    (folder / "pod.cpython-311.pyc").write_bytes(b"code")
    assert content_key("study", tree) == before
    assert content_key("operator", tree) != before


def test_only_what_a_node_lacks_travels(image: BuiltImage) -> None:
    """The archive names the image by its digest and leaves out the layers that are there."""
    config, base, code = parts(image.layout, image.digest)
    stream = io.BytesIO()
    write_archive_of(image, {base}, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        held = {member.name: tar.extractfile(member) for member in tar}
        index = held["index.json"]
        assert index is not None
        (entry,) = json.load(index)["manifests"]
    assert set(held) == {"oci-layout", "index.json"} | {
        f"blobs/{d.replace(':', '/')}" for d in (image.digest, config, code)
    }
    assert entry["digest"] == image.digest
    assert entry["annotations"] == {"io.containerd.image.name": f"tepui.dev/study@{image.digest}"}


def test_blobs_of_earlier_images_go(image: BuiltImage) -> None:
    """What no kept image consists of is removed; the rest stays."""
    kept = {image.blob(digest) for digest in (image.digest, *parts(image.layout, image.digest))}
    old = image.blob(_put(image.layout, b"old code"))
    assert old.exists()
    sweep(image.layout)
    assert set((image.layout / "blobs" / "sha256").iterdir()) == kept


def test_a_new_store_shares_the_layers_of_the_template(tmp_path: Path) -> None:
    """Unpacked layers are the same files, what containerd writes to is not; nothing half-made is left."""
    source, target = tmp_path / "template", tmp_path / "node"
    layer = "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/torch.so"
    written = (
        "io.containerd.snapshotter.v1.overlayfs/metadata.db",
        "io.containerd.metadata.v1.bolt/meta.db",
        "io.containerd.content.v1.content/blobs/sha256/abc",
    )
    for name in (layer, *written):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "io.containerd.runtime.v2.task").mkdir()
    clone(source, target)
    assert (target / layer).samefile(source / layer)
    assert {(target / name).read_text() for name in written} == set(written)
    assert not any((target / name).samefile(source / name) for name in written)
    assert {path.name for path in tmp_path.iterdir()} == {"template", "node"}
    assert {path.parts[0] for path in (p.relative_to(target) for p in target.rglob("*"))} == {
        Path(name).parts[0] for name in written
    }
