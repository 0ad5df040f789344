"""The life of a study on a real API server with simulated nodes: `tepui operator` is a real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from operators import LAW, Operator, condition, definition, events_of, first_trial, jobs_of, status_of, study, with_laws
from tepui_testbed.cluster import Cluster
from tepui_testbed.kwok import ending
from tepui_testbed.waiting import wait_until
from watched import Watched

COMPLETE = "condition=Complete"


@pytest.fixture(scope="module", autouse=True)
def _definition(kwok_cluster: Cluster) -> None:
    definition(kwok_cluster)


@pytest.fixture
def operator(kwok_cluster: Cluster, kwok_namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """One that works in the test's namespace."""
    with_laws(kwok_cluster, kwok_namespace)
    with Operator(kwok_cluster, tmp_path / "operator.log", [kwok_namespace]) as running:
        yield running
    kwok_cluster.kubectl("delete", "stages", f"{kwok_namespace}-laws")


def test_a_study_completes(kwok_cluster: Cluster, kwok_namespace: str, operator: Operator) -> None:
    """Training, evaluation, analysis; the law in `status`; events tell the story; nothing is written once more."""
    kwok_cluster.apply(study(kwok_namespace, trials=6))
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    status = status_of(kwok_cluster, kwok_namespace)
    assert status["phase"] == "Complete"
    assert status["completedTrials"] == "0-5"
    assert status["laws"] == [LAW]
    assert status["report"] == "s3://results/report.html"
    assert status["trials"]["completed"] == status["trials"]["total"] == 6
    assert len(jobs_of(kwok_cluster, kwok_namespace)) == 13
    wait_until(lambda: "AllTrialsCompleted" in events_of(kwok_cluster, kwok_namespace), "no last event", 10)
    told = events_of(kwok_cluster, kwok_namespace)
    assert told[0] == "Started"
    assert "Law" in told
    assert len(told) <= 6
    creates = operator.metric('tepui_api_request_seconds_count{verb="create",resource="jobs"')
    operator.stop()
    operator.start()
    kwok_cluster.apply(study(kwok_namespace, "second", trials=2))
    kwok_cluster.wait(COMPLETE, "exps/second", "-n", kwok_namespace)
    assert creates == 13
    assert operator.metric('tepui_api_request_seconds_count{verb="create",resource="jobs"') == 5


def test_failures_are_followed_by_class(kwok_cluster: Cluster, kwok_namespace: str, operator: Operator) -> None:
    """A crash is tried again once; a divergence is told with the pod's own words, and the rest is analysed."""
    crash = {"tepui.dev/stage": "evaluate", "tepui.dev/attempt": "0"}
    kwok_cluster.apply(ending(f"{kwok_namespace}-crash", kwok_namespace, crash, exit_code=1, message="line\nboom"))
    suspended = study(kwok_namespace, suspend=True)
    kwok_cluster.apply(suspended)
    kwok_cluster.wait("condition=Suspended", "exps/study", "-n", kwok_namespace)
    trial = first_trial(suspended)
    said = '{"outcome": "Diverged", "message": "loss is nan at step 7"}'
    diverges = {"tepui.dev/stage": "train", "tepui.dev/trial": trial}
    kwok_cluster.apply(ending(f"{kwok_namespace}-nan", kwok_namespace, diverges, exit_code=42, message=said))
    kwok_cluster.apply(study(kwok_namespace))
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    status = status_of(kwok_cluster, kwok_namespace)
    assert condition(status, "Complete")["reason"] == "SomeTrialsFailed"
    (failure,) = status["failures"]
    assert (failure["trial"], failure["outcome"], failure["attempts"]) == (trial, "Diverged", 1)
    assert failure["message"] == "loss is nan at step 7"
    evaluations = [job for name, job in jobs_of(kwok_cluster, kwok_namespace).items() if name.endswith("-e1")]
    assert len(evaluations) == 3
    assert all('"Crashed": 1' in job["metadata"]["annotations"]["tepui.dev/history"] for job in evaluations)
    assert {"Retrying", "TrialFailed"} <= set(events_of(kwok_cluster, kwok_namespace))
    assert operator.metric('tepui_api_request_seconds_count{verb="list",resource="pods"') >= 1
    kwok_cluster.kubectl("delete", "stages", f"{kwok_namespace}-crash", f"{kwok_namespace}-nan")


