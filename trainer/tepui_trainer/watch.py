"""When ranks talk about stopping, saving and diverging: together, and about twice a second rather than at every step.

On a GPU every look at a loss waits for the device, and ranks that look at their own clocks would disagree.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tepui_trainer.gang import Gang

TALK_EVERY_S = 0.5


@dataclass(frozen=True)
class Decision:
    """What all ranks do after this step."""

    stop: bool
    save: bool
    diverged: bool


class Watch:
    """Decides after steps at which `due` is true; all ranks must ask at the same steps."""

    def __init__(
        self, gang: Gang, *, step: int, checkpoint_every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gang = gang
        self._clock = clock
        self._every_s = checkpoint_every_s
        self._talk_every_s = min(TALK_EVERY_S, checkpoint_every_s)
        self._saved_at = self._talked_at = clock()
        self._talked_step = step
        self._next_step = step + 1

    def due(self, step: int) -> bool:
        """Whether the ranks talk after this step."""
        return step >= self._next_step

    def decide(self, step: int, *, stop_requested: bool, loss_is_finite: bool) -> Decision:
        """The ranks' common decision: one stops all, one diverges all, the leader's clock saves."""
        now = self._clock()
        seconds_per_step = max(now - self._talked_at, 1e-9) / max(step - self._talked_step, 1)
        pause = max(1, int(self._talk_every_s / seconds_per_step)) if self._gang.is_leader else 0
        save = self._gang.is_leader and now - self._saved_at >= self._every_s
        stop, saving, diverged, steps = self._gang.largest(
            [float(stop_requested), float(save), float(not loss_is_finite), float(pause)]
        )
        self._talked_at, self._talked_step, self._next_step = now, step, step + int(steps)
        return Decision(stop=bool(stop), save=bool(saving), diverged=bool(diverged))

    def saved(self) -> None:
        """Start the wait for the next checkpoint after this one: a slow store is not written to all the time."""
        self._saved_at = self._talked_at = self._clock()
