"""What users and clusters do to the operator, on a real API server with simulated nodes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators import (
    Operator,
    condition,
    definition,
    events_of,
    first_trial,
    jobs_of,
    status_of,
    study,
    with_laws,
)
from tepui_operator.cluster.api import Api, Json, configured
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.paths import STUDIES, path
from tepui_operator.cluster.projection import SpecRecord, spec_record
from tepui_operator.cluster.reflector import Reflection, Reflector
from tepui_testbed.cluster import Cluster
from tepui_testbed.waiting import wait_until
from workloads import job

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


MISSHAPEN = {
    "name": "tiny",
    "timm": "vit_tiny_patch16_224",
    "args": {"patch_size": 8, "embed_dim": 33, "num_heads": 2, "depth": 1},
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"pods": {}}, "spec.pods.image: missing: on a cluster give the image"),
    "model": ({"sweep": {"grid": {"model": ["vit_tinny"]}}}, "spec.sweep.grid.model[0]: vit_tinny: unknown model"),
    "shape": ({"models": [MISSHAPEN]}, "spec.models[0].args: embed_dim 33 is not divisible by num_heads 2"),
}


@pytest.mark.usefixtures("operator")
def test_bad_specs_are_told_and_hurt_no_other(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Each fails with field, value and what is allowed; the good one beside them completes; a mended one too."""
    kwok_cluster.apply(*(study(kwok_namespace, name, **spec) for name, (spec, _) in BAD.items()))
    kwok_cluster.apply(study(kwok_namespace, "good"))
    kwok_cluster.wait(COMPLETE, "exps/good", "-n", kwok_namespace)
    for name, (_, message) in BAD.items():
        kwok_cluster.wait("condition=Failed", f"exps/{name}", "-n", kwok_namespace)
        status = status_of(kwok_cluster, kwok_namespace, name)
        assert status["phase"] == "Failed"
        assert condition(status, "Failed")["reason"] == "InvalidSpec"
        assert message in condition(status, "Failed")["message"]
    kwok_cluster.apply(study(kwok_namespace, "model"))
    kwok_cluster.wait(COMPLETE, "exps/model", "-n", kwok_namespace)
    assert condition(status_of(kwok_cluster, kwok_namespace, "model"), "Failed")["status"] == "False"


@pytest.mark.usefixtures("operator")
def test_anothers_job_of_our_name_is_left_alone(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """The study stalls and says which; when the other's Job is gone it goes on by itself."""
    wanted = study(kwok_namespace, trials=2)
    name = f"study-{first_trial(wanted)}-t0"
    foreign = job(kwok_namespace, name, "true", suspend=True)
    kwok_cluster.apply(foreign)
    before = kwok_cluster.get("job", name, "-n", kwok_namespace)
    kwok_cluster.apply(wanted)
    kwok_cluster.wait("condition=Stalled", "exps/study", "-n", kwok_namespace)
    stalled = condition(status_of(kwok_cluster, kwok_namespace), "Stalled")
    assert (stalled["reason"], name in stalled["message"]) == ("NameTaken", True)
    assert kwok_cluster.get("job", name, "-n", kwok_namespace)["metadata"] == before["metadata"]
    kwok_cluster.kubectl("delete", "job", name, "-n", kwok_namespace)
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace, timeout_s=90)
    assert condition(status_of(kwok_cluster, kwok_namespace), "Stalled")["status"] == "False"


@pytest.mark.usefixtures("operator")
def test_a_pod_that_finds_no_node_is_told(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """After a while the scheduler's own words are a condition; with such a node the study goes on."""
    label = f"test/{kwok_namespace[-20:].strip('-')}"
    pods = {**study(kwok_namespace)["spec"]["pods"], "nodeSelector": {label: "yes"}}
    kwok_cluster.apply(study(kwok_namespace, trials=2, pods=pods))
    kwok_cluster.wait("condition=Stalled", "exps/study", "-n", kwok_namespace, timeout_s=90)
    stalled = condition(status_of(kwok_cluster, kwok_namespace), "Stalled")
    assert stalled["reason"] == "Unschedulable"
    assert "node affinity/selector" in stalled["message"]
    kwok_cluster.kubectl("label", "node", "kwok-1", f"{label}=yes")
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace)
    assert "Unschedulable" in events_of(kwok_cluster, kwok_namespace)


def test_a_namespace_that_is_not_watched_is_not_touched(
    kwok_cluster: Cluster, kwok_namespace: str, operator: Operator
) -> None:
    """Studies of another namespace stay without a status."""
    other = f"{kwok_namespace}-b"
    kwok_cluster.kubectl("create", "namespace", other)
    kwok_cluster.apply(study(other, "elsewhere"), study(kwok_namespace, "here"))
    kwok_cluster.wait(COMPLETE, "exps/here", "-n", kwok_namespace)
    assert status_of(kwok_cluster, other, "elsewhere") == {}
    assert operator.metric("tepui_studies") == 1
    kwok_cluster.kubectl("delete", "namespace", other, "--wait=false")