@pytest.mark.usefixtures("operator")
def test_a_study_is_suspended_and_goes_on(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Its pods go, its Jobs stay and go on with fresh pods; nothing counts as a failure."""
    slow = ending(f"{kwok_namespace}-slow", kwok_namespace, {"tepui.dev/stage": "train"}, run_for_ms=4000)
    kwok_cluster.apply(slow)
    kwok_cluster.apply(study(kwok_namespace, trials=2))
    with Watched(kwok_cluster, "pods", "-n", kwok_namespace, path="{.status.phase}") as pods:
        pods.until(lambda phases: "Running" in phases)
        kwok_cluster.kubectl(
            "patch", "exps", "study", "-n", kwok_namespace, "--type=merge", '-p={"spec":{"suspend":true}}'
        )
        kwok_cluster.wait("condition=Suspended", "exps/study", "-n", kwok_namespace)
    wait_until(lambda: not kwok_cluster.get("pods", "-n", kwok_namespace)["items"], "pods are still there", 30)
    held = jobs_of(kwok_cluster, kwok_namespace)
    assert held
    assert all(job["spec"]["suspend"] for job in held.values())
    kwok_cluster.kubectl(
        "patch", "exps", "study", "-n", kwok_namespace, "--type=merge", '-p={"spec":{"suspend":false}}'
    )
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    assert set(held) <= set(jobs_of(kwok_cluster, kwok_namespace))
    assert condition(status_of(kwok_cluster, kwok_namespace), "Suspended")["status"] == "False"
    assert {"Suspended", "Resumed"} <= set(events_of(kwok_cluster, kwok_namespace))
    kwok_cluster.kubectl("delete", "stage", f"{kwok_namespace}-slow")


def test_killed_again_and_again_it_computes_nothing_twice(
    kwok_cluster: Cluster, kwok_namespace: str, operator: Operator
) -> None:
    """SIGKILL at any time: every trial completes with its first Jobs, and each Job was made once."""
    kwok_cluster.apply(study(kwok_namespace, trials=40, parallelism=4))
    for done in (1, 8, 16, 30):
        wait_until(lambda n=done: ended(kwok_cluster, kwok_namespace) >= n, f"no {done} Jobs ended", 60)  # type: ignore[misc]
        operator.kill()
        operator.start()
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace, timeout_s=120)
    assert status_of(kwok_cluster, kwok_namespace)["completedTrials"] == "0-39"
    names = set(jobs_of(kwok_cluster, kwok_namespace))
    assert len([name for name in names if name.endswith("-t0")]) == 40
    assert len([name for name in names if name.endswith("-e0")]) == 40
    assert len(names) == 81


def ended(cluster: Cluster, namespace: str) -> int:
    """How many Jobs have ended."""
    return sum("completionTime" in job["status"] for job in jobs_of(cluster, namespace).values())


def test_a_study_is_deleted_while_the_operator_is_down(
    kwok_cluster: Cluster, kwok_namespace: str, operator: Operator
) -> None:
    """No finalizer holds it: everything of it goes by garbage collection."""
    kwok_cluster.apply(study(kwok_namespace))
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    operator.kill()
    kwok_cluster.kubectl("delete", "exps", "study", "-n", kwok_namespace, "--timeout=10s")
    wait_until(lambda: not jobs_of(kwok_cluster, kwok_namespace), "Jobs are still there", 60)
    operator.start()


def test_edits_are_picked_up_at_once(kwok_cluster: Cluster, kwok_namespace: str, operator: Operator) -> None:
    """More parallelism while it runs, and a budget that ends it; a finished study goes on when it is raised.

    Trials that were trained and not evaluated when the budget was spent are not trained again.
    """
    slow = ending(f"{kwok_namespace}-slow", kwok_namespace, {"tepui.dev/stage": "train"}, run_for_ms=1500)
    kwok_cluster.apply(slow)
    kwok_cluster.apply(study(kwok_namespace, trials=12, parallelism=1))
    wait_until(lambda: len(jobs_of(kwok_cluster, kwok_namespace)) == 1, "no first Job", 20)
    patch = '-p={"spec":{"parallelism":4,"budget":{"gpuHours":0.0025}}}'
    kwok_cluster.kubectl("patch", "exps", "study", "-n", kwok_namespace, "--type=merge", patch)
    wait_until(lambda: len(jobs_of(kwok_cluster, kwok_namespace)) >= 4, "parallelism was not picked up", 20)
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    status = status_of(kwok_cluster, kwok_namespace)
    assert condition(status, "Complete")["reason"] == "BudgetSpent"
    assert 0 < status["trials"]["completed"] < 12
    patch = '-p={"spec":{"budget":{"gpuHours":10}}}'
    kwok_cluster.kubectl("patch", "exps", "study", "-n", kwok_namespace, "--type=merge", patch)
    wait_until(lambda: status_of(kwok_cluster, kwok_namespace)["trials"]["completed"] == 12, "it did not go on", 60)
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    assert status_of(kwok_cluster, kwok_namespace)["analysis"]["trials"] == 12
    assert operator.exit_code is None
    kwok_cluster.kubectl("delete", "stage", f"{kwok_namespace}-slow")


@pytest.mark.usefixtures("operator")
def test_a_gang_has_its_service_and_is_one_job(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Two nodes a trial: an Indexed Job of two pods and a headless Service of its name, which goes with the Job."""
    kwok_cluster.apply(study(kwok_namespace, trials=2, pods={**study(kwok_namespace)["spec"]["pods"], "nodes": 2}))
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    training = [name for name in jobs_of(kwok_cluster, kwok_namespace) if name.endswith("-t0")]
    services = kwok_cluster.get("services", "-n", kwok_namespace)["items"]
    assert sorted(service["metadata"]["name"] for service in services) == sorted(training)
    assert all(service["spec"]["clusterIP"] == "None" for service in services)
    kwok_cluster.kubectl("delete", "job", training[0], "-n", kwok_namespace)
    wait_until(lambda: len(kwok_cluster.get("services", "-n", kwok_namespace)["items"]) == 1, "the Service stays", 60)


@pytest.mark.usefixtures("operator")
def test_an_analysis_with_a_long_task(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Of a list of 3,500 trials: the pod gets its task in a ConfigMap, which the API server takes."""
    sweep = {"list": [{"model": "tiny", "epochs": 1, "seed": seed} for seed in range(3500)]}
    kwok_cluster.apply(ending(f"{kwok_namespace}-slow", kwok_namespace, {"tepui.dev/stage": "train"}, run_for_ms=1500))
    kwok_cluster.apply(study(kwok_namespace, sweep=sweep, budget={"gpuHours": 0.001}, parallelism=1))
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    (task,) = [
        found for found in kwok_cluster.get("configmaps", "-n", kwok_namespace)["items"] if "task.json" in found["data"]
    ]
    assert task["metadata"]["name"] == "study-analysis-1"
    assert len(task["data"]["task.json"]) > 128 * 1024
    kwok_cluster.kubectl("delete", "stage", f"{kwok_namespace}-slow")
