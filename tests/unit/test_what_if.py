"""Predictions, targets and comparisons from fitted laws."""

from dataclasses import replace

import numpy as np
import pytest

from tepui_evaluator.laws import fit_laws
from tepui_evaluator.points import Points, make_points
from tepui_evaluator.simulation import SCENARIOS, Scenario, simulate
from tepui_evaluator.what_if import difference, differences, needed, predict
from tepui_spec.law import Law

EASY = next(s for s in SCENARIOS if s.name == "easy")


def _fitted(scenario: Scenario = EASY, seed: int = 0, law: int = 1) -> tuple[Points, Law]:
    points = simulate(scenario, np.random.default_rng(seed))
    return points, fit_laws(points)[law]


@pytest.mark.parametrize("law", [0, 1])
def test_needed_inverts_predict(law: int) -> None:
    """At the upstream error needed for a target the law predicts it; at the interval's ends its band touches it."""
    points, fitted = _fitted(law=law)
    found = needed(points, fitted, 0.25)
    assert found.reach == "yes"
    assert found.x is not None
    assert found.interval is not None
    assert predict(points, fitted, found.x).y == pytest.approx(0.25, abs=1e-9)
    at_low, at_high = (predict(points, fitted, x).interval for x in found.interval)
    assert at_low is not None
    assert at_high is not None
    assert at_low[1] == pytest.approx(0.25, abs=1e-3)
    assert at_high[0] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("law", [0, 1])
def test_a_target_below_the_floor_is_out_of_reach(law: int) -> None:
    """Below e_IR's interval no upstream error is given; within it, the answer is perhaps, from 0 on."""
    points, fitted = _fitted(law=law)
    assert fitted.e_ir is not None
    below = needed(points, fitted, 0.05)
    assert (below.reach, below.x, below.interval) == ("no", None, None)
    assert below.reason.startswith("out of reach: e_IR is above 0.05")
    within = needed(points, fitted, fitted.e_ir)
    assert within.reach == "perhaps"
    assert within.interval is not None
    assert within.interval[0] == 0.0


def test_no_law_no_answer() -> None:
    """A law without numbers, and a published one without interval, are refused with the reason."""
    few = make_points([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="only 3 models"):
        predict(few, fit_laws(few)[1], 0.1)
    points, hull = _fitted(law=2)
    with pytest.raises(ValueError, match="no interval of e_IR"):
        needed(points, hull, 0.3)
    with pytest.raises(ValueError, match=r"x is -1; allowed are upstream errors in \[0, 1\]"):
        predict(points, hull, -1.0)


def test_difference_covers_the_true_one() -> None:
    """Of 30 pairs of independent studies whose e_IR differ by 0.02, at least 26 intervals hold 0.02."""
    other = replace(EASY, e_ir=EASY.e_ir + 0.02)
    covered = 0
    for seed in range(100, 130):
        d = difference(_fitted(other, seed)[1], _fitted(EASY, seed + 1000)[1])
        covered += d.interval is not None and d.interval[0] <= 0.02 <= d.interval[1]
    assert covered >= 26


def test_far_apart_differ_and_equal_ones_are_never_called_equal() -> None:
    """0.15 apart is shown; a study against itself is unknown, not equal."""
    _, a = _fitted()
    _, b = _fitted(replace(EASY, e_ir=0.25))
    assert difference(b, a).differ == "yes"
    assert difference(a, a).differ == "unknown"
    with pytest.raises(ValueError, match="cannot be compared"):
        difference(a, _fitted(law=0)[1])


def test_pairs_of_groups() -> None:
    """Three groups give three pairs for each law with intervals, none for the published ones."""
    laws = [law for task in ("a", "b", "c") for law in fit_laws(_fitted()[0], by={"task": task})]
    pairs = [(d.law, d.a["task"], d.b["task"]) for d in differences(laws)]
    assert pairs == [(law, *p) for law in ("frontier", "average") for p in (("a", "b"), ("a", "c"), ("b", "c"))]
