"""Network, mount, PID, UTS and IPC namespaces of a machine of the cluster, held by their PID 1."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tepui_testbed.processes import Process, innermost_child, spawn
from tepui_testbed.waiting import TestbedError, wait_until

_KINDS = ["--mount", "--uts", "--ipc", "--net", "--pid"]
UNSHARE = ["unshare", *_KINDS, "--propagation=private", "--mount-proc", "--fork", "--kill-child=SIGKILL"]
_INIT = Path(__file__).with_name("init.py")
_START_S = 20.0
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """A machine of the cluster: what is inside sees its own processes, mounts and network."""

    init: Process
    """Its PID 1, as the machine outside sees it."""

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside. Paths must be absolute."""
        return ["nsenter", f"--target={self.init.pid}", *_KINDS, "--", *argv]

    def enter_network(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in the network alone: the outside's processes and files stay in sight."""
        return ["nsenter", f"--net=/proc/{self.init.pid}/ns/net", "--", *argv]

    def run(self, argv: Sequence[str]) -> str:
        """Run a short command inside and return what it printed. Raises TestbedError with its words if it fails."""
        return checked(self.enter(argv))

    def start(self, argv: Sequence[str], log: Path) -> Process:
        """Start a daemon inside; returns the daemon itself, not the `nsenter` that waits for it.

        Of our environment it gets nothing: a proxy for the web would be in its way.
        """
        path = f"{Path(argv[0]).parent}{os.pathsep}{_SYSTEM_PATH}"
        outer = spawn(self.enter(argv), log, {"PATH": path})
        pid = wait_until(
            lambda: innermost_child(outer.pid, 1) if outer.alive() else _died(argv, log),
            f"{argv[0]} has started ({log})",
            _START_S,
        )
        try:
            return Process.of(pid)
        except ProcessLookupError:
            _died(argv, log)


def create(outside: Namespaces | None, log: Path, *, end_with_me: bool = False) -> Namespaces:
    """New namespaces; PID namespaces nest, so those made inside others end with them.

    With `end_with_me` they end with the calling thread, however that ends.
    """
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    argv = [*UNSHARE, sys.executable, "-I", "-S", str(_INIT), str(writer)]
    depth = 1
    if outside is not None:
        argv, depth = outside.enter(argv), 2
    if end_with_me:
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    with os.fdopen(reader, "rb") as ready:
        try:
            outermost = spawn(argv, log)
        finally:
            os.close(writer)
        if ready.read(1) != b"1":
            raise TestbedError(f"no namespaces: {log.read_text().strip()}")
    pid = innermost_child(outermost.pid, depth)
    assert pid is not None, "PID 1 has spoken, so the chain is complete"
    return Namespaces(Process.of(pid))


def checked(argv: Sequence[str]) -> str:
    """Run a short command and return what it printed. Raises TestbedError with its words if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _died(argv: Sequence[str], log: Path) -> NoReturn:
    raise TestbedError(f"{argv[0]} died at once: {log.read_text(errors='replace')[-2000:]}")
