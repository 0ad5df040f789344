"""Which models of a study form series that scale one thing, and what the tests of one curve say of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import View
from tepui_evaluator.scaling import OneCurve, one_curve
from tepui_spec.law import ByValue

FACTORS = ("dataFraction", "model", "epochs", "batchSize", "lrPeak", "weightDecay", "headWeightDecay", "headLrScale")
"""In the order of pictures and tables; seeds are repeats, not a scale."""
CONTROLLED = "controlled"
MAX_MODELS = 2000
"""Of a test: more, evenly over upstream error, would say the same."""
_LEVEL_SHARE = 1.5  # models for each value of a factor, on average, that a test needs


@dataclass(frozen=True)
class ScalingTest:
    """One test of one curve, on one task at one number of shots."""

    task: str
    shots: int
    factor: str
    """The factor whose values are compared, or CONTROLLED: the series of a base model, a factor each."""
    n: int
    found: OneCurve
    p_holm: float = 1.0
    """p after Holm's correction (1979) over the study's tests of the same kind."""


def scaling_tests(largest: Sequence[View]) -> tuple[ScalingTest, ...]:
    """Of every task's view: the controlled series, where the sweep holds them, and each factor over all models."""
    tests = [test for view in largest for test in _tests_of(view)]
    controlled = [test for test in tests if test.factor == CONTROLLED]
    return (*_holm(controlled), *_holm([test for test in tests if test.factor != CONTROLLED]))


def series_of(points: Sequence[EvaluationPoint]) -> dict[str, list[EvaluationPoint]]:
    """Points that differ from one base setting in one factor alone, by that factor; {} with fewer than two factors.

    The base is the setting with the most such neighbours; it belongs to every series, so it is in none. Seeds are
    repeats of a setting.
    """
    settings = [_setting(point.factors) for point in points]
    names = sorted({name for setting in settings for name in setting})
    sizes = {name: Counter(_without(setting, name) for setting in _different(settings)) for name in names}

    def neighbours(setting: Mapping[str, ByValue]) -> int:
        return sum(sizes[name][_without(setting, name)] - 1 for name in names)

    if not names:
        return {}
    base = max(settings, key=neighbours)
    found: dict[str, list[EvaluationPoint]] = defaultdict(list)
    for point, setting in zip(points, settings, strict=True):
        differing = [name for name in names if setting.get(name) != base.get(name)]
        if len(differing) == 1:
            found[differing[0]].append(point)
    return dict(found) if len(found) > 1 else {}


def _different(settings: Sequence[dict[str, ByValue]]) -> list[dict[str, ByValue]]:
    """The different settings, in order of first appearance."""
    return list({tuple(sorted(setting.items())): setting for setting in settings}.values())


def _setting(factors: Mapping[str, ByValue]) -> dict[str, ByValue]:
    return {name: value for name, value in factors.items() if name != "seed"}


def _without(setting: Mapping[str, ByValue], name: str) -> tuple[tuple[str, ByValue], ...]:
    return tuple(sorted((other, value) for other, value in setting.items() if other != name))


def _tests_of(view: View) -> list[ScalingTest]:
    points = _thinned(view.points)
    tests = []
    if series := series_of(points):
        labelled = [(point, name) for name, some in series.items() for point in some]
        tests.append(_test(view, CONTROLLED, [p for p, _ in labelled], [name for _, name in labelled]))
    for factor in FACTORS:
        known = [p for p in points if factor in p.factors]
        levels = [str(p.factors[factor]) for p in known]
        if 1 < len(set(levels)) <= len(known) / _LEVEL_SHARE:
            blocks = None if factor == "model" else [p.model for p in known]
            tests.append(_test(view, factor, known, levels, blocks))
    return [test for test in tests if test is not None]


def _test(
    view: View,
    factor: str,
    points: Sequence[EvaluationPoint],
    series: Sequence[str],
    blocks: Sequence[str] | None = None,
) -> ScalingTest | None:
    x_N = np.array([p.upstream_error for p in points])
    y_N = np.array([p.downstream_error for p in points])
    found = one_curve(x_N, y_N, series, blocks=blocks)
    return None if found is None else ScalingTest(view.task, view.shots, factor, len(points), found)


def _thinned(points: Sequence[EvaluationPoint]) -> Sequence[EvaluationPoint]:
    return sorted(points, key=lambda p: p.upstream_error)[:: -(-len(points) // MAX_MODELS) or 1]


def _holm(tests: Sequence[ScalingTest]) -> list[ScalingTest]:
    order = sorted(range(len(tests)), key=lambda i: tests[i].found.p)
    adjusted, highest = dict.fromkeys(order, 1.0), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(tests) - place) * tests[i].found.p))
        adjusted[i] = highest
    return [replace(test, p_holm=adjusted[i]) for i, test in enumerate(tests)]
