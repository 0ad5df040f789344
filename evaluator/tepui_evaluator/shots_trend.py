"""The law against the number of shots: how e_IR, k and alpha move as there are more labelled images.

Abnar et al. 2022 (arXiv 2110.02095, section 2.2) tabulate, for every task, the correlation of each parameter with the
number of shots: k and e_IR fall, alpha rises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tepui_evaluator.correlation import ranks
from tepui_evaluator.points import FloatArray
from tepui_evaluator.report_view import View
from tepui_evaluator.what_if import difference
from tepui_spec.law import Difference, Law, LawKind

Quantity = Literal["e_ir", "k", "alpha"]
QUANTITIES: tuple[Quantity, ...] = ("e_ir", "k", "alpha")
EXPECTED: dict[Quantity, Literal["falls", "rises"]] = {"e_ir": "falls", "k": "falls", "alpha": "rises"}
"""What the paper found."""
_MIN_SHOTS = 3  # two numbers always correlate perfectly


@dataclass(frozen=True)
class ShotsTrend:
    """One parameter of one task's laws over the numbers of shots, all of one kind of law."""

    task: str
    law: LawKind
    quantity: Quantity
    laws: tuple[Law, ...]
    """Ascending in shots; those without numbers are left out."""
    pearson: float | None
    """Correlation of the estimates, identified or not, with the number of shots; None below 3 or without spread."""
    rank: float | None
    """Spearman's, the same."""

    @property
    def shots(self) -> tuple[int, ...]:
        """The numbers of shots, ascending."""
        return tuple(int(law.by["shots"]) for law in self.laws)

    @property
    def direction(self) -> Literal["rises", "falls", "unclear"]:
        """By the rank correlation; unclear where it is weaker than 1/2."""
        if self.rank is None or abs(self.rank) < 0.5:
            return "unclear"
        return "rises" if self.rank > 0 else "falls"

    def change(self) -> Difference | None:
        """e_IR with the most shots less that with the fewest, with its interval; None for one law."""
        return difference(self.laws[-1], self.laws[0]) if self.quantity == "e_ir" and len(self.laws) > 1 else None


def shots_trends(all_views: Sequence[View], kind: LawKind) -> tuple[ShotsTrend, ...]:
    """The trends of every task that has laws of this kind at two numbers of shots or more."""
    of_task: dict[str, list[Law]] = defaultdict(list)
    for view in sorted(all_views, key=lambda view: view.shots):
        law = view.laws.get(kind)
        if law is not None and law.k is not None:
            of_task[view.task].append(law)
    order = dict.fromkeys(view.task for view in all_views)
    return tuple(
        _trend(task, kind, quantity, tuple(of_task[task]))
        for task in order
        for quantity in QUANTITIES
        if len(of_task[task]) > 1
    )


def _trend(task: str, kind: LawKind, quantity: Quantity, laws: tuple[Law, ...]) -> ShotsTrend:
    value_S = np.array([getattr(law, quantity) for law in laws], dtype=np.float64)
    shots_S = np.array([law.by["shots"] for law in laws], dtype=np.float64)
    return ShotsTrend(
        task, kind, quantity, laws, _correlation(shots_S, value_S), _correlation(ranks(shots_S), ranks(value_S))
    )


def _correlation(a_S: FloatArray, b_S: FloatArray) -> float | None:
    if a_S.size < _MIN_SHOTS or np.ptp(a_S) == 0.0 or np.ptp(b_S) == 0.0:
        return None
    return float(np.corrcoef(a_S, b_S)[0, 1])


def counts(trends: Sequence[ShotsTrend], quantity: Quantity) -> tuple[int, int]:
    """In how many tasks the quantity moves as the paper found, and in how many it has a correlation at all."""
    known = [trend for trend in trends if trend.quantity == quantity and trend.rank is not None]
    return sum(trend.direction == EXPECTED[quantity] for trend in known), len(known)
