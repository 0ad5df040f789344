"""The fitter against a general optimiser, on random points."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from tepui_evaluator.saturation import ALPHA_MAX, ALPHA_MIN, fit_power


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_never_worse_than_many_starts_of_scipy(seed: int) -> None:
    """The residual sum is at most that of the best of 12 bounded least squares runs (relative excess 1e-6)."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 60))
    x = rng.uniform(0.02, 1.0, n)
    noise = float(rng.choice([0.003, 0.03, 0.1]))
    law = rng.uniform(0.0, 0.3) + rng.uniform(0.05, 1.0) * x ** np.exp(rng.uniform(-1.0, 2.5))
    y = np.clip(law + rng.normal(0.0, noise, n), 0.0, 1.0)
    best = np.inf
    for _ in range(12):
        start = [rng.uniform(0.05, 1.2), np.exp(rng.uniform(-1.0, 2.7)), rng.uniform(0.0, 0.3)]
        bounds = ([0.0, ALPHA_MIN, 0.0], [np.inf, ALPHA_MAX, 1.0])
        run = least_squares(lambda p: p[0] * x ** p[1] + p[2] - y, start, bounds=bounds)
        best = min(best, 2.0 * run.cost)
    assert fit_power(x, y).rss[0] <= best * (1.0 + 1e-6) + 1e-15
