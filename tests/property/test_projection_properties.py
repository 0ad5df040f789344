"""The projections take whatever an API server can send: any JSON anywhere in an object gives a record or None."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster_objects import UID, built, failed, job_object, pod_object, study_object
from tepui_operator.child import Child
from tepui_operator.cluster.observe import observed_job, pod_ending
from tepui_operator.cluster.projection import job_record, pod_record, spec_record, status_of
from tepui_operator.observed import History
from tepui_spec.outcome import Outcome
from tepui_spec.status import ExperimentStatus

STUDY = built()
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path inside an object, its own first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, below in inner for found in places(below, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """The object with something else in one to three places."""
    made = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(made)[1:]))
        holder = made
        for key in way:
            holder = holder[key]
        holder[last] = draw(ANY_JSON)
    return made


JOB = job_object(STUDY, Child("study", "train", STUDY.trials[0], 1, History({Outcome.LOST: 1}, 2.0)), **failed())
ANALYSIS = job_object(STUDY, Child("study", "analyse", None, 1, final=True, covers=4), **failed())
POD = pod_object("j", code=1, message='{"outcome": "Crashed"}', index=1)
SPEC = {**study_object(), "status": ExperimentStatus(completed_trials="0-3").model_dump(mode="json", by_alias=True)}


@given(st.one_of(damaged(JOB), damaged(ANALYSIS), st.dictionaries(st.text(), ANY_JSON)))
def test_any_job_gives_a_record_or_none(raw: dict[str, Any]) -> None:
    """And what the planner gets of a record is made without a fault."""
    record = job_record(raw)
    if record is not None:
        assert record.attempt >= 0
        assert all(count >= 0 for count in record.history.ends.values())
        seen = observed_job(record, [])
        assert (seen.outcome is None) == (record.end is None)
        assert seen.held_s(2e9) >= 0


@given(st.one_of(damaged(POD), st.dictionaries(st.text(), ANY_JSON)))
def test_any_pod_gives_an_end(raw: dict[str, Any]) -> None:
    """An outcome and a message of bounded length."""
    assert len(pod_ending(pod_record(raw)).message) <= 1500


@given(st.one_of(damaged(SPEC), st.dictionaries(st.text(), ANY_JSON)))
def test_any_study_gives_a_status(raw: dict[str, Any]) -> None:
    """What of a status was written by another version is left out; the rest stands."""
    record = spec_record(raw)
    if record is not None:
        assert isinstance(status_of(record), ExperimentStatus)


def test_one_bad_field_of_a_status_costs_no_other() -> None:
    """The lists of trials survive a field that this version does not know, or knows otherwise."""
    status = {"completedTrials": "0-3", "phase": "Running", "shoeSize": 43, "gpuHours": "many"}
    record = spec_record({**study_object(), "status": status})
    assert record is not None
    assert status_of(record) == ExperimentStatus(completed_trials="0-3", phase="Running")


def test_only_what_a_study_controls_is_looked_at() -> None:
    """A Job with our labels and name, of another owner or of none, gives no record."""
    foreign = copy.deepcopy(JOB)
    foreign["metadata"]["ownerReferences"][0]["kind"] = "CronJob"
    assert job_record(foreign) is None
    foreign["metadata"]["ownerReferences"] = []
    assert job_record(foreign) is None
    record = job_record(JOB)
    assert record is not None
    assert record.owner == UID
