"""The head's weight decay and learning rate: which value serves the upstream task, and which the downstream ones.

After Abnar et al. 2022 (arXiv 2110.02095, section 4): a larger weight decay, or a smaller learning rate, of the head
makes the upstream error worse and the downstream errors better.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tepui_evaluator.paired import PairedMean, paired_mean
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
    """Downstream error lost by the value that is best upstream, against the one that is best downstream; None where
    they are the same. The interval holds for all L - 1 others at once (Bonferroni): the best of them was picked."""

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
    cost = _cost(upstream_BL, downstream_BL)
    return HeadTradeoff(view.task, view.shots, factor, tuple(levels), upstream_BL, downstream_BL, cost)


def _cost(upstream_BL: FloatArray, downstream_BL: FloatArray, confidence: float = 0.95) -> PairedMean | None:
    up, down = (int(np.argmin(errors_BL.mean(axis=0))) for errors_BL in (upstream_BL, downstream_BL))
    if up == down:
        return None
    blocks, others = downstream_BL.shape[0], downstream_BL.shape[1] - 1
    lost_B = downstream_BL[:, up] - downstream_BL[:, down]
    return paired_mean(lost_B, [str(block) for block in range(blocks)], confidence=1.0 - (1.0 - confidence) / others)
