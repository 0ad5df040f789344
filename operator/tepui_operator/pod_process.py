"""A pod on one machine: a supervisor, which is to it what a container is, and the stage's own process below it.

The supervisor holds one end of a socket whose other end is the engine's:

    engine -> supervisor    b"T"    SIGTERM for the stage's process
                            EOF     the engine is gone, or wants the pod gone: SIGKILL for everything
    supervisor -> engine    JSON lines: {"pid": ...} once it runs; {"code": ..., "cpuS": ...} when nothing of it is left
                            EOF without a code: the supervisor was killed
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from tepui_operator.interrupts import STOP_SIGNALS
from tepui_operator.processes import adopt_orphans, die_with_parent, kill, kill_children
from tepui_spec.pod import stage_main

TERMINATE = b"T"
_UNEXPECTED = 1


@dataclass(frozen=True, slots=True)
class PodRequest:
    """What one pod is to run."""

    stage: str
    env: dict[str, str]
    """Its environment, over the fork server's."""
    target: str | None = None
    """`module:function` in place of the installed stage."""


def supervise(
    request: PodRequest, engine: socket.socket, log_fd: int, after_fork: Sequence[Callable[[], None]]
) -> None:
    """Run one pod to its end; the calling process is a fresh fork and exits here."""
    server = os.getppid()
    os.setsid()
    die_with_parent(server)
    adopt_orphans()
    main = os.fork()
    if main == 0:
        engine.close()
        _run(request, log_fd, after_fork)
    os.close(log_fd)
    _say(engine, {"pid": main})
    _wait(main, engine)
    _, status = os.waitpid(main, 0)
    kill_children()
    _say(engine, {"code": os.waitstatus_to_exitcode(status), "cpuS": _cpu_s_of_children()})
    os._exit(0)


def received(link: socket.socket, limit: int) -> bytes:
    """What there is to read; nothing once the other end is gone, whether or not it had read all that was sent to it."""
    try:
        return link.recv(limit)
    except ConnectionResetError:
        return b""


def _wait(main: int, engine: socket.socket) -> None:
    """Pass the engine's wishes on until the stage's process has ended."""
    pidfd = os.pidfd_open(main)
    sources: list[socket.socket | int] = [engine, pidfd]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if pidfd in ready:
            return
        wish = received(engine, 1)
        kill(main, signal.SIGTERM if wish == TERMINATE else signal.SIGKILL)
        if not wish:
            select.select([pidfd], [], [])
            return


def _cpu_s_of_children() -> float:
    """CPU seconds of everything that was waited for: the stage's process and what it left behind."""
    times = os.times()
    return times.children_user + times.children_system


def _say(engine: socket.socket, event: dict[str, float]) -> None:
    try:
        engine.sendall(json.dumps(event).encode() + b"\n")
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the engine is gone, and nothing of the pod is left


def _run(request: PodRequest, log_fd: int, after_fork: Sequence[Callable[[], None]]) -> None:
    """The stage itself, in a process of its own session with its log as output. Never returns."""
    supervisor = os.getppid()
    os.setsid()
    die_with_parent(supervisor)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    os.close(log_fd)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(request.env)
    atexit._clear()  # what the server registered is the server's
    gc.enable()
    code = _UNEXPECTED
    try:
        for hook in after_fork:
            hook()
        code = _stage(request)()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else _UNEXPECTED if error.code else 0
    except BaseException:
        traceback.print_exc()
    _leave(code)


def _stage(request: PodRequest) -> Callable[[], int]:
    if request.target is None:
        return stage_main(request.stage)
    module, _, name = request.target.partition(":")
    found: Callable[[], int] = getattr(import_module(module), name)
    return found


def _leave(code: int) -> None:
    """End as an interpreter does: threads joined, exit handlers called, output flushed."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
