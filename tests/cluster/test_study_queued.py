"""A study in Kueue's queue, with real training: trials wait for their turn, are preempted, and lose nothing by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from digit_study import LONG, SOON_S, digit_study, has_checkpoint, resumed, trials_of
from operators import jobs_of
from study_site import Manifest, Site, install, rows_of, uninstall
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until
from workloads import priority, queues

pytestmark = pytest.mark.timeout(1800)
"""More than a dozen pods import torch: minutes on idle cores, and a multiple of that on busy ones."""

QUOTA = "1800m"
"""Two trials of 0.9 cores."""


@pytest.fixture
def site(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Site]:
    """The chart, a queue for two trials, and a priority that preempts."""
    site = install(cluster, namespace, tmp_path, replicas=1)
    cluster.apply(*queues(namespace, QUOTA, preemption={"withinClusterQueue": "LowerPriority"}))
    cluster.apply(priority(namespace, 1000))
    yield site
    uninstall(site)


def test_a_preempted_trial_goes_on_where_it_was(site: Site) -> None:
    """Six trials queue for two places and all complete; an urgent study takes both places from them meanwhile.

    The preempted trial resumes from its checkpoint, no attempt is spent, and all rows are those of `tepui run`.
    """
    study = digit_study(site, "patient", [*((1, seed) for seed in range(5)), (LONG, 0)], queue="main")
    urgent = digit_study(site, "urgent", [(1, 9)], queue="main", cpus=1.8, priorityClass=site.namespace)
    site.cluster.apply(study)
    wait_until(lambda: suspended(site) == [False, False, True, True, True, True], "two of six run", SOON_S)

    (longest,) = (trial.hash for trial in trials_of(study) if trial.config.recipe.epochs == LONG)
    wait_until(lambda: has_checkpoint(site, "patient", longest), "the longest trial has a checkpoint", SOON_S)
    site.cluster.apply(urgent)
    site.complete("urgent")
    status = site.complete("patient")

    preempted = f"patient-{longest}-t0"
    assert preempted in evicted(site)
    assert resumed(site, preempted)
    assert status["trials"]["completed"] == 6
    assert status.get("failuresByClass", {}) == {}
    jobs = jobs_of(site.cluster, site.namespace)
    attempts = [name for name, job in jobs.items() if job["metadata"]["labels"]["tepui.dev/attempt"] != "0"]
    assert [name for name in attempts if "-analysis-" not in name] == []
    assert site.rows("patient") == rows_of(site.run_locally(study))


def suspended(site: Site) -> list[bool]:
    """Which Jobs are suspended."""
    return sorted(job["spec"]["suspend"] for job in jobs_of(site.cluster, site.namespace).values())


def evicted(site: Site) -> set[str]:
    """Jobs that Kueue has preempted, now or before."""
    workloads: list[Manifest] = site.cluster.get("workloads.kueue.x-k8s.io", "-n", site.namespace)["items"]
    return {
        workload["metadata"]["ownerReferences"][0]["name"]
        for workload in workloads
        for eviction in workload["status"].get("schedulingStats", {}).get("evictions", [])
        if eviction["reason"] == "Preempted"
    }
