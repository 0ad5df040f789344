"""What the cluster is made of, its pinned versions, and the folder that keeps what was built, named by those pins.

A family is one Go module in `modules/`: its programs share one set of pinned dependencies. A change of a family's
files changes that family's key, and only its programs are built again.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parents[1] / "modules"
TOOLCHAIN_PINS = MODULES / "go-toolchain.txt"
GO_VERSION = (1, 26, 6)
"""The oldest Go that every family builds with: containerd's go.mod asks for it."""
KUBERNETES_VERSION = "v1.37.2"


@dataclass(frozen=True)
class Family:
    """Programs built from one pinned Go module."""

    name: str
    packages: dict[str, str]
    """Program to its Go package, in building order."""
    link_values: dict[str, str]
    """Go string variables set by the linker: what a program says its version is."""
    module: str = ""
    """Module that the assets come from."""
    assets: dict[str, str] | None = None
    """Name to path inside `module`: files that are used as they are, such as a chart."""


FAMILIES = (
    Family(
        "kubernetes",
        {
            "etcd": "go.etcd.io/etcd/server/v3",
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
            "kubelet": "k8s.io/kubernetes/cmd/kubelet",
            "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
        },
        {"k8s.io/component-base/version.gitVersion": KUBERNETES_VERSION},
    ),
    Family("pause", {"pause": "."}, {}),
    Family(
        "kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        {},
        module="sigs.k8s.io/kwok",
        assets={"kwok-stages": "kustomize/stage"},
    ),
    Family(
        "containerd",
        {
            "containerd": "github.com/containerd/containerd/v2/cmd/containerd",
            "containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            "ctr": "github.com/containerd/containerd/v2/cmd/ctr",
        },
        {},
    ),
    Family("coredns", {"coredns": "github.com/coredns/coredns"}, {}),
    Family("helm", {"helm": "helm.sh/helm/v4/cmd/helm"}, {"helm.sh/helm/v4/internal/version.version": "v4.3.1"}),
    Family(
        "kueue",
        {"kueue": "sigs.k8s.io/kueue/cmd/kueue"},
        {"sigs.k8s.io/kueue/pkg/version.GitVersion": "v0.19.2"},
        module="sigs.k8s.io/kueue",
        assets={"kueue-chart": "charts/kueue"},
    ),
)
FAMILY_OF = {name: family for family in FAMILIES for name in (*family.packages, *(family.assets or ()))}
PROGRAMS = tuple(name for family in FAMILIES for name in family.packages)
ASSETS = tuple(name for family in FAMILIES for name in family.assets or ())


def cache() -> Path:
    """The folder outside the repository that outlives clusters."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tepui" / "cluster"


def digest_of(files: Iterable[Path], *texts: str) -> str:
    """Twelve hexadecimal digits that change with any of the files (their names and bytes) or texts."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()[:12]


def family_key(family: Family, modules: Path = MODULES) -> str:
    """What the family's programs are built from, in twelve digits."""
    return digest_of((modules / family.name).iterdir(), repr(family))


def place_of(name: str) -> Path:
    """Where a program or asset is, or will be."""
    family = FAMILY_OF[name]
    return cache() / f"{family.name}-{family_key(family)}" / name


def binaries() -> Path:
    """One folder with every program, for PATH; `build` fills it."""
    return cache() / digest_of((), *(family_key(family) for family in FAMILIES)) / "bin"
