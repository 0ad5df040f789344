"""One look at one study where the API server says no: what is told, and when it is looked at again."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from cluster_objects import UID, built, complete, job, job_object, study_object, study_record
from tepui_operator.child import Child
from tepui_operator.cluster.errors import ConflictError, ForbiddenError
from tepui_operator.cluster.leadership import Alone
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.projection import job_record
from tepui_operator.cluster.reconcile import CREATES_AT_ONCE, Reconciler
from tepui_operator.cluster.store import Store
from tepui_operator.cluster.writer import Writer
from tepui_operator.payloads import Site
from tepui_spec.errors import TransientError

KEY = ("vision", "study")
LARGE = {"sweep": {"grid": {"model": ["tiny"], "epochs": list(range(1, 101))}}, "parallelism": 100}


class Refusing:
    """An API server that refuses to create what `refused` names, and keeps what it is told of the study."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.version = 7
        self.statuses: list[dict[str, Any]] = []
        self.found: dict[str, Any] | None = None
        self.conflicts = 0

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object, unless it is refused; taken names are those of `found`."""
        kind = body["kind"]
        if kind in self.refused:
            raise ForbiddenError(403, "Forbidden", f"exceeded quota: {kind}")
        if self.found is not None and kind == "Job":
            raise ConflictError(409, "AlreadyExists", path)
        body["metadata"] |= {"uid": f"uid-{body['metadata']['name']}", "resourceVersion": "9"}
        return body

    async def patch(self, path: str, body: Any) -> dict[str, Any]:
        """The status of the study, at its version."""
        assert path.endswith("/status")
        if body[0]["value"] != str(self.version):
            self.conflicts += 1
            raise ConflictError(409, "Conflict", path)
        self.version += 1
        self.statuses.append(body[1]["value"])
        return {"metadata": {"resourceVersion": str(self.version)}}

    async def get(self, path: str) -> dict[str, Any] | None:
        """The object of a name that is taken, or the study."""
        if "/jobs/" in path:
            return self.found
        made = study_object()
        made["metadata"]["resourceVersion"] = str(self.version)
        return made

    async def items(self, path: str, **_: str) -> list[dict[str, Any]]:
        """No pods; no right to see Workloads."""
        if path.endswith("workloads"):
            raise ForbiddenError(403, "Forbidden", "workloads is forbidden")
        return []


def reconciler(api: Refusing, **spec: Any) -> Reconciler:
    """One that knows the study."""
    store = Store(lambda _: None)
    store.put_spec(study_record(**spec))
    return Reconciler(store, Writer(api, Alone()), Metrics(), Site(), "test")  # type: ignore[arg-type]


def run(main: Coroutine[Any, Any, None]) -> None:
    """A coroutine to its end."""
    asyncio.run(main)


def test_many_children_that_are_all_refused_stall_the_study() -> None:
    """More than one look creates: it must neither ask again at once for ever nor call them in training."""

    async def main() -> None:
        api = Refusing("Job")
        looked = await reconciler(api, **LARGE).look(KEY)
        assert LARGE["parallelism"] > CREATES_AT_ONCE  # type: ignore[operator]
        assert looked.again_s is not None
        assert looked.again_s > 1.0
        (status,) = api.statuses
        stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "CreateRefused")
        assert (status["trials"]["training"], status["trials"]["waiting"]) == (0, 100)

    run(main())


def test_many_children_are_created_in_several_looks() -> None:
    """Where nothing is refused, the next look comes at once."""

    async def main() -> None:
        api = Refusing()
        one = reconciler(api, **LARGE)
        assert (await one.look(KEY)).again_s == 0.0
        await one.look(KEY)
        assert api.statuses[-1]["trials"]["training"] == 100

    run(main())


def test_a_service_that_is_refused_stalls_the_study() -> None:
    """A quota of Services holds a gang up as one of Jobs does: its owner is told."""

    async def main() -> None:
        api = Refusing("Service")
        pods = {"image": "registry.invalid/tepui@sha256:" + "0" * 64, "nodes": 2}
        await reconciler(api, pods=pods).look(KEY)
        stalled = next(c for c in api.statuses[-1]["conditions"] if c["type"] == "Stalled")
        assert stalled["reason"] == "CreateRefused"
        assert "exceeded quota" in stalled["message"]

    run(main())


def test_a_job_with_the_hash_of_no_trial_needs_no_service() -> None:
    """Labels are anybody's to write: one that is forged must not hold a gang's study up."""

    async def main() -> None:
        pods = {"image": "registry.invalid/tepui@sha256:" + "0" * 64, "nodes": 2}
        one = reconciler(Refusing(), pods=pods)
        study = built(pods=pods)
        forged = job_object(study, Child("study", "train", study.trials[0], 0), active=1)
        forged["metadata"]["labels"]["tepui.dev/trial"] = "0" * 12
        record = job_record(forged)
        assert record is not None
        one.store.put_job(record)
        assert (await one.look(KEY)).result == "done"

    run(main())


@pytest.mark.parametrize(("name", "later"), [("study", True), ("other", False)])
def test_jobs_of_a_deleted_study_of_the_same_name_are_waited_for(name: str, later: bool) -> None:
    """Garbage collection takes them in a moment; nobody is told to delete or rename anything."""

    async def main() -> None:
        api = Refusing()
        study = built()
        api.found = job_object(study, Child("study", "train", study.trials[0], 0))
        owner = {"kind": "ExperimentSpec", "name": name, "uid": "another", "controller": True}
        api.found["metadata"]["ownerReferences"] = [owner]
        one = reconciler(api)
        if later:
            with pytest.raises(TransientError, match="of a study of this name that was deleted"):
                await one.look(KEY)
        else:
            await one.look(KEY)
            assert api.statuses[-1]["conditions"][0]["reason"] == "NameTaken"

    run(main())


def test_a_queue_without_rights_to_suspend_is_told() -> None:
    """The chart's kueue.enabled is false: the study says so instead of being tried again for ever in silence."""

    async def main() -> None:
        api = Refusing()
        pods = {"image": "registry.invalid/tepui@sha256:" + "0" * 64, "queue": "vision"}
        one = reconciler(api, pods=pods, suspend=True)
        study = built(pods=pods)
        one.store.put_job(job(study, Child("study", "train", study.trials[0], 0)))
        await one.look(KEY)
        status = api.statuses[-1]
        assert status["phase"] == "Suspended"
        assert next(c for c in status["conditions"] if c["type"] == "Stalled")["reason"] == "NoKueue"

    run(main())


