"""The simulated nodes run and end pods as a test says, and clusters begin and end as they should."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tepui_testbed.cluster import Cluster
from tepui_testbed.kwok import EXIT_CODE, MESSAGE, RUN_FOR, ending
from tepui_testbed.lifecycle import down, folder_of, reserved_name, up, well
from tepui_testbed.state import read_state
from tepui_testbed.waiting import wait_until
from workloads import job


def last_words(cluster: Cluster, namespace: str, job_name: str) -> tuple[int, str]:
    """Exit code and termination message of a Job's only pod."""
    (pod,) = cluster.get("pods", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={job_name}")["items"]
    end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return end["exitCode"], end["message"]


def simulated_job(namespace: str, name: str, annotations: dict[str, str], **labels: str) -> dict[str, Any]:
    """A Job whose pod says by annotations how it ends."""
    made = job(namespace, name, "never run")
    made["spec"]["template"]["metadata"] = {"annotations": annotations, "labels": labels}
    return made


def test_a_simulated_job_completes(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Without a word a pod runs and succeeds with the message of a Tepui pod."""
    kwok_cluster.apply(simulated_job(kwok_namespace, "plain", {}))
    kwok_cluster.wait("condition=Complete", "job/plain", "-n", kwok_namespace)
    assert last_words(kwok_cluster, kwok_namespace, "plain") == (0, '{"outcome": "Succeeded"}')


def test_annotations_choose_the_end(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Exit code, termination message and running time come from the pod's annotations."""
    words = '{"outcome": "Diverged", "message": "loss: \\"nan\\""}'
    said = {EXIT_CODE: "42", MESSAGE: words, RUN_FOR: "1s"}
    kwok_cluster.apply(simulated_job(kwok_namespace, "bad", said))
    kwok_cluster.wait("condition=Failed", "job/bad", "-n", kwok_namespace)
    assert last_words(kwok_cluster, kwok_namespace, "bad") == (42, words)


def test_a_stage_chooses_the_end_of_others_pods(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """A rule for pods by label goes before the general one, for pods of its own namespace only."""
    rule = ending(kwok_namespace, kwok_namespace, {"attempt": "0"}, exit_code=43, message="memory")
    kwok_cluster.apply(rule)
    kwok_cluster.apply(
        simulated_job(kwok_namespace, "first", {}, attempt="0"),
        simulated_job(kwok_namespace, "second", {}, attempt="1"),
    )
    kwok_cluster.wait("condition=Failed", "job/first", "-n", kwok_namespace)
    kwok_cluster.wait("condition=Complete", "job/second", "-n", kwok_namespace)
    assert last_words(kwok_cluster, kwok_namespace, "first") == (43, "memory")
    kwok_cluster.kubectl("delete", "stage", kwok_namespace)


def test_a_cluster_is_taken_when_it_runs(kwok_cluster: Cluster) -> None:
    """Started again it is the same one; in another shape it is refused."""
    assert kwok_cluster.folder is not None
    name, before = kwok_cluster.folder.name, kwok_cluster.state
    assert up(name, nodes=0, kwok=4).state == before
    with pytest.raises(ValueError, match="runs with 0 real and 4 simulated nodes"):
        up(name, nodes=0, kwok=5)


@pytest.mark.usefixtures("kwok_cluster")
def test_a_cluster_ends_with_its_parent() -> None:
    """Killed with SIGKILL, a test run leaves no process of its cluster behind."""
    script = (
        "import os, signal; from tepui_testbed.lifecycle import up\n"
        "up(os.environ['NAME'], nodes=0, parent=os.getpid()); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with reserved_name("orphan") as name:
        environment = {**os.environ, "NAME": name, "PYTHONPATH": str(Path(__file__).parent)}
        ended = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
        assert ended.returncode < 0
        wait_until(lambda: not well(name), "the cluster has ended", 20)
        state = read_state(folder_of(name))
        assert state is not None
        processes = [state.keeper, state.control.init, *state.daemons.values()]
        wait_until(lambda: not any(process.alive() for process in processes), "all its processes have ended", 20)
        assert down(name) is False
