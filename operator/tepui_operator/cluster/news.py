"""What is worth an event: what happened between two statuses, so that `kubectl describe exps` tells the story. Pure.

Bounded whatever the size of a study: failures and retries are told one by one only at first, then by their number. An
event's name follows from what it tells, so that telling it again, after a restart, is no second event.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tepui_operator.child import Child
from tepui_spec.headline import Headline
from tepui_spec.status import Condition, ExperimentStatus

NOTE_LIMIT = 1000
TOLD_ONE_BY_ONE = 5
_QUARTERS = (0.25, 0.5, 0.75)
_LAWS_TOLD = 5


@dataclass(frozen=True, slots=True)
class News:
    """One event."""

    reason: str
    note: str
    key: str
    """What tells it apart from other events of the study: part of a DNS name."""
    type: Literal["Normal", "Warning"] = "Normal"
    action: str = "Reconcile"


def news(before: ExperimentStatus, after: ExperimentStatus, parallelism: int) -> list[News]:
    """What happened between two statuses that were written."""
    return [
        *_begin(before, after, parallelism),
        *_progress(before, after),
        *_failures(before, after),
        *_laws(before, after),
        *_conditions(before, after),
    ]


def retries(created: Iterable[Child], told: int) -> list[News]:
    """Further attempts that were created, when `told` have been told of."""
    found = []
    for child in created:
        if child.attempt == 0 or child.trial is None:
            continue
        told += 1
        if told <= TOLD_ONE_BY_ONE or _round(told):
            ends = ", ".join(f"{end} {n}" for end, n in sorted(child.history.ends.items()))
            note = f"{child.stage}, attempt {child.attempt + 1} at trial {child.trial.hash}, after {ends or 'its loss'}"
            more = "" if told <= TOLD_ONE_BY_ONE else f" ({told} retries so far)"
            found.append(News("Retrying", note + more, f"retry-{child.name}", "Warning", "Create"))
    return found


def _begin(before: ExperimentStatus, after: ExperimentStatus, parallelism: int) -> Iterator[News]:
    if before.start_time is None and after.start_time is not None:
        note = f"{after.trials.total:,} trials, {parallelism} at a time, the cheapest first"
        yield News("Started", note, "started", action="Create")


def _progress(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[News]:
    total, done, was = after.trials.total, after.trials.completed, before.trials.completed
    reached = [share for share in _QUARTERS if was < share * total <= done < total]
    if reached:
        failed = f", {after.trials.failed:,} failed" if after.trials.failed else ""
        note = f"{done:,} of {total:,} trials completed{failed}; {after.gpu_hours:.3g} hours held"
        yield News("Progress", note, f"progress-{int(100 * reached[-1])}")


def _failures(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[News]:
    first = before.trials.failed
    known = {failure.job for failure in before.failures}
    new = [failure for failure in after.failures if failure.job not in known]
    for failure in new[: max(0, TOLD_ONE_BY_ONE - first)]:
        attempts = f"attempt {failure.attempts}"
        note = f"trial {failure.trial} ended {failure.outcome} in {failure.stage}, {attempts}: {failure.message}"
        yield News("TrialFailed", note, f"failed-{failure.job}", "Warning", "GiveUp")
    marks = [n for n in range(max(first, TOLD_ONE_BY_ONE) + 1, after.trials.failed + 1) if _round(n)]
    if marks:
        classes = ", ".join(f"{outcome} {n:,}" for outcome, n in sorted(after.failures_by_class.items()))
        note = f"{after.trials.failed:,} of {after.trials.total:,} trials failed: {classes}"
        yield News("TrialsFailed", note, f"failures-{marks[-1]}", "Warning", "GiveUp")


def _round(number: int) -> bool:
    """1, 2 or 5 followed by zeros."""
    return str(number).rstrip("0") in ("1", "2", "5")


def _laws(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[News]:
    analysis = after.analysis
    if analysis.number <= before.analysis.number:
        return
    kind = "final" if analysis.final else "interim"
    if analysis.outcome != "Succeeded":
        note = f"the {kind} analysis ended {analysis.outcome}: {analysis.message}"
        yield News("AnalysisFailed", note, f"analysis-{analysis.number}", "Warning", "Analyse")
    elif after.laws:
        more = f"; and {len(after.laws) - _LAWS_TOLD} more in status.laws" if len(after.laws) > _LAWS_TOLD else ""
        told = "; ".join(map(_law, after.laws[:_LAWS_TOLD]))
        note = f"{kind} analysis of {analysis.trials:,} trials: {told}{more}"
        yield News("Law", note, f"analysis-{analysis.number}", action="Analyse")


def _law(law: Headline) -> str:
    value, low, high = law.e_ir
    what = f"{law.task} at {law.shots} shots: e_IR"
    if law.identified == "no" or (value is None and high is None):
        return f"{what} not identified"
    if law.identified == "at_most":
        return f"{what} at most {high:g}"
    interval = f" [{'-' if low is None else f'{low:g}'}, {'-' if high is None else f'{high:g}'}]"
    return f"{what}{interval}" if value is None or law.identified == "weak" else f"{what} {value:g}{interval}"


def _conditions(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[News]:
    for condition in after.conditions:
        known = before.condition(condition.type)
        held = known is not None and known.status == "True"
        if condition.status == "True" and (not held or known != condition):
            bad = condition.type in ("Failed", "Stalled")
            yield News(condition.reason, condition.message, _key(condition), "Warning" if bad else "Normal")
        elif condition.status == "False" and held and condition.type in ("Suspended", "Stalled"):
            reason = "Resumed" if condition.type == "Suspended" else "GoingOn"
            yield News(reason, f"no longer {condition.type.lower()}", _key(condition))


def _key(condition: Condition) -> str:
    moment = re.sub(r"[^0-9]", "", condition.last_transition_time)
    return f"{condition.type}-{condition.reason}-{moment}".lower()
