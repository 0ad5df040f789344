"""Which models form controlled series, and the tests over a study."""

import numpy as np
import pytest

from report_builders import model_point, view_with
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.scaling_series import CONTROLLED, scaling_tests, series_of

BASE = {"model": "b", "dataFraction": 1.0, "epochs": 4}


def _one_factor(shift: float = 0.0, task: str = "mnist", seed: int = 0) -> list[EvaluationPoint]:
    """A base, and neighbours along three factors, two seeds each; those scaled by data lie `shift` higher."""
    rng = np.random.default_rng(seed)
    settings = [BASE]
    settings += [BASE | {"dataFraction": f} for f in (0.02, 0.05, 0.1, 0.3)]
    settings += [BASE | {"model": m} for m in ("a", "c", "d")] + [BASE | {"epochs": e} for e in (1, 2, 8)]
    points = []
    for i, setting in enumerate(setting | {"seed": s} for setting in settings for s in (0, 1)):
        x = rng.uniform(0.15, 0.85)
        y = 0.1 + 0.6 * x**2 + rng.normal(0, 0.004) + shift * (setting["dataFraction"] != 1.0)
        model = str(setting["model"])
        points.append(model_point(f"t{i}", x, y, factors=setting, model=model, task=task))
    return points


def test_series_of_a_one_factor_sweep() -> None:
    """The base is found and belongs to no series; seeds are repeats."""
    points = _one_factor()
    found = series_of(points)
    assert {name: len(some) for name, some in found.items()} == {"dataFraction": 8, "model": 6, "epochs": 6}
    inside = {p.trial for some in found.values() for p in some}
    assert [p.trial for p in points if p.trial not in inside] == ["t0", "t1"]


def test_no_series_without_two_factors() -> None:
    """Points that differ in one factor only, or in none, are not series."""
    points = [p for p in _one_factor() if p.factors["model"] == "b" and p.factors["epochs"] == 4]
    assert series_of(points) == {}
    assert series_of([model_point("t", 0.5, 0.5)]) == {}


def test_one_curve_is_not_rejected_and_a_shift_is() -> None:
    """The controlled test of a study that keeps to one curve is quiet; one with a shift in the data series is not."""
    for shift, off in ((0.0, False), (0.03, True)):
        tests = scaling_tests([view_with(_one_factor(shift))])
        controlled = next(t for t in tests if t.factor == CONTROLLED)
        assert (controlled.p_holm < 0.05) is off
        assert controlled.n == 20
        assert {t.factor for t in tests} == {CONTROLLED, "dataFraction", "model", "epochs"}


def test_holm_corrects_within_a_kind() -> None:
    """With three tasks the smallest p is tripled, the order kept, and none exceeds 1."""
    views = [view_with(_one_factor(0.03 * (i == 0), task=f"t{i}", seed=i)) for i in range(3)]
    tests = sorted((t for t in scaling_tests(views) if t.factor == CONTROLLED), key=lambda t: t.found.p)
    assert tests[0].p_holm == pytest.approx(3 * tests[0].found.p)
    assert [t.p_holm for t in tests] == sorted(t.p_holm for t in tests)
    assert max(t.p_holm for t in tests) <= 1.0
