"""Small decisions of the driver for a cluster: what matters, what is urgent, what is wrong, which error is which."""

from dataclasses import replace

import pytest

from cluster_objects import UID, built, complete, job, study_object, study_record
from tepui_operator.child import Child
from tepui_operator.cluster import errors
from tepui_operator.cluster.building import build
from tepui_operator.cluster.paths import JOBS, STUDIES, path
from tepui_operator.cluster.projection import PodRecord, spec_record
from tepui_operator.cluster.status_write import changed, patch, urgent
from tepui_operator.cluster.store import Store
from tepui_operator.cluster.trouble import Trouble, refused, why_waiting, with_trouble
from tepui_operator.payloads import Site
from tepui_spec.errors import TransientError
from tepui_spec.status import ExperimentStatus, TrialCounts

STUDY = built()
TRAIN = Child("study", "train", STUDY.trials[0], 0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, errors.InvalidError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.GoneError),
        (413, errors.InvalidError),
        (422, errors.InvalidError),
        (429, errors.UnansweredError),
        (500, errors.UnansweredError),
        (503, errors.UnansweredError),
        (418, errors.ApiError),
    ],
)
def test_answers_are_sorted(code: int, kind: type[Exception]) -> None:
    """Another try helps where the server says so, and only there."""
    error = errors.error_of(code, b'{"kind": "Status", "reason": "Why", "message": "because"}', "7", "get /x")
    assert type(error) is kind
    assert isinstance(error, TransientError) == (kind is errors.UnansweredError)
    assert str(error) == "get /x: because"
    if isinstance(error, errors.UnansweredError):
        assert error.retry_after_s == 7.0


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"message": null}', b"\xff"])
def test_an_answer_may_be_anything(body: bytes) -> None:
    """A proxy in between sends what it likes; the error still says what was asked."""
    assert "get /x" in str(errors.error_of(502, body, "Wed, 21 Oct 2026 07:28:00 GMT", "get /x"))


def test_paths() -> None:
    """Collections in all namespaces and in one, objects and subresources."""
    assert path(JOBS) == "/apis/batch/v1/jobs"
    assert path(JOBS, "vision", "x") == "/apis/batch/v1/namespaces/vision/jobs/x"
    assert path(STUDIES, "v", "x", "status") == "/apis/tepui.dev/v1alpha1/namespaces/v/experimentspecs/x/status"


def test_only_what_can_change_a_plan_wakes_a_study() -> None:
    """A Job that comes, ends or goes does; pods that are placed or ready do not; nor does our own status."""
    woken: list[tuple[str, str]] = []
    store = Store(woken.append, now=lambda: 100.0)
    store.put_job(job(STUDY, TRAIN))
    store.put_job(job(STUDY, TRAIN, active=1, ready=0, startTime="2026-11-24T13:00:00Z"))
    store.put_job(job(STUDY, TRAIN, active=1, ready=1, startTime="2026-11-24T13:00:00Z"))
    assert woken == [("vision", "study")]
    store.put_job(job(STUDY, TRAIN, **complete()))
    store.drop_job(("vision", TRAIN.name))
    assert len(woken) == 3
    store.put_spec(study_record())
    store.put_spec(replace(study_record(), version="8"))
    assert len(woken) == 4
    store.put_spec(replace(study_record(), version="9", generation=2))
    assert len(woken) == 5


def test_a_job_holds_resources_from_when_its_pod_was_ready() -> None:
    """Pods that wait for a node hold nothing, and what was held before a suspension still counts."""
    clock = [1000.0]
    store = Store(lambda _: None, now=lambda: clock[0])
    begun = {"active": 1, "startTime": "1970-01-01T00:00:10Z"}
    store.put_job(job(STUDY, TRAIN, **begun))
    store.put_job(job(STUDY, TRAIN, **begun, ready=1))
    clock[0] = 1600.0
    (record,) = store.jobs_of(UID)
    assert record.began_at == 1000.0
    suspended = replace(job(STUDY, TRAIN), suspended=True)
    store.put_job(suspended)
    (record,) = store.jobs_of(UID)
    assert (record.began_at, record.held_s) == (None, 600.0)


def test_a_job_met_as_ready_holds_resources_from_its_start() -> None:
    """Its node falls silent, and its pod counts as unready for a while: an operator that came later counts it all."""
    clock = [1000.0]
    store = Store(lambda _: None, now=lambda: clock[0])
    begun = {"active": 1, "startTime": "1970-01-01T00:10:00Z"}
    store.put_job(job(STUDY, TRAIN, **begun, ready=1))
    for ready in (0, 1):
        store.put_job(job(STUDY, TRAIN, **begun, ready=ready))
        (record,) = store.jobs_of(UID)
        assert record.began_at == 600.0
    store.put_job(replace(job(STUDY, TRAIN), suspended=True))
    (record,) = store.jobs_of(UID)
    assert (record.began_at, record.held_s) == (None, 400.0)


