"""Which models are on the hull, the best downstream for their upstream error, and what they have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from tepui_evaluator.hull import lower_hull
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import View
from tepui_spec.law import ByValue

MAX_LEVELS = 24


@dataclass(frozen=True)
class Member:
    """A model on the hull of at least one task."""

    point: EvaluationPoint
    """On the first of the tasks."""
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class LevelShare:
    """How often one value of a factor is found on the hulls, against how often among all models."""

    factor: str
    level: ByValue
    models: int
    on_hull: int
    """Of them, on the hull of at least one task."""
    share: float
    """Of all models."""
    hull_share: float
    """Of the models on a hull."""


@dataclass(frozen=True)
class HullMembers:
    """The models on the hulls of the views, those of most tasks first, and a table by factor."""

    members: tuple[Member, ...]
    models: int
    levels: tuple[LevelShare, ...]
    medians: tuple[tuple[str, float, float], ...]
    """Name of a number, its median over the models on a hull, and over all."""


def hull_members(largest: Sequence[View], numbers: Mapping[str, Mapping[str, float]]) -> HullMembers | None:
    """Of the views of one number of shots a task; `numbers` by name and trial are compared by their medians.

    None without points.
    """
    tasks: dict[str, list[str]] = defaultdict(list)
    everyone: dict[str, EvaluationPoint] = {}
    for view in largest:
        everyone |= {p.trial: p for p in view.points if p.trial not in everyone}
        for point in _on_hull(view.points):
            tasks[point.trial].append(view.task)
    if not everyone:
        return None
    members = [Member(everyone[trial], tuple(names)) for trial, names in tasks.items()]
    members.sort(key=lambda member: (-len(member.tasks), member.point.upstream_error))
    return HullMembers(
        tuple(members), len(everyone), _levels(everyone, tasks.keys()), _medians(everyone, tasks.keys(), numbers)
    )


def _on_hull(points: Sequence[EvaluationPoint]) -> list[EvaluationPoint]:
    x_N = np.array([p.upstream_error for p in points])
    y_N = np.array([p.downstream_error for p in points])
    return [points[int(i)] for i in lower_hull(x_N, y_N)] if points else []


def _levels(everyone: Mapping[str, EvaluationPoint], hull: Collection[str]) -> tuple[LevelShare, ...]:
    rows = []
    for factor in dict.fromkeys(name for p in everyone.values() for name in _factors(p)):
        of = {trial: _factors(p)[factor] for trial, p in everyone.items() if factor in _factors(p)}
        models, on_hull = Counter(of.values()), Counter(of[trial] for trial in hull if trial in of)
        if not 1 < len(models) <= MAX_LEVELS:
            continue
        for level in sorted(models, key=lambda v: (isinstance(v, str), v)):
            share, hull_share = models[level] / len(of), on_hull[level] / max(1, sum(on_hull.values()))
            rows.append(LevelShare(factor, level, models[level], on_hull[level], share, hull_share))
    return tuple(rows)


def _factors(point: EvaluationPoint) -> dict[str, ByValue]:
    return {"family": point.family, "model": point.model, **{k: v for k, v in point.factors.items() if k != "seed"}}


def _medians(
    everyone: Mapping[str, EvaluationPoint], hull: Collection[str], numbers: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[str, float, float], ...]:
    rows = []
    for name, of in numbers.items():
        here, all_of = [of[t] for t in hull if t in of], [of[t] for t in everyone if t in of]
        if here and len(set(all_of)) > 1:
            rows.append((name, median(here), median(all_of)))
    return tuple(rows)
