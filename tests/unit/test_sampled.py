"""Errors of the published fits by the number of models sampled."""

from dataclasses import replace

import numpy as np
import pytest

from tepui_evaluator.heldout import split_at
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.laws import KINDS, fit_laws
from tepui_evaluator.points import Points, make_points
from tepui_evaluator.sampled import MIN_SAMPLE, sampled_errors
from tepui_evaluator.saturation import fit_power
from tepui_evaluator.simulation import SCENARIOS, simulate


def _points(name: str = "easy") -> Points:
    return simulate(next(s for s in SCENARIOS if s.name == name), np.random.default_rng(0))


def test_all_models_give_the_held_out_score_of_the_law() -> None:
    """The largest sample is everything not held out: its prediction error is the law's own held-out score."""
    points = _points()
    laws = dict(zip(KINDS, fit_laws(points), strict=True))
    found = sampled_errors(points, by={"task": "pets"})
    for kind in ("hull", "all_points"):
        largest = [s for s in found if s.law == kind][-1]
        heldout = laws[kind].heldout
        assert heldout is not None
        assert (largest.models, largest.samples) == (int(np.sum(points.x >= split_at(points.x))), 1)
        assert largest.prediction_error is not None
        assert largest.prediction_error.median == pytest.approx(heldout.law, rel=1e-6)
        assert largest.by == {"task": "pets"}


def test_one_sample_by_hand() -> None:
    """The errors of one sample are those of a fit to its hull, over the vertices fitted and the held-out vertices."""
    points = _points()
    at = split_at(points.x)
    pool = points.take(points.x >= at)
    sample = pool.take(np.random.default_rng(5).choice(pool.n, 40, replace=False))
    hull = sample.take(lower_hull(sample.x, sample.y))
    fit = fit_power(hull.x, hull.y)
    outer = lower_hull(points.x, points.y)
    test = points.take(outer[points.x[outer] < at])
    missed = fit.c[0] + fit.k[0] * test.x ** fit.alpha[0] - test.y
    found = sampled_errors(points, sizes=[40], repeats=1, seed=5)[0]
    assert found.fit_error is not None
    assert found.prediction_error is not None
    assert found.fit_error.median == pytest.approx(float(np.sqrt(fit.rss[0] / hull.n)), rel=1e-6)
    assert found.prediction_error.median == pytest.approx(float(np.sqrt(np.mean(missed**2))), rel=1e-6)


def test_more_models_predict_better() -> None:
    """From 6 models to 70 the 90th percentile of the held-out error of the all-points law falls by a third."""
    found = [s.prediction_error for s in sampled_errors(_points(), sizes=[6, 70]) if s.law == "all_points"]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1].high < 0.67 * found[0].high


def test_points_without_a_law_have_no_errors() -> None:
    """Too few models, or none that carry a law, give an empty answer; wrong sizes are refused with what is allowed."""
    assert sampled_errors(make_points([], [])) == ()
    assert sampled_errors(make_points([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4])) == ()
    assert sampled_errors(replace(_points(), x=np.full(100, 0.3))) == ()
    with pytest.raises(ValueError, match=r"sizes holds 3; allowed are 4 to \d+, the models not held out"):
        sampled_errors(_points(), sizes=[3])
    with pytest.raises(ValueError, match="repeats is 0"):
        sampled_errors(_points(), repeats=0)
    assert sampled_errors(_points())[0].models == MIN_SAMPLE
