"""Control groups of a node: its kubelet keeps its pods under a group of its own, in every hierarchy there is."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_UNIFIED_ONLY = _MOUNT / "cgroup.controllers"
_INHERITED = ("cpuset.mems", "cpuset.cpus")
"""Version 1: empty in a new group, and no process can enter it before they are filled."""


def make_groups(path: str) -> None:
    """Make the group `path` (relative, "a/b") wherever the kernel keeps groups, with all controllers."""
    for root in _roots():
        group = root
        for part in Path(path).parts:
            _give_controllers(group)
            group = group / part
            group.mkdir(exist_ok=True)
            for name in _INHERITED:
                if (group / name).exists() and not _UNIFIED_ONLY.exists():
                    (group / name).write_text((group.parent / name).read_text())


def remove_groups(path: str) -> bool:
    """Remove the group and all below it; says whether it is gone: a group that held processes goes soon after them."""
    for root in _roots():
        group = root / path
        for below in sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True):
            with suppress(OSError):
                below.rmdir()
        with suppress(OSError):
            group.rmdir()
    return not any((root / path).exists() for root in _roots())


def _roots() -> Iterator[Path]:
    if _UNIFIED_ONLY.exists():
        yield _MOUNT
    else:
        yield from (folder for folder in _MOUNT.iterdir() if (folder / "cgroup.procs").exists())


def _give_controllers(group: Path) -> None:
    """Version 2: let the group's children have its controllers."""
    if _UNIFIED_ONLY.exists():
        for controller in (group / "cgroup.controllers").read_text().split():
            with suppress(OSError):  # one that the kernel keeps for itself is not missed
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
