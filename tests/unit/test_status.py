"""The status of a study: ranges of trials, and a size that fits one Kubernetes object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome
from tepui_spec.status import (
    MAX_LAWS,
    RECENT_FAILURES,
    Condition,
    ExperimentStatus,
    Failure,
    format_indexes,
    parse_indexes,
    rfc3339,
)


@pytest.mark.parametrize(
    ("indexes", "text"),
    [(set(), ""), ({0}, "0"), ({0, 1}, "0-1"), ({5, 0, 1, 2, 7}, "0-2,5,7"), (set(range(412)) | {413}, "0-411,413")],
)
def test_ranges_read_as_in_indexed_jobs(indexes: set[int], text: str) -> None:
    """Runs of indexes are ranges."""
    assert format_indexes(indexes) == text


@given(st.frozensets(st.integers(0, 15_000)))
def test_ranges_hold_exactly_their_indexes(indexes: frozenset[int]) -> None:
    """Text and set are the same thing."""
    assert parse_indexes(format_indexes(indexes)) == indexes


def test_the_largest_status_fits_an_object() -> None:
    """15,000 trials in the worst pattern, all failures and all laws told: far below the 1.5 MB of one object."""
    estimate = (0.123456, 0.123456, 0.123456)
    law = Headline(
        task="t" * 63, shots=25, law="frontier", n=15_000, e_ir=estimate, k=estimate, alpha=estimate, identified="yes"
    )
    failure = Failure(
        trial="f" * 12,
        index=14_999,
        stage="train",
        outcome=Outcome.CRASHED,
        attempts=99,
        job="j" * 63,
        message="m" * 500,
    )
    condition = Condition(
        type="Complete", status="True", reason="r" * 64, message="m" * 2000, last_transition_time=rfc3339(0)
    )
    status = ExperimentStatus(
        phase="Complete",
        conditions=(condition,) * 3,
        completed_trials=format_indexes(range(0, 15_000, 2)),
        failed_trials=format_indexes(range(1, 15_000, 4)),
        failures=(failure,) * RECENT_FAILURES,
        laws=(law,) * MAX_LAWS,
    )
    assert len(status.model_dump_json()) < 150_000


def test_times_are_as_kubernetes_writes_them() -> None:
    """UTC, whole seconds, Z."""
    assert rfc3339(1_700_000_000.9) == "2023-11-14T22:13:20Z"
