"""Leader election on a real API server, between real processes that are killed, paused and told to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lease_writer import LOST
from tepui_testbed.cluster import Cluster
from watched import Watched

SCRIPT = Path(__file__).with_name("lease_writer.py")
SHORT_S, LONG_S = 4, 300
"""Leases: one that runs out within a test, and one that must be given back to be taken within it."""
Start = Callable[[str, int], "subprocess.Popen[bytes]"]


@pytest.fixture
def history(kwok_cluster: Cluster, kwok_namespace: str) -> Iterator[Watched]:
    """Who wrote, in the order in which the API server took the writes: a watch misses none."""
    kwok_cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written", "namespace": kwok_namespace}}
    )
    with Watched(kwok_cluster, "configmap/written", "-n", kwok_namespace, path="{.data.by}") as watched:
        yield watched


@pytest.fixture
def start(kwok_cluster: Cluster, kwok_namespace: str) -> Iterator[Start]:
    """Starts a writer of that name with that length of lease; all are ended with the test."""
    with ExitStack() as stack:

        def started(name: str, lease_s: int) -> "subprocess.Popen[bytes]":
            command = [sys.executable, str(SCRIPT), kwok_namespace, name, str(lease_s)]
            writer = subprocess.Popen(command, env=kwok_cluster.environment)
            stack.callback(_end, writer)
            return writer

        yield started


def _end(writer: "subprocess.Popen[bytes]") -> None:
    writer.kill()
    writer.wait()


def test_the_next_takes_over_from_a_leader_that_was_killed(start: Start, history: Watched) -> None:
    """SIGKILL: the lease runs out, the other writes, and the killed one's name never comes back."""
    first = start("first", SHORT_S)
    history.until(lambda lines: "first" in lines)
    start("second", SHORT_S)
    first.kill()
    lines = history.until(lambda lines: lines.count("second") >= 20)
    assert lines == sorted(lines)


def test_a_leader_that_is_told_to_end_gives_the_lease_back(start: Start, history: Watched) -> None:
    """SIGTERM: the other, which would have waited for five minutes, writes at once."""
    first = start("first", LONG_S)
    history.until(lambda lines: "first" in lines)
    start("second", LONG_S)
    first.terminate()
    assert first.wait(timeout=30) == 0
    lines = history.until(lambda lines: lines.count("second") >= 20)
    assert lines == sorted(lines)


@pytest.mark.parametrize("attempt", range(4))
def test_a_leader_that_was_paused_never_writes_again(start: Start, history: Watched, attempt: int) -> None:
    """SIGSTOP at some moment between two writes, and SIGCONT when another leads: it ends without a write."""
    first = start("first", SHORT_S)
    history.until(lambda lines: lines.count("first") > 10 + 7 * attempt)
    os.kill(first.pid, signal.SIGSTOP)
    start("second", SHORT_S)
    history.until(lambda lines: "second" in lines)
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=30) == LOST
    seen = len(history.lines)
    lines = history.until(lambda lines: len(lines) >= seen + 20)
    assert lines == sorted(lines)


def test_the_lease_says_who_leads(start: Start, history: Watched, kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """`kubectl get leases` shows the holder and since when; a hand-over is counted."""
    first = start("first", LONG_S)
    history.until(lambda lines: "first" in lines)
    spec = kwok_cluster.get("lease", "writers", "-n", kwok_namespace)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("first", LONG_S, 0)
    first.terminate()
    first.wait(timeout=30)
    assert kwok_cluster.get("lease", "writers", "-n", kwok_namespace)["spec"]["holderIdentity"] == ""
    start("second", LONG_S)
    history.until(lambda lines: "second" in lines)
    spec = kwok_cluster.get("lease", "writers", "-n", kwok_namespace)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)