def test_a_store_set_back_is_written_to_again() -> None:
    """After etcd was restored from a copy, versions are lower than those that are remembered."""

    async def main() -> None:
        api = Refusing()
        one = reconciler(api)
        clock = [0.0]
        one.clock = lambda: clock[0]
        await one.look(KEY)
        api.version, clock[0] = 3, 1000.0
        study = built()
        one.store.put_job(job(study, Child("study", "train", study.trials[0], 0), **complete()))
        with pytest.raises(TransientError):
            await one.look(KEY)
        await one.look(KEY)
        assert (api.conflicts, api.version) == (1, 4)

    run(main())


def test_a_study_in_which_nothing_changes_is_not_written_again() -> None:
    """A suspended study holds no hours: there is nothing to say every two minutes."""

    async def main() -> None:
        clock = [0.0]
        api = Refusing()
        one = reconciler(api, suspend=True)
        one.clock = lambda: clock[0]
        await one.look(KEY)
        clock[0] = 1000.0
        await one.look(KEY)
        assert len(api.statuses) == 1

    run(main())


def test_an_analysis_is_no_retry() -> None:
    """Its number is not an attempt: it takes nothing from the retries that are told one by one."""

    async def main() -> None:
        one = reconciler(Refusing())
        study = built()
        for trial in study.trials:
            one.store.put_job(job(study, Child("study", "evaluate", trial, 0), **complete()))
        await one.look(KEY)
        assert f"{study.name}-analysis-1" in {found.name for found in one.store.jobs_of(UID)}
        assert one._states[KEY].retries_told == 0

    run(main())


def test_a_job_of_ours_whose_labels_were_taken_is_told() -> None:
    """It cannot be followed any more, and its owner must decide: no bug, and no other trial is held up."""

    async def main() -> None:
        api = Refusing()
        study = built()
        api.found = job_object(study, Child("study", "train", study.trials[0], 0))
        del api.found["metadata"]["labels"]["tepui.dev/attempt"]
        await reconciler(api).look(KEY)
        stalled = next(c for c in api.statuses[-1]["conditions"] if c["type"] == "Stalled")
        assert stalled["reason"] == "NameTaken"
        assert "its labels were changed" in stalled["message"]

    run(main())
