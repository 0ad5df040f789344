"""The sums of a study, from its trials' standings to the status. Pure.

A trial is settled once the status lists it as completed or failed; from then on its Jobs no longer count, and may go.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from tepui_operator.alike import CommonCause, common_cause
from tepui_operator.analyses import AnalysisStep
from tepui_operator.child import Child
from tepui_operator.observed import Observed
from tepui_operator.settled import Settled
from tepui_operator.standing import Standing
from tepui_operator.study import Study
from tepui_spec.headline import e_ir_text, to_look_at_first
from tepui_spec.outcome import Outcome
from tepui_spec.status import (
    RECENT_FAILURES,
    Condition,
    ConditionType,
    ExperimentStatus,
    Failure,
    Phase,
    TrialCounts,
    rfc3339,
)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Where the whole study stands."""

    settled: Settled
    counts: TrialCounts
    failures: tuple[Failure, ...]
    failures_by_class: dict[Outcome, int]
    settled_hours: float
    """Held by trials and analyses that have ended."""
    hours: float
    """Held by all pods so far."""
    budget_hours: float | None
    idle: bool
    """No Job of a trial is at work."""
    common_cause: CommonCause | None
    """Why every trial would fail, where none has completed and those that failed say the same."""

    @property
    def budget_spent(self) -> bool:
        """Whether no further pod of a trial may start. The final analysis may: it costs little and is the answer."""
        return self.budget_hours is not None and self.hours >= self.budget_hours

    @property
    def starts_no_more(self) -> bool:
        """Whether no further pod of a trial may start, for want of budget or of hope."""
        return self.budget_spent or self.common_cause is not None

    @property
    def concluded(self) -> bool:
        """Whether nothing more will be completed as things stand."""
        all_settled = self.counts.completed + self.counts.failed == self.counts.total
        return all_settled or (self.idle and self.starts_no_more)


def reckon(
    study: Study, observed: Observed, before: Settled, standings: list[Standing], analyses: AnalysisStep
) -> Reckoning:
    """Add what the standings say to what was settled `before`."""
    status = observed.status
    ended = [s for s in standings if s.state in ("completed", "failed")]
    failures = tuple(s.failure for s in ended if s.failure is not None)
    place = study.place
    settled = before.with_ends(
        completed=(place[s.trial.hash] for s in ended if s.state == "completed"),
        failed=(place[failure.trial] for failure in failures),
    )
    by_class = dict(status.failures_by_class)
    for failure in failures:
        by_class[failure.outcome] = by_class.get(failure.outcome, 0) + 1
    states = Counter(s.state for s in standings)
    counts = TrialCounts(
        total=len(study.trials),
        waiting=states["waiting"] + len(study.trials) - len(before) - len(standings),
        training=states["training"],
        evaluating=states["evaluating"],
        completed=settled.completed.bit_count(),
        failed=settled.failed.bit_count(),
    )
    budget = study.experiment.spec.budget
    settled_hours = status.settled_gpu_hours + analyses.settled_hours
    recent = (*status.failures, *failures)[-RECENT_FAILURES:]
    return Reckoning(
        settled=settled,
        counts=counts,
        failures=recent,
        failures_by_class=by_class,
        settled_hours=settled_hours + sum(s.hours for s in ended),
        hours=settled_hours + analyses.running_hours + sum(s.hours for s in standings),
        budget_hours=budget.gpu_hours if budget is not None else None,
        idle=all(s.following is not None or s.state in ("completed", "failed") for s in standings),
        common_cause=None if counts.completed else common_cause(study, recent),
    )


def sums_after(
    study: Study, observed: Observed, reckoning: Reckoning, step: AnalysisStep, create: tuple[Child, ...], *, now: float
) -> ExperimentStatus:
    """The status to write once the children in `create` exist, without its lists of trials."""
    before = observed.status
    phase, reason, message = _phase(study, reckoning, step, begun=bool(observed.jobs or create))
    over = phase in ("Complete", "Failed")
    started = before.start_time or (rfc3339(now) if phase != "Suspended" else None)
    first = to_look_at_first(step.laws)
    return ExperimentStatus(
        observed_generation=observed.generation,
        phase=phase,
        conditions=_conditions(before, phase, reason, message, now),
        trials=_counts_after(reckoning.counts, create),
        failures=reckoning.failures,
        failures_by_class=reckoning.failures_by_class,
        laws=step.laws,
        headline=e_ir_text(first) if first is not None else "",
        headline_of=f"{first.task}, {first.shots} shots, {first.law}" if first is not None else "",
        report=step.report,
        analysis=step.state,
        gpu_hours=round(reckoning.hours, 6),
        settled_gpu_hours=round(reckoning.settled_hours, 6),
        start_time=started,
        completion_time=(before.completion_time or rfc3339(now)) if over else None,
    )


def _counts_after(counts: TrialCounts, create: tuple[Child, ...]) -> TrialCounts:
    begun = sum(child.stage == "train" for child in create)
    return counts.model_copy(update={"waiting": counts.waiting - begun, "training": counts.training + begun})


def _phase(study: Study, reckoning: Reckoning, step: AnalysisStep, *, begun: bool) -> tuple[Phase, str, str]:
    """Phase, and the reason and message of its condition."""
    if step.verdict == "done":
        return "Complete", *_why_complete(reckoning)
    if step.verdict == "failed":
        return "Failed", "AnalysisFailed", f"the final analysis ended {step.state.outcome}: {step.state.message}"
    if reckoning.concluded and not reckoning.counts.completed:
        return "Failed", *_why_empty(reckoning)
    if study.experiment.spec.suspend:
        return "Suspended", "Suspended", "spec.suspend is true: no pod runs until it is false again"
    return ("Running" if begun or reckoning.settled else "Pending"), "", ""


def _why_complete(reckoning: Reckoning) -> tuple[str, str]:
    done, failed, total = reckoning.counts.completed, reckoning.counts.failed, reckoning.counts.total
    if done + failed < total:
        return "BudgetSpent", f"{done} of {total} trials completed before the budget was spent"
    if failed:
        return "SomeTrialsFailed", f"{done} of {total} trials completed, {failed} failed"
    return "AllTrialsCompleted", f"all {total} trials completed"


def _why_empty(reckoning: Reckoning) -> tuple[str, str]:
    if not reckoning.counts.failed:
        return "BudgetSpent", "the budget was spent before any trial completed"
    if reckoning.common_cause is not None:
        return "FailedAlike", str(reckoning.common_cause)
    return "NoTrialCompleted", f"all {reckoning.counts.failed} trials that ran failed"


def _conditions(before: ExperimentStatus, phase: Phase, reason: str, message: str, now: float) -> tuple[Condition, ...]:
    """Conditions that hold now, and those that held before and no longer do."""
    kinds: tuple[ConditionType, ...] = ("Complete", "Failed", "Suspended")
    conditions = [with_condition(before, kind, (reason, message) if phase == kind else None, now) for kind in kinds]
    return tuple(c for c in (*conditions, before.condition("Stalled")) if c is not None)


def with_condition(
    before: ExperimentStatus, kind: ConditionType, why: tuple[str, str] | None, now: float
) -> Condition | None:
    """A condition that holds for a reason with a message, or that does not hold; None where it never did."""
    known = before.condition(kind)
    if why is None and known is None:
        return None
    value: Literal["True", "False"] = "False" if why is None else "True"
    since = known.last_transition_time if known is not None and known.status == value else rfc3339(now)
    reason, message = why or (f"Not{kind}", "")
    return Condition(type=kind, status=value, reason=reason, message=message, last_transition_time=since)
