"""How a Job ended, from its conditions and from what its pods left behind."""

import json
from typing import Any

import pytest

from cluster_objects import built, complete, failed, job, pod_object
from tepui_operator.child import Child
from tepui_operator.cluster.observe import needs_pods, observed_job
from tepui_operator.cluster.projection import pod_record
from tepui_operator.observed import History
from tepui_spec.outcome import Outcome

STUDY = built()
TRAIN = Child("study", "train", STUDY.trials[0], 1, History({Outcome.LOST: 1}, 2.5))
ANALYSIS = Child("study", "analyse", None, 3, final=True, covers=4)
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}
LAW = {
    "task": "mnist",
    "shots": 5,
    "law": "frontier",
    "n": 4,
    "eIr": [0.1, 0.05, None],
    "k": [1, None, None],
    "alpha": [2, 1, 3],
    "identified": "yes",
}


def report(outcome: str, **more: Any) -> str:
    """A pod's last words."""
    return json.dumps({"outcome": outcome, **more})


def test_what_a_job_carries_is_what_the_planner_gets() -> None:
    """Stage, trial, attempt and history come back from labels and annotations; times from its status."""
    seen = observed_job(job(STUDY, TRAIN, **complete()))
    assert (seen.stage, seen.trial, seen.attempt) == ("train", STUDY.trials[0].hash, 1)
    assert seen.history == TRAIN.history
    assert seen.outcome is Outcome.SUCCEEDED
    assert seen.held_s(0.0) == 600.0


def test_training_that_succeeded_needs_no_pod() -> None:
    """Only failures and analyses are asked about: the pods of 15,000 good trials are never read."""
    assert not needs_pods(job(STUDY, TRAIN, **complete()))
    assert needs_pods(job(STUDY, TRAIN, **failed()))
    assert needs_pods(job(STUDY, ANALYSIS, **complete()))


def test_a_failure_counts_once_its_pods_were_asked_for() -> None:
    """Before that the Job is still at work for the planner; with no pod left it is lost, not the trial's own fault."""
    record = job(STUDY, TRAIN, **failed())
    assert observed_job(record).outcome is None
    lost = observed_job(record, [])
    assert lost.outcome is Outcome.LOST
    assert "BackoffLimitExceeded" in lost.message


@pytest.mark.parametrize(
    ("pod", "outcome", "message"),
    [
        (pod_object("j", code=42, message=report("Diverged", message="loss is nan")), Outcome.DIVERGED, "loss is nan"),
        (pod_object("j", code=1, message="Traceback\n  boom\n"), Outcome.CRASHED, "exit code 1 on node-3: boom"),
        (pod_object("j", code=139), Outcome.CRASHED, "exit code 139 (SIGSEGV) on node-3"),
        (pod_object("j", code=137, reason="OOMKilled"), Outcome.OUT_OF_MEMORY, "OOMKilled exit code 137 (SIGKILL)"),
        (pod_object("j", code=137), Outcome.CRASHED, "exit code 137 (SIGKILL) on node-3"),
        (pod_object("j", code=143), Outcome.PREEMPTED, "SIGTERM"),
        (pod_object("j", code=44, message=report("Preempted", message="at step 7")), Outcome.PREEMPTED, "at step 7"),
        (pod_object("j", code=128, reason="StartError", message="no such file: tepui-pod"), Outcome.CRASHED, "no such"),
        (pod_object("j", code=137, reason="ContainerStatusUnknown"), Outcome.LOST, "ContainerStatusUnknown"),
        (
            pod_object("j", code=None) | {"status": EVICTED},
            Outcome.PREEMPTED,
            "Evicted on node-3: The node was low on memory",
        ),
        (
            pod_object("j", code=137, conditions=[{"type": "DisruptionTarget", "status": "True"}]),
            Outcome.PREEMPTED,
            "SIGKILL",
        ),
        (pod_object("j", code=None), Outcome.LOST, "its pod failed on node-3"),
        (pod_object("j", code=1, message=report("Data", message="a lie")), Outcome.CRASHED, "exit code 1"),
    ],
)
def test_a_pods_end_is_its_class(pod: dict[str, Any], outcome: Outcome, message: str) -> None:
    """By exit code, by what the kubelet says, and by its report where that says the same."""
    seen = observed_job(job(STUDY, TRAIN, **failed()), [pod_record(pod)])
    assert seen.outcome is outcome
    assert message in seen.message
    assert "a lie" not in seen.message


def test_a_gang_ends_with_its_cause() -> None:
    """One pod diverged, its peers noticed or were stopped; the message is the cause's own."""
    pods = [
        pod_record(pod_object("j", code=45, index=0)),
        pod_record(pod_object("j", code=42, index=1, message=report("Diverged", message="loss is nan"))),
        pod_record(pod_object("j", code=143, index=2)),
    ]
    seen = observed_job(job(STUDY, TRAIN, **failed()), pods)
    assert (seen.outcome, seen.message) == (Outcome.DIVERGED, "loss is nan")


def test_a_pods_success_is_no_reason_for_a_failure() -> None:
    """A gang whose other pods are gone without a word is lost, though one of them had succeeded."""
    seen = observed_job(job(STUDY, TRAIN, **failed()), [pod_record(pod_object("j", code=0, index=0))])
    assert seen.outcome is Outcome.LOST


def test_an_analysis_tells_its_laws() -> None:
    """They come from the termination message of its pod; without it the analysis is lost, and is repeated."""
    record = job(STUDY, ANALYSIS, **complete())
    message = report("Succeeded", laws=[LAW], report="s3://results/report.html")
    seen = observed_job(record, [pod_record(pod_object("j", message=message))])
    assert (seen.outcome, seen.final, seen.covers, seen.report) == (
        Outcome.SUCCEEDED,
        True,
        4,
        "s3://results/report.html",
    )
    assert [law.e_ir for law in seen.laws] == [(0.1, 0.05, None)]
    assert observed_job(record, []).outcome is Outcome.LOST
