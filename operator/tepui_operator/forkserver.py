"""The fork server: a process that has imported what pods need, so that each pod starts with the imports done.

`python -m tepui_operator.forkserver FD MODULE...`. FD is a socket from the engine: each message is a request for a
pod, with three descriptors (the pod's socket, its log, and its request as JSON); the server says b"R" when it has
imported all modules. When the engine's end closes, the server ends, and every pod with it.

A preloaded module may have a function `after_fork()`: it is called in each pod before the stage runs.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType

from tepui_operator.interrupts import STOP_SIGNALS
from tepui_operator.pod_process import PodRequest, supervise
from tepui_operator.processes import adopt_orphans, children, kill, kill_children

READY = b"R"
LAUNCH = b"L"
DESCRIPTORS = 3
RESTARTED_IN_CHILDREN = frozenset({"jemalloc_bg_thd"})
"""Threads whose library looks after a fork by itself: Arrow's allocator."""


def serve(control: socket.socket, modules: Sequence[str]) -> None:
    """Import the modules, then fork a pod for each request until the engine is gone."""
    hooks = _preload(modules)
    adopt_orphans()
    wake = _wake_on_sigchld()
    control.sendall(READY)
    supervisors: set[int] = set()
    sources: list[socket.socket | int] = [control, wake]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wake in ready:
            os.read(wake, 4096)
            _reap(supervisors)
        if control in ready:
            try:
                message, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
            except ConnectionResetError:  # the engine was killed before it had read that we are ready
                message, descriptors = b"", []
            if not message:
                kill_children()
                return
            supervisors.add(_launch(control, descriptors, hooks))


def _preload(modules: Sequence[str]) -> list[Callable[[], None]]:
    loaded = [import_module(name) for name in modules]
    gc.collect()
    gc.freeze()  # pods share these objects' pages as long as no collection touches them
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    lost = [name for name in threads[1:] if name not in RESTARTED_IN_CHILDREN]
    if lost:
        print(f"warning: preloaded modules started the threads {', '.join(lost)}, which pods lack", flush=True)
    return [module.after_fork for module in loaded if hasattr(module, "after_fork")]


def _wake_on_sigchld() -> int:
    """A descriptor that becomes readable when a child ends."""

    def nothing(_signal: int, _frame: FrameType | None) -> None: ...

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, nothing)
    return reading


def _reap(supervisors: set[int]) -> None:
    """Forget supervisors that ended. What else is a child here was left behind by a killed one: end it."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            break
        supervisors.discard(pid)
    for orphan in set(children()) - supervisors:
        kill(orphan, signal.SIGKILL)


def _launch(control: socket.socket, descriptors: list[int], hooks: Sequence[Callable[[], None]]) -> int:
    pod_fd, log_fd, request_fd = descriptors
    pid = os.fork()
    if pid == 0:
        control.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with os.fdopen(request_fd, "rb") as body:
            body.seek(0)
            request = PodRequest(**json.load(body))
        supervise(request, socket.socket(fileno=pod_fd), log_fd, hooks)
    for descriptor in descriptors:
        os.close(descriptor)
    return pid


def main() -> None:
    """Run the server on the inherited socket."""
    control_fd, *modules = sys.argv[1:]
    for number in STOP_SIGNALS:  # a terminal or a service manager may send them to all: they are the engine's to answer
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(control_fd)) as control:
        serve(control, modules)
    sys.stdout.flush()
    os._exit(0)  # nothing here needs an orderly end, which takes the preloaded libraries seconds


if __name__ == "__main__":
    main()
