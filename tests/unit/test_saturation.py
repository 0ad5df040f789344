"""Least squares laws by variable projection."""

import numpy as np
import pytest

from tepui_evaluator.hull import lower_hull
from tepui_evaluator.saturation import ALPHA_MAX, fit_power

# k, alpha, e_IR of the hull's and of the all-points fit for JFT at 25 shots, read off the published figure
PUBLISHED = {
    "pets": ((0.865, 9.8, 0.041), (0.90, 6.95, 0.078)),
    "cifar100": ((0.573, 3.79, 0.100), (0.613, 3.25, 0.162)),
    "imagenet": ((0.795, 3.24, 0.123), (0.857, 1.69, 0.060)),
    "cars": ((0.926, 10.2, 0.048), (1.068, 8.1, 0.075)),
    "dtd": ((0.410, 4.0, 0.203), (0.489, 6.4, 0.295)),
    "caltech": ((0.330, 8.5, 0.058), (0.497, 10.2, 0.091)),
    "uc_merced": ((0.144, 6.2, 0.034), (0.280, 8.55, 0.065)),
}


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_laws_are_recovered(task: str) -> None:
    """From points on the published hull and scattered evenly about the published all-points law, both come back."""
    (k_hull, alpha_hull, e_hull), (k, alpha, e_ir) = PUBLISHED[task]
    x = np.linspace(0.45, 1.0, 400)  # upstream errors of the paper's models on JFT
    on_hull = e_hull + k_hull * x**alpha_hull
    scatter = np.where(np.arange(400) % 2 == 0, 1.0, -1.0) * 0.02
    hull_fit = fit_power(x[lower_hull(x, on_hull)], on_hull[lower_hull(x, on_hull)])
    assert (hull_fit.k[0], hull_fit.alpha[0], hull_fit.c[0]) == pytest.approx(PUBLISHED[task][0], rel=1e-5)
    all_fit = fit_power(x, e_ir + k * x**alpha + scatter)
    assert (all_fit.k[0], all_fit.alpha[0], all_fit.c[0]) == pytest.approx((k, alpha, e_ir), abs=0.06, rel=0.03)


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
