"""What the engine needs of Linux's processes beyond the standard library: prctl, and a process's children."""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def die_with_parent(parent: int) -> None:
    """End this process by SIGKILL when its parent ends; at once if that is no longer `parent`."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parents end, in whatever session they are."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Process ids of this process's children, zombies among them."""
    own, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it ended while we looked
            stat = (entry / "stat").read_text()
            # pid (name) state ppid ...: a name may hold spaces and parentheses
            if int(stat.rpartition(")")[2].split()[1]) == own:
                found.append(int(entry.name))
    return found


def kill(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_children() -> None:
    """End all children and, as an adopter of orphans, all that they leave behind; returns when none is left."""
    while True:
        for pid in children():
            kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return
