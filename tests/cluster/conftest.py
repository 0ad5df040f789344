"""Clusters for the tests: real nodes, simulated nodes, and a namespace for each test.

TEPUI_TEST_KUBECONFIG names a cluster that is used instead of one that is started here.
"""

import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tepui_testbed.cluster import Cluster
from tepui_testbed.lifecycle import down, reserved_name, up
from tepui_testbed.requirements import unavailable

_FOREIGN = "TEPUI_TEST_KUBECONFIG"
_NUMBERS = count(1)
_SKIPPED: list[str] = []
_NO_CLUSTER = "no cluster here"
_NAME_CHARACTERS = 40


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two real nodes with Kueue, or the cluster of TEPUI_TEST_KUBECONFIG."""
    if os.environ.get(_FOREIGN):
        yield _given(Path(os.environ[_FOREIGN]))
    else:
        yield from _own("test", nodes=2, kueue=True)


@pytest.fixture(scope="session")
def kwok_cluster() -> Iterator[Cluster]:
    """Four nodes that KWOK simulates: pods run and end as a test says (tepui_testbed.kwok)."""
    yield from _own("simulated", nodes=0, kwok=4)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace on the real nodes, where Pod Security is `restricted`."""
    yield from _namespace(cluster, request)


@pytest.fixture
def kwok_namespace(kwok_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace on the simulated nodes."""
    yield from _namespace(kwok_cluster, request)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Count what is skipped for want of a cluster."""
    if call.excinfo is not None and _NO_CLUSTER in str(call.excinfo.value):
        _SKIPPED.append(item.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One loud line."""
    if _SKIPPED:
        terminalreporter.write_line(
            f"NO CLUSTER: {len(_SKIPPED)} tests of the cluster were SKIPPED: {unavailable()}", red=True, bold=True
        )


def _own(prefix: str, *, nodes: int, kwok: int = 0, kueue: bool = False) -> Iterator[Cluster]:
    """A cluster of this session's own: it ends with the session, however that ends."""
    if why := unavailable():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests of the cluster: {why}", pytrace=False)
        pytest.skip(f"{_NO_CLUSTER}: {why}")
    with reserved_name(prefix) as name:
        try:
            yield up(name, nodes=nodes, kwok=kwok, kueue=kueue, parent=os.getpid())
        finally:
            down(name)


def _given(kubeconfig: Path) -> Cluster:
    """Somebody's cluster; where `tepui_testbed up` started it, its machines can be reached too."""
    ours = (kubeconfig.parent / "cluster.json").exists()
    return Cluster(kubeconfig, kubeconfig.parent if ours else None)


def _namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    words = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:_NAME_CHARACTERS]
    name = f"{words.strip('-')}-{os.getpid()}-{next(_NUMBERS)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
