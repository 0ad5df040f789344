"""When rows are turned into laws: interim looks while trials run, and a final analysis of all there is. Pure."""

import math
from dataclasses import dataclass, field
from typing import Literal

from tepui_operator.child import Child
from tepui_operator.observed import History, Observed, ObservedJob
from tepui_operator.retry import retry_at
from tepui_operator.standing import MESSAGE_LIMIT
from tepui_operator.study import Study
from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome
from tepui_spec.status import MAX_LAWS, AnalysisState, Failure

Verdict = Literal["open", "done", "failed"]


@dataclass(frozen=True, slots=True)
class AnalysisStep:
    """What is known of the analyses, and the next one if it is due."""

    state: AnalysisState
    laws: tuple[Headline, ...]
    report: str | None
    settled_hours: float = 0.0
    """Held by analyses that ended since the last status."""
    running_hours: float = 0.0
    following: Child | None = None
    due_at: float = 0.0
    verdict: Verdict = "open"
    """Of the final analysis; open while it is not due, due or at work."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the trials are."""

    completed: int
    total: int
    concluded: bool
    """Nothing more will be completed as things stand."""
    failures: tuple[Failure, ...] = field(default=())


def next_analysis(study: Study, observed: Observed, known: AnalysisStep, coverage: Coverage) -> AnalysisStep:
    """What is known, and which analysis should be created now."""
    jobs = _analysis_jobs(observed)
    running = jobs[-1] if jobs and not jobs[-1].ended else None
    if running is not None:
        return known
    newest = jobs[-1] if jobs and jobs[-1].attempt == known.state.number else None
    if coverage.concluded:
        return _final(study, known, newest, coverage)
    if _interim_due(study, known.state, coverage):
        return _with(known, following=_child(study, known.state.number + 1, coverage, final=False))
    return known


def _analysis_jobs(observed: Observed) -> list[ObservedJob]:
    return sorted((job for job in observed.jobs if job.stage == "analyse"), key=lambda job: job.attempt)


def analyses_so_far(study: Study, observed: Observed, now: float) -> AnalysisStep:
    """The newest results of the analyses, and what they held."""
    status = observed.status
    state, laws, report, settled, running = status.analysis, status.laws, status.report, 0.0, 0.0
    for job in _analysis_jobs(observed):
        held = study.hours("analyse", job.held_s(now))
        if not job.ended:
            running += held
        elif job.attempt > state.number:
            settled += held
            state = AnalysisState(
                number=job.attempt,
                final=job.final,
                trials=job.covers,
                outcome=job.outcome,
                message=job.message[:MESSAGE_LIMIT],
            )
            if job.outcome is Outcome.SUCCEEDED:
                laws, report = job.laws[:MAX_LAWS], job.report
    return AnalysisStep(state, laws, report, settled, running)


def _final(study: Study, known: AnalysisStep, newest: ObservedJob | None, coverage: Coverage) -> AnalysisStep:
    state = known.state
    if not (state.final and state.trials == coverage.completed):
        if coverage.completed == 0:
            return known
        return _with(known, following=_child(study, state.number + 1, coverage, final=True))
    if state.outcome is Outcome.SUCCEEDED:
        return _with(known, verdict="done")
    due_at = retry_at(newest, study.experiment.spec.retries) if newest is not None else None
    if newest is None or due_at is None:
        return _with(known, verdict="failed")
    assert newest.outcome is not None  # it is the newest that ended
    child = _child(study, state.number + 1, coverage, final=True, history=newest.history.after(newest.outcome, 0.0))
    return _with(known, following=child, due_at=due_at)


def _interim_due(study: Study, state: AnalysisState, coverage: Coverage) -> bool:
    policy = study.policy
    if coverage.total < policy.interim_min_trials:
        return False
    marks = (math.ceil(share * coverage.total) for share in policy.interim_shares)
    return any(state.trials < mark <= coverage.completed for mark in marks)


def _child(study: Study, number: int, coverage: Coverage, *, final: bool, history: History | None = None) -> Child:
    failures = tuple(
        f"Trial {f.trial} (number {f.index}) ended {f.outcome} in {f.stage}, attempt {f.attempts}: {f.message}"
        for f in coverage.failures
    )
    return Child(study.name, "analyse", None, number, history or History(), final, coverage.completed, failures)


def _with(
    step: AnalysisStep, *, following: Child | None = None, due_at: float = 0.0, verdict: Verdict = "open"
) -> AnalysisStep:
    return AnalysisStep(
        step.state, step.laws, step.report, step.settled_hours, step.running_hours, following, due_at, verdict
    )
