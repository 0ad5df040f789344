"""The operator beside the real Kueue: whose turn it is, Kueue decides; whether there is one at all, the study."""

from pathlib import Path
from typing import Any

import pytest

from operators import Operator, condition, definition, jobs_of, status_of, study
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until
from workloads import queues


@pytest.fixture(scope="module", autouse=True)
def _definition(cluster: Cluster) -> None:
    definition(cluster)


def queued(namespace: str, queue: str = "main") -> dict[str, Any]:
    """A study of two trials of one core each, whose image nobody has: its pods begin and never run."""
    pods = {**study(namespace)["spec"]["pods"], "queue": queue, "cpus": 1, "memory": "64Mi", "sharedMemory": "64Mi"}
    return study(namespace, trials=2, pods=pods)


def suspended(cluster: Cluster, namespace: str) -> list[bool]:
    """Which of its Jobs are suspended."""
    return sorted(job["spec"]["suspend"] for job in jobs_of(cluster, namespace).values())


def active(cluster: Cluster, namespace: str) -> list[bool]:
    """Which of its Workloads Kueue may admit."""
    found = cluster.get("workloads.kueue.x-k8s.io", "-n", namespace)["items"]
    return sorted(workload["spec"].get("active", True) for workload in found)


def test_a_queued_study_is_suspended_and_goes_on(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Quota for one: one Job runs. A suspended study leaves the queue as a whole, and comes back to it."""
    cluster.apply(*queues(namespace, cpu="1"))
    with Operator(cluster, tmp_path / "operator.log", [namespace]) as operator:
        cluster.apply(queued(namespace))
        wait_until(lambda: suspended(cluster, namespace) == [False, True], "not one of two runs", 90)
        assert active(cluster, namespace) == [True, True]
        cluster.kubectl("patch", "exps", "study", "-n", namespace, "--type=merge", '-p={"spec":{"suspend":true}}')
        cluster.wait("condition=Suspended", "exps/study", "-n", namespace)
        wait_until(lambda: suspended(cluster, namespace) == [True, True], "a Job still runs", 60)
        assert active(cluster, namespace) == [False, False]
        cluster.kubectl("patch", "exps", "study", "-n", namespace, "--type=merge", '-p={"spec":{"suspend":false}}')
        wait_until(lambda: suspended(cluster, namespace) == [False, True], "it does not go on", 90)
        assert active(cluster, namespace) == [True, True]
        assert len(jobs_of(cluster, namespace)) == 2
        assert operator.metric('tepui_api_request_seconds_count{verb="patch",resource="jobs"') == 0
    cluster.kubectl("delete", "exps", "study", "-n", namespace)


def test_a_queue_that_does_not_exist_is_told(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Kueue's own words become the condition."""
    with Operator(cluster, tmp_path / "operator.log", [namespace]):
        cluster.apply(queued(namespace, queue="nowhere"))
        cluster.wait("condition=Stalled", "exps/study", "-n", namespace, timeout_s=90)
        stalled = condition(status_of(cluster, namespace), "Stalled")
        assert stalled["reason"] == "Inadmissible"
        assert "nowhere" in stalled["message"]
    cluster.kubectl("delete", "exps", "study", "-n", namespace)
