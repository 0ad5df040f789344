"""A base image made of Debian's packages, as a slim Python image is: where no registry is, it stands for one."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tepui_testbed.buildah import Buildah
from tepui_testbed.versions import cache, digest_of

SUITE = "bookworm"
"""The Debian whose Python is 3.11."""
PACKAGES = ("ca-certificates", "python3-distutils", "python3.11", "python3.11-venv")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_FILE = f"FROM scratch\nCOPY . /\nENV SSL_CERT_FILE={CERTIFICATES}\n"
"""With the variable uv trusts what the machine trusts: what is behind a proxy has certificates of its own."""


def base_image(buildah: Buildah) -> str:
    """The name of the base in buildah's store, made if it is not there. Raises RuntimeError if it cannot be."""
    name = f"localhost/tepui-base:{base_key()}"
    if not buildah.has(name):
        with TemporaryDirectory(dir=cache()) as scratch:
            tree = Path(scratch) / "tree"
            _run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(tree)])
            for unneeded in ("var/cache/apt", "var/lib/apt/lists", "debootstrap"):
                shutil.rmtree(tree / unneeded, ignore_errors=True)
            file = Path(scratch) / "Containerfile"
            file.write_text(_FILE)
            buildah.build(file, tree, name)
    return name


def base_key() -> str:
    """What the base is made of, in twelve digits."""
    return digest_of((), SUITE, *PACKAGES, _FILE)


def certificates() -> Path | None:
    """The certificates that this machine trusts."""
    found = Path(os.environ.get("SSL_CERT_FILE", CERTIFICATES))
    return found.resolve() if found.exists() else None


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:].strip()}")
