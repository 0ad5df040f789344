"""Small file systems in memory, so that a disk can be full or read-only. Needs root; told loudly where that lacks."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Mount = Callable[[str], Path]
"""Makes a file system with these mount options; returns its folder."""


class Disks:
    """File systems below a folder; `close` unmounts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []

    def mount(self, options: str) -> Path:
        """A new one. Skips the test where none can be mounted."""
        folder = self._folder / f"mount{len(self._mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED: no file system can be mounted here ({done.stderr.strip()})")
        self._mounted.append(folder)
        return folder

    def close(self) -> None:
        """Unmount all."""
        for folder in self._mounted:
            subprocess.run(["umount", str(folder)], check=True)
