"""Where there can be no cluster, its tests are skipped loudly, and CI fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tepui_testbed.requirements import unavailable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has what is taken away here")
_TESTS = str(Path(__file__).with_name("test_testbed.py"))


def run_without_namespaces(**environment: str) -> "subprocess.CompletedProcess[str]":
    """The tests of the real nodes, by a root that may not make namespaces."""
    pytest_argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", _TESTS]
    return subprocess.run(
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", *pytest_argv],
        env={**{key: value for key, value in os.environ.items() if key != "TEPUI_TEST_KUBECONFIG"}, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_here_it_can_be_said() -> None:
    """The reason is a sentence, or there is none."""
    why = unavailable()
    assert why is None or why.startswith("it needs ")


def test_one_loud_line_counts_what_is_skipped() -> None:
    """No test fails, none is silent: the last lines say how many were skipped and why."""
    done = run_without_namespaces(CI="")
    assert done.returncode == 0, done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("NO CLUSTER: "))
    skipped = int(line.split()[2])
    assert f"{skipped} skipped" in done.stdout
    assert "it needs network, mount and PID namespaces" in line
    assert "Operation not permitted" in line


def test_ci_fails_where_the_cluster_is_missing() -> None:
    """Under CI=true a machine without namespaces is an error, with the reason."""
    done = run_without_namespaces(CI="true")
    assert done.returncode == 1
    assert "CI must run the tests of the cluster: it needs network, mount and PID namespaces" in done.stdout
