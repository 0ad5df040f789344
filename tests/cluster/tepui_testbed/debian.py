"""The Debian packages that the cluster needs beside what is built here."""

import os
import shutil
import subprocess
from collections.abc import Iterable

CLUSTER_PACKAGES = {
    "runc": "containerd starts containers with it",
    "containernetworking-plugins": "bridge, host-local, portmap and loopback of the pod network",
    "nftables": "kube-proxy's rules",
    "conntrack": "kube-proxy clears connections of UDP services with it",
    "iproute2": "links and routes between the nodes",
    "procps": "kubelet's and the tests' view of processes and sysctls",
}
IMAGE_PACKAGES = {
    "buildah": "builds images/Containerfile",
    "debootstrap": "makes the base image from Debian packages, where no registry is",
    "skopeo": "writes an image's layers once, uncompressed",
}
PACKAGES = {**CLUSTER_PACKAGES, **IMAGE_PACKAGES}


def missing_packages(wanted: Iterable[str] = tuple(PACKAGES)) -> list[str]:
    """Which of the packages are not installed; all of them where there is no dpkg."""
    return [name for name in wanted if not _is_installed(name)]


def install_packages(missing: list[str]) -> None:
    """Install them. Raises RuntimeError, with the command to give, where this process cannot."""
    if not missing:
        return
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(f"the test cluster needs Debian packages that are missing; as root: {command}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-qq", *words],
            env=quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"`{command}` failed:\n{done.stdout.strip()}")


def _is_installed(name: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    asked = ["dpkg-query", "--show", "--showformat", "${db:Status-Status}", name]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.startswith("installed")
