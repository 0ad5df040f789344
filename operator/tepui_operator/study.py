"""A study as the planner sees it: the experiment, its trials, and the order in which they are submitted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

from tepui_operator.resources import units_held
from tepui_spec.expand import Trial, expand
from tepui_spec.experiment import Experiment
from tepui_spec.status import Stage


@dataclass(frozen=True)
class Policy:
    """What the planner decides by itself, where the spec leaves it open."""

    interim_shares: tuple[float, ...] = (0.25, 0.5)
    """An interim analysis runs when this share of the trials is completed."""
    interim_min_trials: int = 100
    """Smaller studies get no interim analysis: it would cost them a noticeable part of their time."""


@dataclass(frozen=True)
class Study:
    """An experiment with everything about it that does not change while it runs."""

    experiment: Experiment
    trials: tuple[Trial, ...]
    order: tuple[Trial, ...]
    """All trials in the order of submission."""
    policy: Policy = field(default_factory=Policy)

    @staticmethod
    def of(
        experiment: Experiment,
        cost: Callable[[Trial], float],
        policy: Policy | None = None,
        *,
        trials: tuple[Trial, ...] | None = None,
    ) -> "Study":
        """Order the trials; `cost` is the relative cost of training one. `trials` is the sweep where it is expanded.

        Raises ValueError as `expand` does.
        """
        trials = trials or expand(experiment.spec)
        order = submission_order(trials, cost, experiment.spec.parallelism)
        return Study(experiment, trials, order, policy or Policy())

    @property
    def name(self) -> str:
        """The study's name."""
        return self.experiment.metadata.name

    @cached_property
    def _units_held(self) -> dict[Stage, float]:
        pods = self.experiment.spec.pods
        return {stage: units_held(pods, stage) for stage in get_args(Stage)}

    def hours(self, stage: Stage, held_s: float) -> float:
        """GPU-hours of a Job that held its resources for `held_s` seconds; core-hours in a study without GPUs."""
        return self._units_held[stage] * held_s / 3600

    @cached_property
    def by_hash(self) -> dict[str, Trial]:
        """Trials by their hash."""
        return {trial.hash: trial for trial in self.trials}

    @cached_property
    def place(self) -> dict[str, int]:
        """Each trial's place in `order`, by its hash."""
        return {trial.hash: place for place, trial in enumerate(self.order)}

    @cached_property
    def place_of_index(self) -> dict[int, int]:
        """Each trial's place in `order`, by its position in the sweep."""
        return {trial.index: place for place, trial in enumerate(self.order)}

    @cached_property
    def all_places(self) -> int:
        """A number with a bit for every place (settled.Settled)."""
        return (1 << len(self.order)) - 1


def submission_order(trials: tuple[Trial, ...], cost: Callable[[Trial], float], parallelism: int) -> tuple[Trial, ...]:
    """Cheapest first, so that a first law stands early; only the last few the other way round.

    The last `2 * parallelism` begin with the dearest: otherwise it would start last of all and end alone, with the
    rest of the machine idle.
    """
    ascending = sorted(trials, key=lambda trial: (cost(trial), trial.index))
    tail = min(2 * parallelism, len(ascending) // 2)
    head = len(ascending) - tail
    return (*ascending[:head], *reversed(ascending[head:]))
