"""One view a task and number of shots: its points, laws and bands, brought together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tepui_evaluator.hull import lower_hull
from tepui_evaluator.report_data import EvaluationPoint, ReportData
from tepui_spec.law import Band, Law, LawKind

HEADLINE_LAYER = "pooled"
"""The layer that the head sees: the one the answer is about."""
_HEADLINE_ORDER: tuple[LawKind, ...] = ("frontier", "average", "hull", "all_points")


@dataclass(frozen=True)
class View:
    """What there is to show for one downstream task and one number of shots."""

    task: str
    shots: int
    points: tuple[EvaluationPoint, ...]
    laws: Mapping[LawKind, Law]
    bands: Mapping[LawKind, Band]

    @property
    def key(self) -> str:
        """Short name, unique in a report."""
        return f"{self.task}-{self.shots}"

    @property
    def headline(self) -> Law | None:
        """The law that the answer is read from: what the best models reach, where it was fitted."""
        return next((self.laws[kind] for kind in _HEADLINE_ORDER if kind in self.laws), None)

    @property
    def best(self) -> EvaluationPoint | None:
        """The model with the smallest downstream error."""
        return min(self.points, key=lambda p: p.downstream_error, default=None)


def views(data: ReportData) -> tuple[View, ...]:
    """All views of the headline layer; tasks in the study's order, shots ascending."""
    points: dict[tuple[str, int], list[EvaluationPoint]] = defaultdict(list)
    for point in data.points:
        if point.layer == HEADLINE_LAYER:
            points[point.task, point.shots].append(point)
    laws: dict[tuple[str, int], dict[LawKind, Law]] = defaultdict(dict)
    bands: dict[tuple[str, int], dict[LawKind, Band]] = defaultdict(dict)
    for law, band in zip(data.laws, data.bands or (None,) * len(data.laws), strict=True):
        if law.by.get("layer", HEADLINE_LAYER) == HEADLINE_LAYER:
            key = str(law.by.get("task", "")), int(law.by.get("shots", 0))
            laws[key][law.law] = law
            if band is not None:
                bands[key][law.law] = band
    order = {task: position for position, task in enumerate(task_order(data))}
    keys = sorted(points.keys() | laws.keys(), key=lambda key: (order.get(key[0], len(order)), key))
    return tuple(
        View(task, shots, tuple(points[task, shots]), laws[task, shots], bands[task, shots]) for task, shots in keys
    )


def largest_shots(all_views: Sequence[View]) -> tuple[View, ...]:
    """Of every task with points, the view of its largest number of shots; in the views' order of tasks."""
    return latest([view for view in all_views if view.points])


def latest(some: Sequence[View]) -> tuple[View, ...]:
    """Of every task, the view of its largest number of shots; in the views' order of tasks."""
    largest = {view.task: view for view in sorted(some, key=lambda v: v.shots)}
    return tuple(largest[task] for task in dict.fromkeys(view.task for view in some))


def task_order(data: ReportData) -> tuple[str, ...]:
    """Tasks as the user listed them, else as they first appear."""
    listed = data.experiment.spec.evaluation.tasks if data.experiment is not None else ()
    return tuple(dict.fromkeys((*listed, *(point.task for point in data.points))))


def families(data: ReportData) -> tuple[str, ...]:
    """Architecture families, sorted: their order fixes colour and shape in every figure."""
    return tuple(sorted({p.family for p in data.points} | {t.family for t in data.trials}))


def factor_levels(data: ReportData) -> dict[str, tuple[str | int | float, ...]]:
    """The factors that vary between trials, with their values in order; numbers before names."""
    seen: dict[str, set[str | int | float]] = defaultdict(set)
    for point in data.points:
        seen["model"].add(point.model)
        for name, value in point.factors.items():
            seen[name].add(value)
    ordered = {name: tuple(sorted(values, key=lambda v: (isinstance(v, str), v))) for name, values in seen.items()}
    return {name: values for name, values in ordered.items() if len(values) > 1}


def thinned(points: Sequence[EvaluationPoint], limit: int) -> tuple[EvaluationPoint, ...]:
    """At most about `limit` points: evenly over upstream error, and all vertices of the hull."""
    if len(points) <= limit:
        return tuple(points)
    x_N = np.array([p.upstream_error for p in points])
    y_N = np.array([p.downstream_error for p in points])
    step = -(-len(points) // limit)
    kept = {*np.argsort(x_N, kind="stable")[::step].tolist(), *lower_hull(x_N, y_N).tolist()}
    return tuple(points[i] for i in sorted(kept))
