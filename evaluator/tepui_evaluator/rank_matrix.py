"""Rank correlations between upstream error and the errors of all tasks, and between the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tepui_evaluator.correlation import rank_correlations
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import View

UPSTREAM = "upstream"
_MIN_MODELS = 3


@dataclass(frozen=True)
class RankCell:
    """Spearman's rank correlation of two errors over the models."""

    a: str
    """UPSTREAM or a task."""
    b: str
    rho: float
    interval: tuple[float, float] | None
    n: int


def rank_matrix(largest: Sequence[View], confidence: float = 0.95) -> tuple[RankCell, ...]:
    """Every pair of upstream error and the tasks of the views, both ways round, over the models that have them all.

    A constant error has no correlation. () with fewer than 3 models.
    """
    by_model = [{_key(p): p for p in view.points} for view in largest]
    shared = [key for key in by_model[0] if all(key in of for of in by_model)] if by_model else []
    if len(shared) < _MIN_MODELS:
        return ()
    upstream = [by_model[0][key].upstream_error for key in shared]
    values_AN = np.array([upstream, *([of[key].downstream_error for key in shared] for of in by_model)])
    groups = [by_model[0][key].related for key in shared]
    found = rank_correlations(values_AN, np.unique(groups, return_inverse=True)[1], confidence=confidence)
    names = (UPSTREAM, *(view.task for view in largest))
    return tuple(
        RankCell(a, b, float(found.rho_AA[i, j]), _ends(found.lo_AA[i, j], found.hi_AA[i, j]), len(shared))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j and np.isfinite(found.rho_AA[i, j])
    )


def _key(point: EvaluationPoint) -> tuple[str, int]:
    return point.trial, point.step


def _ends(lo: float, hi: float) -> tuple[float, float] | None:
    return None if np.isnan(lo) else (float(lo), float(hi))
