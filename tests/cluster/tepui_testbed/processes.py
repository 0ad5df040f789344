"""Daemons of a cluster: started apart from whoever starts them, named by pid and start time, ended by pid."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tepui_testbed.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be taken for a later one with the same pid."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Raises ProcessLookupError where there is no such process."""
        ticks = _start_ticks(pid)
        if ticks is None:
            raise ProcessLookupError(pid)
        return cls(pid, ticks)

    def alive(self) -> bool:
        """Whether it still runs: a zombie does not."""
        return _start_ticks(self.pid) == self.start_ticks

    def end(self, number: signal.Signals, timeout_s: float = 20) -> None:
        """Send a signal and wait until the process is gone."""
        if self.alive():
            with suppress(ProcessLookupError):  # it may end by itself right now
                os.kill(self.pid, number)
        wait_until(lambda: not self.alive(), f"process {self.pid} has ended after {number.name}", timeout_s)


def spawn(argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a process in a session of its own, its output appended to a log. It outlives its starter."""
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            dict(os.environ if environment is None else environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGHUP, signal.SIGPIPE],
        )
    return Process.of(pid)


def innermost_child(pid: int, depth: int) -> int | None:
    """The process at the end of a chain of `depth` only children; None while the chain is not complete."""
    for _ in range(depth):
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return None
        if len(children) != 1:
            return None
        pid = int(children[0])
    return pid


def _start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the process's start (proc(5), field 22); None for no process and for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
