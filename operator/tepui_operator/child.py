"""A child that should exist: what the planner decided, before it becomes a manifest."""

from dataclasses import dataclass, field

from tepui_operator.observed import History
from tepui_spec.expand import Trial
from tepui_spec.status import Stage

_LETTER = {"train": "t", "evaluate": "e"}


@dataclass(frozen=True, slots=True)
class Child:
    """One Job to create. Its name follows from what it is, so creating it twice creates it once."""

    study: str
    stage: Stage
    trial: Trial | None
    """None for an analysis."""
    attempt: int
    """From 0; for an analysis its number, from 1."""
    history: History = field(default_factory=History)
    final: bool = False
    covers: int = 0
    failures: tuple[str, ...] = ()
    """For an analysis: failed trials, a sentence each."""

    @property
    def name(self) -> str:
        """`{study}-{trial hash}-{t|e}{attempt}` or `{study}-analysis-{number}`."""
        if self.trial is None:
            return f"{self.study}-analysis-{self.attempt}"
        return f"{self.study}-{self.trial.hash}-{_LETTER[self.stage]}{self.attempt}"