def test_a_job_created_is_not_put_over_news_of_it() -> None:
    """The answer to a create may come after the watch has told that the Job has ended."""
    store = Store(lambda _: None)
    ended = job(STUDY, TRAIN, **complete())
    store.put_job(ended)
    store.put_created(job(STUDY, TRAIN))
    assert store.jobs_of(UID) == [ended]


def test_a_job_found_where_it_was_to_be_created_is_looked_at() -> None:
    """It had been let go, and has ended: nothing else would wake its study."""
    woken: list[tuple[str, str]] = []
    Store(woken.append).put_created(job(STUDY, TRAIN, **complete()))
    assert woken == [("vision", "study")]


def test_a_spec_that_cannot_run_on_a_cluster_is_refused_by_field() -> None:
    """What the API server could not see: no image, paths of one machine, a model that timm does not know."""
    for spec, field in (
        ({"pods": {}}, "spec.pods.image: missing"),
        ({"storage": {"uri": "results"}}, "spec.storage.uri: results: a relative path"),
        ({"sweep": {"grid": {"model": ["vit_tinny"]}}}, r"spec.sweep.grid.model\[0\]: vit_tinny: unknown model"),
    ):
        record = spec_record(study_object(**spec))
        assert record is not None
        with pytest.raises(ValueError, match=f"^{field}"):
            build(record, Site())


def test_a_refused_spec_fails_before_its_first_trial_and_stalls_after_it() -> None:
    """What runs goes on; the condition says why nothing follows."""
    new = refused(ExperimentStatus(), "spec.x: 1: no", 3, 0.0)
    assert (new.phase, new.observed_generation) == ("Failed", 3)
    assert new.condition("Failed").message == "spec.x: 1: no"  # type: ignore[union-attr]
    running = ExperimentStatus(phase="Running", trials=TrialCounts(total=4, training=4))
    held = refused(running, "spec.x: 1: no", 3, 0.0)
    assert (held.phase, held.condition("Stalled").reason) == ("Running", "InvalidSpec")  # type: ignore[union-attr]


def test_why_pods_do_not_begin() -> None:
    """The first pod that says why; no pod at all; and nothing where they begin or have just ended."""
    held = PodRecord("p", "j", 0, "Pending", reason="ImagePullBackOff", message="not found")
    assert why_waiting("j", [held]) == Trouble("ImagePullBackOff", "pod p does not begin: not found")
    assert why_waiting("j", []).reason == "NoPod"  # type: ignore[union-attr]
    assert why_waiting("j", [replace(held, phase="Failed")]) is None
    assert why_waiting("j", [replace(held, reason="ContainerCreating")]) is None


def test_what_is_urgent_and_what_is_new() -> None:
    """Phases and conditions are; counts can wait; hours alone are no news."""
    before = ExperimentStatus(phase="Running")
    assert urgent(before, before.model_copy(update={"phase": "Complete"}))
    assert urgent(before, with_trouble(before, Trouble("NameTaken", ""), 0.0))
    counted = before.model_copy(update={"trials": TrialCounts(total=4, waiting=4)})
    assert not urgent(before, counted)
    assert changed(before, counted)
    assert not changed(before, before.model_copy(update={"gpu_hours": 3.0}))


def test_a_status_is_replaced_as_a_whole_at_its_version() -> None:
    """No null is sent, and nothing of the old one can stay."""
    version, status = patch(ExperimentStatus(phase="Running"), "41")
    assert version == {"op": "replace", "path": "/metadata/resourceVersion", "value": "41"}
    assert (status["op"], status["path"]) == ("add", "/status")
    assert None not in status["value"].values()


def test_hours_are_written_as_they_are_shown() -> None:
    """`kubectl get` prints the number as it is: millionths of an hour tell nobody anything. The sum keeps them."""
    status = patch(ExperimentStatus(gpu_hours=1.234567, settled_gpu_hours=0.123456), "41")[1]["value"]
    assert (status["gpuHours"], status["settledGpuHours"]) == (1.235, 0.123456)


def test_nothing_is_held_of_a_study_whose_last_job_went_after_it() -> None:
    """Garbage collection takes Jobs after their study: news of them on the way out must not stay in memory."""
    store = Store(lambda _: None)
    store.put_job(job(STUDY, TRAIN))
    store.drop_job(("vision", TRAIN.name))
    assert store.job_keys() == set()
    assert not store._jobs
