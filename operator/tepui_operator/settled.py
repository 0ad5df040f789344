"""Trials that have their end, as numbers: what is said of 15,000 trials must cost no more than of 200. Pure.

Bit p of a number stands for the trial at place p of the order of submission. Such a number of 15,000 bits is united,
counted and searched within a microsecond, where a set of them takes a millisecond.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tepui_operator.study import Study
from tepui_spec.status import ExperimentStatus, format_indexes, parse_indexes


@dataclass(frozen=True, slots=True)
class Settled:
    """Trials of one study that ended for good: their Jobs no longer count, and may go."""

    completed: int = 0
    failed: int = 0

    @staticmethod
    def of(study: Study, status: ExperimentStatus) -> "Settled":
        """As the status lists them; what is no trial of the study is passed over."""
        place = study.place_of_index

        def listed(text: str) -> int:
            return _bits(place[index] for index in parse_indexes(text) if index in place)

        return Settled(listed(status.completed_trials), listed(status.failed_trials))

    def lists(self, study: Study) -> dict[str, str]:
        """The fields of a status that list them."""
        return {
            "completed_trials": format_indexes(study.order[place].index for place in _all_places(self.completed)),
            "failed_trials": format_indexes(study.order[place].index for place in _all_places(self.failed)),
        }

    def with_ends(self, *, completed: Iterable[int], failed: Iterable[int]) -> "Settled":
        """With the trials at these places too."""
        return Settled(self.completed | _bits(completed), self.failed | _bits(failed))

    def holds(self, place: int) -> bool:
        """Whether the trial at this place is settled."""
        return bool((self.completed | self.failed) >> place & 1)

    def __len__(self) -> int:
        return (self.completed | self.failed).bit_count()


def first_places(bits: int) -> Iterator[int]:
    """The places whose bits are set, ascending: quick for the first few of many."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _all_places(bits: int) -> list[int]:
    """The same for all of them at once: one pass over the digits."""
    return [place for place, digit in enumerate(reversed(f"{bits:b}")) if digit == "1"]


def _bits(found: Iterable[int]) -> int:
    bits = 0
    for place in found:
        bits |= 1 << place
    return bits
