"""The events of a study: what is told, how often, and under which names."""

from typing import Any

from cluster_objects import built
from tepui_operator.child import Child
from tepui_operator.cluster.news import news, retries
from tepui_operator.observed import History
from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome
from tepui_spec.status import AnalysisState, Condition, ExperimentStatus, Failure, TrialCounts

STUDY = built()


def status(completed: int = 0, failed: int = 0, total: int = 200, **more: Any) -> ExperimentStatus:
    """A status with these counts, and the failures that they stand for."""
    failures = tuple(
        Failure(trial=f"{i:012x}", index=i, stage="train", outcome=Outcome.DIVERGED, attempts=1, job=f"j{i}")
        for i in range(max(0, failed - 20), failed)
    )
    counts = TrialCounts(total=total, waiting=total - completed - failed, completed=completed, failed=failed)
    known: dict[str, Any] = {"start_time": "2026-11-24T13:00:00Z", "failures": failures}
    known["failures_by_class"] = {Outcome.DIVERGED: failed} if failed else {}
    return ExperimentStatus(trials=counts, **{**known, **more})


def reasons(before: ExperimentStatus, after: ExperimentStatus) -> list[str]:
    """Reasons of the events between two statuses."""
    return [one.reason for one in news(before, after, 8)]


def test_nothing_new_is_no_news() -> None:
    """A status written again tells nothing again."""
    after = status(60, 3)
    assert news(after, after, 8) == []


def test_a_whole_story_is_short() -> None:
    """15,000 trials, a third of which fail, in steps of 71: a score of events, each name once."""
    told, before = [], ExperimentStatus()
    for done in range(0, 15_001, 71):
        after = status(done - done // 3, done // 3, total=15_000)
        told += news(before, after, 8)
        before = after
    assert 12 <= len(told) <= 20
    assert len({one.key for one in told}) == len(told)
    assert told[0].reason == "Started"
    assert sum(one.reason == "TrialFailed" for one in told) == 5
    assert told[-1].reason in ("Progress", "TrialsFailed")


def test_the_laws_are_told() -> None:
    """Values with their intervals; what is not identified is said to be so."""
    law = Headline(
        task="pets",
        shots=5,
        law="frontier",
        n=9,
        e_ir=(0.04, 0.03, 0.05),
        k=(1, 1, 1),
        alpha=(2, 2, 2),
        identified="yes",
    )
    open_law = law.model_copy(update={"task": "dtd", "identified": "no", "e_ir": (None, None, None)})
    analysis = AnalysisState(number=1, final=True, trials=9, outcome=Outcome.SUCCEEDED)
    (told,) = news(status(9), status(9, analysis=analysis, laws=(law, open_law)), 8)
    assert told.reason == "Law"
    assert told.note == (
        "final analysis of 9 trials: pets at 5 shots: e_IR 0.04 [0.03, 0.05]; dtd at 5 shots: e_IR not identified"
    )


def test_conditions_come_and_go() -> None:
    """A condition is told when it begins to hold, and suspension and trouble when they are over."""
    moment = "2026-11-24T13:00:00Z"
    held = Condition(type="Stalled", status="True", reason="ErrImagePull", message="no", last_transition_time=moment)
    over = Condition(type="Stalled", status="False", reason="NotStalled", last_transition_time=moment)
    assert reasons(status(), status(conditions=(held,))) == ["ErrImagePull"]
    assert reasons(status(conditions=(held,)), status(conditions=(held,))) == []
    assert reasons(status(conditions=(held,)), status(conditions=(over,))) == ["GoingOn"]
    complete = held.model_copy(update={"type": "Complete", "reason": "AllTrialsCompleted"})
    (told,) = news(status(), status(conditions=(complete,)), 8)
    assert (told.type, told.key) == ("Normal", "complete-alltrialscompleted-20261124130000")


def test_retries_are_told_at_first_and_then_counted() -> None:
    """Five by name, then at 10, 20, 50 and so on."""
    children = [
        Child("study", "train", STUDY.trials[0], attempt, History({Outcome.CRASHED: attempt})) for attempt in range(61)
    ]
    told = retries(children, 0)
    assert [one.note.split("attempt ")[1].split(" ")[0] for one in told] == ["2", "3", "4", "5", "6", "11", "21", "51"]
    assert told[0].note == f"train, attempt 2 at trial {STUDY.trials[0].hash}, after Crashed 1"
    assert retries(children[:1], 0) == []
