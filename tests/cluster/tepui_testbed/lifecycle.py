"""Clusters by name: one is started, taken when it runs, or ended with nothing left behind."""

import fcntl
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from tepui_testbed.api import ready
from tepui_testbed.cgroups import remove_groups
from tepui_testbed.cluster import Cluster
from tepui_testbed.node_files import GROUP
from tepui_testbed.starting import start
from tepui_testbed.state import Shape, read_state
from tepui_testbed.versions import cache
from tepui_testbed.waiting import wait_until

DEFAULT_NAME = "tepui"
_GROUPS_GONE_S = 20


def up(
    name: str = DEFAULT_NAME, *, nodes: int = 2, kwok: int = 0, kueue: bool = False, parent: int | None = None
) -> Cluster:
    """Start a cluster, or take the one of this name if it is well and of this shape.

    With `parent` it ends with that process. Raises ValueError where one of this name runs in another shape or the
    shape cannot be, and what `starting.start` raises.
    """
    shape = Shape(nodes, kwok, kueue)
    if kueue and not nodes:
        raise ValueError("kueue: it runs as a pod and needs a real node; nodes is 0")
    folder = folder_of(name)
    with _one_at_a_time(folder):
        running = read_state(folder)
        if running is not None and well(name):
            if running.shape != shape:
                raise ValueError(f"cluster {name!r} runs with {running.shape}, not {shape}: end it first")
            return Cluster(folder / "kubeconfig", folder)
        _end(folder)
        try:
            return start(folder, shape, parent)
        except BaseException:
            _stop(folder)
            raise


def down(name: str = DEFAULT_NAME) -> bool:
    """End the cluster of this name; says whether one was there. Its logs and its nodes' images stay."""
    folder = folder_of(name)
    with _one_at_a_time(folder):
        return _stop(folder)


@contextmanager
def reserved_name(prefix: str) -> Iterator[str]:
    """A name that no other process has reserved: "test-1", or "test-2" while that one is taken.

    Names come again, and with them the images that their nodes keep.
    """
    for number in count(1):
        folder = folder_of(f"{prefix}-{number}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".reserved").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder.name
            return


def folder_of(name: str) -> Path:
    """Where a cluster's keys, kubeconfig and logs are. Raises ValueError for a name that is no name of a folder."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,40}", name):
        raise ValueError(f"name: {name!r}: small letters, digits and hyphens, at most 41")
    return cache() / "run" / name


def names() -> list[str]:
    """Clusters that were started on this machine, whether or not they still run."""
    return sorted(file.parent.name for file in (cache() / "run").glob("*/cluster.json"))


def well(name: str) -> bool:
    """Whether the cluster of this name runs, all of it, and its API server answers."""
    folder = folder_of(name)
    state = read_state(folder)
    return state is not None and state.well() and ready(folder / "kubeconfig")


def _stop(folder: Path) -> bool:
    """End PID 1 of the namespaces, and with it everything in them; says whether it was alive. Logs stay."""
    state = read_state(folder)
    if state is None:
        return False
    was_there = state.control.init.alive()
    state.control.init.end(signal.SIGKILL)
    state.keeper.end(signal.SIGKILL)
    wait_until(lambda: remove_groups(f"{GROUP}/{folder.name}"), "the nodes' control groups are gone", _GROUPS_GONE_S)
    for data in ("etcd", "nodes"):
        shutil.rmtree(folder / data, ignore_errors=True)
    (folder / "cluster.json").unlink()
    return was_there


def _end(folder: Path) -> None:
    """No cluster and no traces of an earlier one."""
    _stop(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
