"""Layers of different models made comparable by their depth, and which depth serves a task best.

After Abnar et al. 2022 (arXiv 2110.02095, section 4): for tasks unlike the upstream one the last layer is not the best.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tepui_evaluator.paired import PairedMean, paired_mean
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import HEADLINE_LAYER

QUARTERS: dict[str, float] = {"depth-25": 0.25, "depth-50": 0.5, "depth-75": 0.75, "depth-100": 1.0}
"""Label and share of the blocks that a feature has passed through."""
_CONFIDENCE = 1.0 - 0.05 / len(QUARTERS)
T = TypeVar("T")


def quarter_blocks(layers: Iterable[str]) -> dict[str, str]:
    """By quarter, the block of one model in which that share of its depth is reached; {} without blocks."""
    blocks = sorted(layer for layer in layers if layer != HEADLINE_LAYER)
    if not blocks:
        return {}
    return {quarter: blocks[math.ceil(share * len(blocks)) - 1] for quarter, share in QUARTERS.items()}


def by_quarter(of_trial: Mapping[str, Mapping[str, T]]) -> dict[str, list[T]]:
    """What belongs to each quarter's block, from what belongs to every trial and layer."""
    found: dict[str, list[T]] = defaultdict(list)
    for of_layer in of_trial.values():
        for quarter, layer in quarter_blocks(of_layer).items():
            found[quarter].append(of_layer[layer])
    return dict(found)


@dataclass(frozen=True)
class LayerProfile:
    """Mean error of one task over all models at each quarter of their depth, and at the head's input."""

    task: str
    shots: int
    error: Mapping[str, float]
    """By quarter, and `pooled`."""
    best: str
    """The quarter with the smallest mean error."""
    gain: PairedMean
    """Error of the head's input less that at `best`, over models: positive where an earlier one is better. The interval
    holds for all quarters at once (Bonferroni): the best of them was picked."""


def layer_profiles(points: Sequence[EvaluationPoint]) -> tuple[LayerProfile, ...]:
    """Of every task, at its largest number of shots, over the models with several layers; () where there are none."""
    largest: dict[str, int] = {}
    for p in points:
        largest[p.task] = max(p.shots, largest.get(p.task, 0))
    return tuple(profile for task, shots in largest.items() if (profile := _profile(task, shots, points)) is not None)


def _profile(task: str, shots: int, points: Sequence[EvaluationPoint]) -> LayerProfile | None:
    of_trial: dict[str, dict[str, EvaluationPoint]] = defaultdict(dict)
    for p in points:
        if (p.task, p.shots) == (task, shots):
            of_trial[f"{p.trial}@{p.step}"][p.layer] = p
    complete = {trial: of for trial, of in of_trial.items() if len(of) > 1 and HEADLINE_LAYER in of}
    if not complete:
        return None
    errors = {quarter: np.array([p.downstream_error for p in found]) for quarter, found in by_quarter(complete).items()}
    head = [of[HEADLINE_LAYER] for of in complete.values()]
    at_head_N = np.array([p.downstream_error for p in head])
    best = min(errors, key=lambda quarter: float(errors[quarter].mean()))
    return LayerProfile(
        task,
        shots,
        {
            **{quarter: float(error_N.mean()) for quarter, error_N in errors.items()},
            HEADLINE_LAYER: float(at_head_N.mean()),
        },
        best,
        paired_mean(at_head_N - errors[best], [p.related for p in head], confidence=_CONFIDENCE),
    )
