"""The average law and its group-robust intervals."""

from dataclasses import replace

import numpy as np
import pytest

from tepui_evaluator.average import fit_average, group_sums
from tepui_evaluator.points import Points, make_points


def _points(n: int = 80, seed: int = 0, noise: float = 0.02) -> Points:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.15, 0.85, n)
    return make_points(x, 0.12 + 0.6 * x**3 + rng.normal(0.0, noise, n))


def test_interval_is_the_textbook_sandwich() -> None:
    """The covariance of (e_IR, log alpha, log k) equals HC3 written out by hand."""
    points = _points()
    fit = fit_average(points)
    c, log_alpha, log_k = fit.free
    alpha, k = np.exp(log_alpha), np.exp(log_k)
    x = points.x
    jacobian = np.stack([np.ones_like(x), k * alpha * np.log(x) * x**alpha, k * x**alpha], axis=1)
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    leverage = np.diag(jacobian @ inverse @ jacobian.T)
    residual = (points.y - c - k * x**alpha) / (1.0 - leverage)
    expected = inverse @ (jacobian.T @ np.diag(residual**2) @ jacobian) @ inverse
    assert fit.covariance == pytest.approx(expected, rel=1e-6)


def test_grouped_copies_do_not_narrow_the_interval() -> None:
    """Five copies of every model in its group give an interval at least 0.9 times as wide as the models once."""
    points = _points(n=30)
    rows = np.tile(np.arange(30), 5)
    once, copies = fit_average(points), fit_average(points.take(rows))
    a, b = once.interval("e_ir", 0.95), copies.interval("e_ir", 0.95)
    assert a is not None
    assert b is not None
    assert b[1] - b[0] > 0.9 * (a[1] - a[0])
    ungrouped = fit_average(replace(points.take(rows), group=np.arange(150))).interval("e_ir", 0.95)
    assert ungrouped is not None
    assert ungrouped[1] - ungrouped[0] < 0.6 * (a[1] - a[0])


def test_estimate_at_the_floor_lies_in_its_interval() -> None:
    """Where e_IR is estimated as 0 the interval starts at 0 and contains every point estimate."""
    rng = np.random.default_rng(4)
    x = rng.uniform(0.15, 0.85, 60)
    fit = fit_average(make_points(x, np.clip(0.6 * x**1.2 - 0.03 + rng.normal(0.0, 0.01, 60), 0.0, 1.0)))
    assert fit.e_ir == 0.0
    for name, value in (("e_ir", fit.e_ir), ("k", fit.k), ("alpha", fit.alpha)):
        interval = fit.interval(name, 0.95)
        assert interval is not None
        assert interval[0] <= value <= interval[1]


def test_no_interval_where_nothing_determines_it() -> None:
    """Too few groups, and an exponent at its bound, give None instead of a made-up width."""
    few_groups = replace(_points(), group=np.arange(80) % 3)
    assert fit_average(few_groups).interval("e_ir", 0.95) is None
    step = make_points([0.97, 0.98, 0.985, 0.99, 0.995], [0.1, 0.1, 0.1, 0.1, 0.6])
    assert fit_average(step).interval("alpha", 0.95) is None
    assert fit_average(step).predict(0.5, 0.95)[1] is None


def test_prediction_interval_is_narrowest_among_the_data() -> None:
    """The law is known better where models are than at the far end of extrapolation."""
    fit = fit_average(_points())
    inside, outside = fit.predict(0.4, 0.95)[1], fit.predict(0.99, 0.95)[1]
    assert inside is not None
    assert outside is not None
    assert inside[1] - inside[0] < outside[1] - outside[0]


def test_group_sums() -> None:
    """Rows are added by label, whatever the labels are."""
    sums = group_sums(np.array([[1.0], [2.0], [4.0]]), np.array([7, 3, 7]))
    assert sums.tolist() == [[2.0], [5.0]]
