"""Whether a failed attempt is followed by another, and when. Pure."""

from tepui_operator.observed import ObservedJob
from tepui_spec.outcome import FREE, Outcome
from tepui_spec.pods import Retries

LONGEST_DELAY_S = 300.0
STORAGE_DELAY_S = 10.0
"""A store that did not answer is given time from the first retry on."""
SETTLED_IN_S = 600.0
"""An attempt that ran this long is followed at once: its failure is no tight loop."""


def allowed(retries: Retries, outcome: Outcome) -> int:
    """Further attempts after failures of this class; configuration and checkpoint errors get none."""
    return {
        Outcome.CRASHED: retries.crashed,
        Outcome.OUT_OF_MEMORY: retries.out_of_memory,
        Outcome.DATA: retries.data,
        Outcome.DIVERGED: retries.diverged,
        Outcome.STORAGE: retries.storage,
        Outcome.LOST: retries.lost,
    }.get(outcome, 0)


def retry_at(job: ObservedJob, retries: Retries) -> float | None:
    """When the next attempt after this failed Job may start, seconds since the epoch; None: never."""
    assert job.outcome is not None  # only ended Jobs come here
    assert job.ended_at is not None
    before = job.history.ends.get(job.outcome, 0)
    if job.outcome not in FREE and before >= allowed(retries, job.outcome):
        return None
    return job.ended_at + _delay_s(job.outcome, before, job.held_s(job.ended_at))


def _delay_s(outcome: Outcome, before: int, ran_s: float) -> float:
    doubled: float = 2.0 ** min(before, 10)
    if outcome is Outcome.STORAGE:
        return min(LONGEST_DELAY_S, STORAGE_DELAY_S * doubled)
    if before == 0 or ran_s >= SETTLED_IN_S:
        return 0.0
    return min(LONGEST_DELAY_S, doubled)
