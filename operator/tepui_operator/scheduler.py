"""Which waiting Jobs start now on one machine: packed by the requests of their pods. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from tepui_spec.status import Stage

_URGENCY: dict[Stage, int] = {"evaluate": 0, "analyse": 1, "train": 2}
"""What completes a trial goes before what begins one."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Cores in thousandths, as Kubernetes counts them, and GPUs."""

    millicpus: int
    gpus: int

    def holds(self, other: "Capacity") -> bool:
        """Whether `other` fits into this."""
        return other.millicpus <= self.millicpus and other.gpus <= self.gpus

    def __add__(self, other: "Capacity") -> "Capacity":
        return Capacity(self.millicpus + other.millicpus, self.gpus + other.gpus)

    def __sub__(self, other: "Capacity") -> "Capacity":
        return Capacity(self.millicpus - other.millicpus, self.gpus - other.gpus)

    def __mul__(self, pods: int) -> "Capacity":
        return Capacity(self.millicpus * pods, self.gpus * pods)


@dataclass(frozen=True, slots=True)
class Demand:
    """A Job that waits, with the sum of its pods' requests: a gang starts as a whole."""

    name: str
    stage: Stage
    total: Capacity


def place(waiting: Iterable[Demand], free: Capacity) -> list[str]:
    """Names of the Jobs that start now, given those that wait in the order of their creation.

    The first that does not fit holds back the rest: otherwise small pods could keep a large one waiting for ever.
    """
    started = []
    for demand in sorted(waiting, key=lambda d: _URGENCY[d.stage]):
        if not free.holds(demand.total):
            break
        free -= demand.total
        started.append(demand.name)
    return started
