"""What the planner may know of a study's children: slim and frozen, made from Jobs, pods and their last words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tepui_operator.settled import Settled
from tepui_spec.headline import Headline
from tepui_spec.outcome import Outcome
from tepui_spec.status import ExperimentStatus, Stage


@dataclass(frozen=True, slots=True)
class History:
    """What came before an attempt. Each Job carries its own, so that earlier Jobs may be gone."""

    ends: Mapping[Outcome, int] = field(default_factory=dict)
    """How often earlier attempts at the same stage ended in each class."""
    hours: float = 0.0
    """GPU-hours (core-hours) held by all earlier Jobs of the trial, earlier stages counted."""

    def after(self, outcome: Outcome, hours: float) -> "History":
        """The history of the next attempt at the same stage."""
        return History({**self.ends, outcome: self.ends.get(outcome, 0) + 1}, self.hours + hours)


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """One Job of a study."""

    name: str
    stage: Stage
    trial: str | None
    """The trial's hash; None for an analysis."""
    attempt: int
    """From 0; for an analysis its number, from 1."""
    history: History = field(default_factory=History)
    suspended: bool = False
    queued: bool = False
    """A queue decides when its pods run."""
    started_at: float | None = None
    """When its pods began to hold their resources, seconds since the epoch."""
    held_before_s: float = 0.0
    """Seconds for which they held them before it was last suspended."""
    ended_at: float | None = None
    outcome: Outcome | None = None
    """None while it has not ended."""
    message: str = ""
    final: bool = False
    """For an analysis: no interim look."""
    covers: int = 0
    """For an analysis: completed trials when it was created."""
    laws: tuple[Headline, ...] = ()
    report: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the Job succeeded or failed."""
        return self.outcome is not None

    def held_s(self, now: float) -> float:
        """Seconds for which its pods have held their resources."""
        if self.started_at is None:
            return self.held_before_s
        until = self.ended_at if self.ended_at is not None else now
        return self.held_before_s + max(0.0, until - self.started_at)


@dataclass(frozen=True, slots=True)
class Observed:
    """All children that exist now, and the status as last planned or written."""

    jobs: tuple[ObservedJob, ...] = ()
    """Those of settled trials may be left out, and of other trials all but the newest."""
    status: ExperimentStatus = field(default_factory=ExperimentStatus)
    generation: int = 0
    settled: Settled | None = None
    """Trials that have their end, as the last plan had them; None: as the lists in `status` say."""


_TELLING = (Outcome.LOST, Outcome.PEER_LOST, Outcome.PREEMPTED, Outcome.SUCCEEDED)
"""From more to less telling; every other class says more than these."""


def outcome_of_gang(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a Job from those of its pods: the most telling one.

    When one pod fails, its peers notice a lost peer or are told to stop: they say nothing of the cause.
    """
    return min(outcomes, key=lambda outcome: _TELLING.index(outcome) if outcome in _TELLING else -1)
