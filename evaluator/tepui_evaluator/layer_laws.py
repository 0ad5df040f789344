"""The laws of a task at each quarter of the models' depth, at its largest number of shots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tepui_evaluator.laws import fit_laws
from tepui_evaluator.layer_depth import QUARTERS, by_quarter
from tepui_evaluator.study_points import PointRow, points_of
from tepui_spec.law import ByValue, Law


def layer_laws(groups: Mapping[tuple[Any, ...], list[PointRow]], *, confidence: float) -> list[tuple[str, Law]]:
    """Protocol and law, by `task`, `shots` and `layer` (a quarter), from the points of `study_points.groups_of`.

    [] where only one layer was evaluated.
    """
    largest: dict[tuple[str, str], int] = {}
    of_task: dict[tuple[str, str, int], dict[str, dict[str, PointRow]]] = defaultdict(lambda: defaultdict(dict))
    for (task, shots, layer, protocol), rows in groups.items():
        largest[task, protocol] = max(shots, largest.get((task, protocol), 0))
        for row in rows:
            of_task[task, protocol, shots][f"{row.trial}@{row.step}"][layer] = row
    found = []
    for (task, protocol), shots in largest.items():
        quarters = by_quarter(of_task[task, protocol, shots])
        for quarter in QUARTERS:
            if quarter in quarters:
                by: dict[str, ByValue] = {"task": task, "shots": shots, "layer": quarter}
                laws = fit_laws(points_of(quarters[quarter]), confidence=confidence, by=by)
                found += [(protocol, law) for law in laws]
    return found