def test_a_job_deleted_by_hand_is_made_again(kwok_cluster: Cluster, kwok_namespace: str, operator: Operator) -> None:
    """The study does not wait for what will not come."""
    pods = {**study(kwok_namespace)["spec"]["pods"], "nodeSelector": {"no": "such-node"}}
    kwok_cluster.apply(study(kwok_namespace, trials=2, pods=pods, parallelism=1))
    wait_until(lambda: jobs_of(kwok_cluster, kwok_namespace), "no Job", 30)
    ((name, first),) = jobs_of(kwok_cluster, kwok_namespace).items()
    kwok_cluster.kubectl("delete", "job", name, "-n", kwok_namespace)
    wait_until(
        lambda: (
            name in (found := jobs_of(kwok_cluster, kwok_namespace))
            and found[name]["metadata"]["uid"] != first["metadata"]["uid"]
        ),
        "the Job is not made again",
        30,
    )
    assert operator.exit_code is None


@pytest.mark.usefixtures("operator")
def test_a_study_deleted_and_applied_again_at_once(kwok_cluster: Cluster, kwok_namespace: str) -> None:
    """Jobs of the deleted one have the names of the new one's: they are waited for, and nobody is told to mend that."""
    kwok_cluster.apply(study(kwok_namespace, trials=20, parallelism=10))
    wait_until(lambda: len(jobs_of(kwok_cluster, kwok_namespace)) > 9, "too few Jobs", 60)
    kwok_cluster.kubectl("delete", "exps", "study", "-n", kwok_namespace)
    kwok_cluster.apply(study(kwok_namespace, trials=20, parallelism=10))
    uid = kwok_cluster.get("exps", "study", "-n", kwok_namespace)["metadata"]["uid"]
    kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace, timeout_s=120)
    jobs = jobs_of(kwok_cluster, kwok_namespace).values()
    assert {job["metadata"]["ownerReferences"][0]["uid"] for job in jobs} == {uid}
    assert len(jobs) == 41
    assert "NameTaken" not in events_of(kwok_cluster, kwok_namespace)


def test_another_replica_takes_over(kwok_cluster: Cluster, kwok_namespace: str, tmp_path: Path) -> None:
    """Two replicas: one acts; when it is killed the other does, and the study has each Job once."""
    with_laws(kwok_cluster, kwok_namespace)
    elect = ("--leader-elect", f"--lease-namespace={kwok_namespace}")
    with Operator(kwok_cluster, tmp_path / "a.log", [kwok_namespace], *elect) as first:
        wait_until(lambda: first.metric("tepui_leader") == 1, "nobody leads", 30)
        with Operator(kwok_cluster, tmp_path / "b.log", [kwok_namespace], *elect) as second:
            assert second.metric("tepui_leader") == 0
            kwok_cluster.apply(study(kwok_namespace, trials=20, parallelism=2))
            wait_until(lambda: len(jobs_of(kwok_cluster, kwok_namespace)) > 4, "too few Jobs", 60)
            first.kill()
            kwok_cluster.wait(COMPLETE, "exps/study", "-n", kwok_namespace, timeout_s=120)
            assert second.metric("tepui_leader") == 1
            assert len(jobs_of(kwok_cluster, kwok_namespace)) == 41
    kwok_cluster.kubectl("delete", "stages", f"{kwok_namespace}-laws")


class OldApi(Api):
    """Its first list says that it is as old as the cluster."""

    lists = 0

    async def pages(self, path: str, **query: str) -> AsyncIterator[Json]:
        """The real list; the first with a resourceVersion from long ago."""
        self.lists += 1
        first = self.lists == 1
        async for page in super().pages(path, **query):
            yield {**page, "metadata": {"resourceVersion": "1"}} if first else page


def test_a_watch_that_is_too_old_lists_anew(
    kwok_cluster: Cluster, kwok_namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server answers 410, everything is listed again, and the watch goes on from there."""
    monkeypatch.setenv("KUBECONFIG", str(kwok_cluster.kubeconfig))
    seen: dict[tuple[str, str], SpecRecord] = {}

    async def main() -> None:
        metrics = Metrics()
        async with OldApi(await configured(), metrics) as api:
            reflection = Reflection(
                path(STUDIES, kwok_namespace),
                spec_record,
                lambda record: seen.update({record.key: record}),
                seen.__delitem__,
                lambda: set(seen),
            )
            running = asyncio.create_task(Reflector(api, reflection, metrics).run())
            async with asyncio.timeout(60):
                await until(lambda: api.lists == 2)
                await asyncio.to_thread(kwok_cluster.apply, study(kwok_namespace, suspend=True))
                await until(lambda: (kwok_namespace, "study") in seen)
                await asyncio.to_thread(kwok_cluster.kubectl, "delete", "exps", "study", "-n", kwok_namespace)
                await until(lambda: not seen)
            running.cancel()
            page, _ = metrics.page("")
            assert b'tepui_watch_restarts_total{reason="expired",resource="experimentspecs"} 1.0' in page

    asyncio.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    while not holds():
        await asyncio.sleep(0.05)
