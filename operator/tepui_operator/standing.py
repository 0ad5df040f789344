"""Where one trial stands, from its newest Job alone. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tepui_operator.child import Child
from tepui_operator.observed import History, ObservedJob
from tepui_operator.retry import retry_at
from tepui_operator.study import Study
from tepui_spec.expand import Trial
from tepui_spec.outcome import Outcome
from tepui_spec.status import Failure

State = Literal["waiting", "training", "evaluating", "completed", "failed"]
MESSAGE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """One trial that has begun and is not settled in the status."""

    trial: Trial
    state: State
    hours: float = 0.0
    """GPU-hours (core-hours) held by all its Jobs so far."""
    following: Child | None = None
    """The Job that comes next; None while one is at work and at the end."""
    due_at: float = 0.0
    """When it may be created, seconds since the epoch."""
    failure: Failure | None = None


def newest_jobs(jobs: Iterable[ObservedJob]) -> dict[str, ObservedJob]:
    """The newest Job of each trial: evaluation is later than training, then the higher attempt."""
    newest: dict[str, ObservedJob] = {}
    for job in jobs:
        if job.trial is None:
            continue
        known = newest.get(job.trial)
        if known is None or _age(job) > _age(known):
            newest[job.trial] = job
    return newest


def _age(job: ObservedJob) -> tuple[bool, int]:
    return (job.stage == "evaluate", job.attempt)


def standing(study: Study, trial: Trial, job: ObservedJob, now: float) -> Standing:
    """What the trial's newest Job says about it."""
    held = job.history.hours + study.hours(job.stage, job.held_s(now))
    if not job.ended:
        return Standing(trial, "training" if job.stage == "train" else "evaluating", held)
    if job.outcome is Outcome.SUCCEEDED:
        if job.stage == "evaluate":
            return Standing(trial, "completed", held)
        following = Child(study.name, "evaluate", trial, 0, History(hours=held))
        return Standing(trial, "evaluating", held, following)
    return _after_failure(study, trial, job, held)


def _after_failure(study: Study, trial: Trial, job: ObservedJob, held: float) -> Standing:
    assert job.outcome is not None  # the caller's case
    due_at = retry_at(job, study.experiment.spec.retries)
    if due_at is None:
        failure = Failure(
            trial=trial.hash,
            index=trial.index,
            stage=job.stage,
            outcome=job.outcome,
            attempts=job.attempt + 1,
            job=job.name,
            message=job.message[:MESSAGE_LIMIT],
        )
        return Standing(trial, "failed", held, failure=failure)
    history = job.history.after(job.outcome, study.hours(job.stage, job.held_s(job.ended_at or 0.0)))
    following = Child(study.name, job.stage, trial, job.attempt + 1, history)
    return Standing(trial, "waiting" if job.stage == "train" else "evaluating", held, following, due_at)
