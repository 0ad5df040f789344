"""One engine at a time, and what makes it stop: real locks, signals and pipes."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tepui_operator.interrupts import Interrupts
from tepui_operator.lock import engine_lock
from tepui_operator.view import PlainView


def holder(pid: int) -> str:
    """What an engine writes into its lock."""
    return json.dumps({"pid": pid, "host": socket.gethostname(), "since": "2026-01-01T00:00:00Z"})


def enter(path: Path) -> None:
    with engine_lock(path, "study"):
        pass


def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_of_two_that_wait_for_a_dead_engines_pods_one_is_told_of_the_other(tmp_path: Path) -> None:
    """The one that comes second does not wait, in silence, for the whole run of the first."""
    path = tmp_path / "engine.lock"
    with path.open("w+") as held, ThreadPoolExecutor() as threads:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.pwrite(held.fileno(), holder(dead_process()).ljust(200).encode(), 0)
        second = threads.submit(enter, path)
        os.pwrite(held.fileno(), holder(os.getpid()).ljust(200).encode(), 0)
        try:
            with pytest.raises(ValueError, match=f"study study is being run by process {os.getpid()} on"):
                second.result(timeout=30)
        finally:
            fcntl.flock(held, fcntl.LOCK_UN)


def test_a_dead_engines_lock_is_taken_once_its_pods_have_ended(tmp_path: Path) -> None:
    """The holder on this host is gone, so the lock is its pods'."""
    path = tmp_path / "engine.lock"
    with path.open("w+") as held, ThreadPoolExecutor() as threads:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.pwrite(held.fileno(), holder(dead_process()).ljust(200).encode(), 0)
        second = threads.submit(enter, path)
        fcntl.flock(held, fcntl.LOCK_UN)
        second.result(timeout=30)
    assert json.loads(path.read_text())["pid"] == os.getpid()


def test_an_engine_that_has_just_taken_the_lock_is_another_process(tmp_path: Path) -> None:
    """Between taking the lock and writing its name there is nothing to tell but that it is held."""
    path = tmp_path / "engine.lock"
    with path.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="study study is being run by another process"):
            enter(path)


def test_a_lock_that_cannot_be_made_names_the_storage(tmp_path: Path) -> None:
    """Storage that may only be read is the user's to mend."""
    (tmp_path / "engine.lock").mkdir()
    with pytest.raises(ValueError, match=r"spec\.storage\.uri: cannot open .*engine\.lock: Is a directory"):
        enter(tmp_path / "engine.lock")


def test_under_nohup_a_hangup_stops_nothing() -> None:
    """Whoever started the engine so that it ignores SIGHUP wants it to go on; other signals still stop it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.count == 0
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupts.count == 1
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_study_outlives_whoever_read_its_lines() -> None:
    """`tepui run FILE | head`: hours of training do not end with the pipe, and what is printed later is no error."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        os.close(reading)
        view = PlainView(stream)
        view.say("nobody reads this")
        view.say("or this")
        print("the summary", file=stream, flush=True)
