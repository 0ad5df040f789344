"""The engine's side of the fork server, where its other side is gone or was killed: real processes, real sockets."""

import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tepui_operator.pod_client import ForkServer, PodEnd, PodProcess
from tepui_operator.pod_process import PodRequest

NOTHING = PodRequest("train", {}, "os:getpid")


def news_of(source: ForkServer | PodProcess) -> None:
    """Return when there is something to read."""
    select.select([source], [], [])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    """A fork server that is ready."""
    made = ForkServer((), tmp_path / "server.log", os.environ)
    news_of(made)
    assert made.read()
    assert made.ready
    yield made
    made.close()


def pid_of(server: ForkServer) -> int:
    return server._process.pid


def test_a_supervisor_killed_with_a_wish_unread_is_a_lost_pod() -> None:
    """The kernel then answers with a reset, not with an end of file: no reason for the engine to die."""
    ours, theirs = socket.socketpair()
    pod = PodProcess(ours)
    pod.terminate()
    theirs.close()
    assert pod.read() == PodEnd(None)
    pod.close()


def test_a_fork_server_killed_with_a_request_unread_is_gone_and_its_pod_lost(
    server: ForkServer, tmp_path: Path
) -> None:
    """kill -9 at any moment: the request that it never read is a pod without evidence."""
    os.kill(pid_of(server), signal.SIGSTOP)
    pod = server.start(NOTHING, tmp_path / "pod.log")
    os.kill(pid_of(server), signal.SIGKILL)
    news_of(pod)
    assert pod.read() == PodEnd(None)
    news_of(server)
    assert not server.read()
    pod.close()


def test_a_pod_asked_of_a_dead_fork_server_is_lost(server: ForkServer, tmp_path: Path) -> None:
    """The engine may ask before it has heard of the death."""
    os.kill(pid_of(server), signal.SIGKILL)
    os.waitid(os.P_PID, pid_of(server), os.WEXITED | os.WNOWAIT)
    pod = server.start(NOTHING, tmp_path / "pod.log")
    assert pod.read() == PodEnd(None)
    pod.close()


def test_a_supervisor_whose_word_was_never_read_ends_its_pod(tmp_path: Path) -> None:
    """An engine that is killed before it has read a pod's first news leaves no pod, and no traceback in the log."""
    (tmp_path / "victim.py").write_text(
        "import os, signal\n"
        "def main():\n"
        "    with open(os.environ['SAY'], 'w') as file:\n"
        "        file.write(str(os.getpid()))\n"
        "    signal.pause()\n"
    )
    os.mkfifo(tmp_path / "say")
    server = ForkServer((), tmp_path / "server.log", {**os.environ, "PYTHONPATH": str(tmp_path)})
    news_of(server)
    server.read()
    pod = server.start(PodRequest("train", {"SAY": str(tmp_path / "say")}, "victim:main"), tmp_path / "pod.log")
    victim = os.pidfd_open(int((tmp_path / "say").read_text()))
    pod.close()
    select.select([victim], [], [])
    os.close(victim)
    server.close()
    assert server.log.read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_fork_server_leaves_signals_to_the_engine(server: ForkServer, tmp_path: Path, number: signal.Signals) -> None:
    """A service manager's SIGTERM reaches every process: the pods' supervisors must outlive it, for pods to save."""
    os.kill(pid_of(server), number)
    pod = server.start(PodRequest("train", {}, "os:getpid"), tmp_path / "pod.log")
    while pod.end is None:
        news_of(pod)
        pod.read()
    assert pod.end.code is not None
    pod.close()


def test_the_log_of_a_dead_fork_server_is_kept(server: ForkServer) -> None:
    """The message about its death names the log, and the next server writes to the same."""
    server.log.write_text("why it died\n")
    ForkServer((), server.log, os.environ).close()
    assert server.log.read_text().startswith("why it died\n")
