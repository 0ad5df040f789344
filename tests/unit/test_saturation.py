"""Least squares laws by variable projection."""

import numpy as np
import pytest

from tepui_evaluator.hull import lower_hull
from tepui_evaluator.published import PUBLISHED, exact_points
from tepui_evaluator.saturation import ALPHA_MAX, fit_power


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_laws_are_recovered(task: str) -> None:
    """One set of points on the paper's hull law and scattered evenly about its all-points law gives both back."""
    points = exact_points(task)
    hull = points.take(lower_hull(points.x, points.y))
    for fitted, law in zip((hull, points), PUBLISHED[task], strict=True):
        fit = fit_power(fitted.x, fitted.y)
        assert (fit.k[0], fit.alpha[0], fit.c[0]) == pytest.approx((law.k, law.alpha, law.e_ir), rel=1e-5)


def test_weights_are_counts() -> None:
    """A weight of 2 is a point repeated, and a weight of 0 is a point left out."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 0.9, 30)
    y = 0.1 + 0.5 * x**2.5 + rng.normal(0.0, 0.02, 30)
    weights = rng.integers(0, 3, (1, 30)).astype(float)
    rows = np.repeat(np.arange(30), weights[0].astype(int))
    weighted, repeated = fit_power(x, y, weights), fit_power(x[rows], y[rows])
    for name in ("k", "alpha", "c", "rss"):
        assert getattr(weighted, name)[0] == pytest.approx(getattr(repeated, name)[0], rel=1e-7)


def test_floor_and_slope_are_not_negative() -> None:
    """Data that ask for a floor below 0 or a falling law get the best law within the constraints."""
    x = np.linspace(0.1, 0.9, 20)
    below = fit_power(x, 0.6 * x**1.5 - 0.05 * (1.0 - x))
    assert below.c[0] == 0.0
    free = fit_power(x, 0.6 * x**1.5 - 0.05 * (1.0 - x), c_min=-np.inf)
    assert free.c[0] < 0.0
    assert free.rss[0] < below.rss[0]
    falling = fit_power(x, 0.5 - 0.3 * x)
    assert falling.k[0] == 0.0
    assert falling.c[0] == pytest.approx(np.mean(0.5 - 0.3 * x))


def test_exponent_at_the_bound_is_told() -> None:
    """A step at the worst model has no finite exponent: the fit says that it stopped at the bound."""
    x = np.array([0.1, 0.2, 0.3, 0.4, 0.9])
    fit = fit_power(x, np.array([0.1, 0.1, 0.1, 0.1, 0.6]))
    assert fit.rss[0] == pytest.approx(0.0, abs=1e-12)
    steep = fit_power(np.array([0.97, 0.98, 0.985, 0.99, 0.995]), np.array([0.1, 0.1, 0.1, 0.1, 0.6]))
    assert steep.at_alpha_bound[0]
    assert steep.alpha[0] == pytest.approx(ALPHA_MAX, rel=1e-6)


def test_upstream_error_zero_is_a_point_like_any_other() -> None:
    """e_US = 0 pins the floor and makes no NaN."""
    x = np.array([0.0, 0.2, 0.4, 0.6, 0.8])
    fit = fit_power(x, 0.07 + 0.4 * x**2)
    assert (fit.c[0], fit.k[0], fit.alpha[0]) == pytest.approx((0.07, 0.4, 2.0), rel=1e-6)


def test_two_points_without_residual() -> None:
    """A fit through two points leaves no residual but rounding, which can be below 0: still a fit."""
    fit = fit_power(np.array([0.0021, 0.0969]), np.array([3.2e-07, 3.3e-07]))
    assert fit.rss[0] < 1e-20
