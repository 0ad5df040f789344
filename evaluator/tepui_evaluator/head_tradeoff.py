"""The head's weight decay and learning rate: which value serves the upstream task, and which the downstream ones.

After Abnar et al. 2022 (arXiv 2110.02095, section 4): a larger weight decay, or a smaller learning rate, of the head
makes the upstream error worse and the downstream errors better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tepui_evaluator.paired import MIN_GROUPS, PairedMean, paired_mean
from tepui_evaluator.points import FloatArray
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import View

HEAD_FACTORS = ("headWeightDecay", "headLrScale")


@dataclass(frozen=True, eq=False)
class HeadTradeoff:
    """One head factor's L values on one task, over B sets of models that are alike in all else (blocks)."""

    task: str
    shots: int
    factor: str
    levels: tuple[float, ...]
    upstream_BL: FloatArray
    downstream_BL: FloatArray
    cost: PairedMean | None
    """Downstream error lost by the value that is best upstream, against the one that is best downstream. The latter is
    chosen for each block from the others, so that its luck does not count. None with fewer than 3 blocks."""

    @property
    def upstream_best(self) -> float:
        """The value with the smallest mean upstream error."""
        return self.levels[int(np.argmin(self.upstream_BL.mean(axis=0)))]

    @property
    def downstream_best(self) -> float:
        """The value with the smallest mean downstream error."""
        return self.levels[int(np.argmin(self.downstream_BL.mean(axis=0)))]

    @property
    def opposed(self) -> bool:
        """Whether the data show that upstream and downstream want different values."""
        return self.cost is not None and self.cost.interval is not None and self.cost.interval[0] > 0.0


def head_tradeoffs(largest: Sequence[View]) -> tuple[HeadTradeoff, ...]:
    """Of every head factor that the study varies, on every task; blocks that lack a value are left out."""
    found = [_tradeoff(view, factor) for factor in HEAD_FACTORS for view in largest]
    return tuple(tradeoff for tradeoff in found if tradeoff is not None)


def _tradeoff(view: View, factor: str) -> HeadTradeoff | None:
    blocks: dict[object, dict[float, EvaluationPoint]] = defaultdict(dict)
    for p in view.points:
        if factor in p.factors:
            others = tuple(sorted((name, value) for name, value in p.factors.items() if name != factor))
            blocks[p.model, others][float(p.factors[factor])] = p
    levels = sorted({level for of_level in blocks.values() for level in of_level})
    complete = [of_level for of_level in blocks.values() if len(of_level) == len(levels)]
    if len(levels) < 2 or not complete:
        return None
    upstream_BL = np.array([[of[level].upstream_error for level in levels] for of in complete])
    downstream_BL = np.array([[of[level].downstream_error for level in levels] for of in complete])
    cost = None
    if len(complete) >= MIN_GROUPS:
        cost_B = _cost(upstream_BL, downstream_BL)
        cost = paired_mean(cost_B, [str(number) for number in range(cost_B.size)])
    return HeadTradeoff(view.task, view.shots, factor, tuple(levels), upstream_BL, downstream_BL, cost)


def _cost(upstream_BL: FloatArray, downstream_BL: FloatArray) -> FloatArray:
    """(B,): in each block, with both values chosen by the other blocks."""
    others = downstream_BL.shape[0] - 1
    up_B = np.argmin((upstream_BL.sum(axis=0) - upstream_BL) / others, axis=1)
    down_B = np.argmin((downstream_BL.sum(axis=0) - downstream_BL) / others, axis=1)
    rows_B = np.arange(downstream_BL.shape[0])
    return np.asarray(downstream_BL[rows_B, up_B] - downstream_BL[rows_B, down_B])
