"""Held-out prediction scores."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from tepui_evaluator.heldout import Curve, Split, score, split_at
from tepui_evaluator.saturation import fit_power


def _split(x: np.ndarray, y: np.ndarray) -> Split:
    at = split_at(x)
    return Split(x[x >= at], y[x >= at], x[x < at], y[x < at], at)


def _law(split: Split) -> Curve:
    fit = fit_power(split.x_fit, split.y_fit)
    return lambda x: np.asarray(fit.c[0] + fit.k[0] * x ** fit.alpha[0])


X = np.linspace(0.05, 0.9, 40)


def test_split_holds_out_the_better_quarter() -> None:
    """Three quarters of the models are fitted, ties at the split included."""
    assert split_at(X) == X[9]
    assert split_at(np.array([0.2, 0.2, 0.2, 0.2, 0.9])) == 0.2


@pytest.mark.parametrize(
    ("y", "best"),
    [
        (0.1 + 0.6 * X**3, "law"),
        (0.7 * X**0.8, "log_log"),
        (0.7 * X**0.8, "power"),
        (1.0 / (1.0 + np.exp(-(0.3 + 0.7 * np.log(X / (1.0 - X))))), "logit_linear"),
    ],
)
def test_the_model_that_made_the_points_predicts_best(y: np.ndarray, best: str) -> None:
    """Exact points of a law, of a power law without floor and of a line between logits are recognised."""
    split = _split(X, y)
    found = score(_law(split), split)
    assert found is not None
    assert getattr(found, best) == pytest.approx(0.0, abs=1e-5)
    assert (found.fit_n, found.test_n) == (31, 9)
    if best not in ("log_log", "power"):  # the law contains the power law without floor
        assert found.best == best


def test_clear_loss_is_told_and_a_narrow_one_is_not() -> None:
    """A logit line under noise beats the law clearly; equal predictions do not."""
    rng = np.random.default_rng(0)
    y = 1.0 / (1.0 + np.exp(-(0.3 + 0.7 * np.log(X / (1.0 - X))))) + rng.normal(0.0, 0.003, X.size)
    split = _split(X, y)
    lost = score(_law(split), split)
    assert lost is not None
    assert lost.lost_to == "logit_linear"
    split = _split(X, 0.1 + 0.6 * X**3 + rng.normal(0.0, 0.003, X.size))
    won = score(_law(split), split)
    assert won is not None
    assert won.lost_to is None


def test_power_without_floor_is_the_least_squares_one() -> None:
    """Under noise that is even in error, not in its log, the power baseline equals scipy's least squares fit."""
    y = 0.7 * X**1.5 + np.random.default_rng(1).normal(0.0, 0.02, X.size).clip(-0.01)
    split = _split(X, y)
    (a, b), _ = curve_fit(lambda x, a, b: a * x**b, split.x_fit, split.y_fit, p0=(1.0, 1.0))
    found = score(_law(split), split)
    assert found is not None
    expected = np.sqrt(np.mean((a * split.x_test**b - split.y_test) ** 2))
    assert found.power == pytest.approx(float(expected), rel=1e-3)


def test_nothing_to_predict_or_too_little_to_fit_has_no_score() -> None:
    """All models at one upstream error, or three fitted models, give None."""
    assert score(None, _split(np.full(8, 0.4), X[:8])) is None
    assert score(None, _split(X[:4], X[:4])) is None


def test_errors_of_zero_do_not_break_the_baselines() -> None:
    """Zeros on both axes give finite scores of every baseline."""
    x, y = X.copy(), (0.5 * X**2).copy()
    x[0], y[0], y[20] = 0.0, 0.0, 0.0
    split = _split(x, y)
    found = score(_law(split), split)
    assert found is not None
    scores = (found.law, found.log_log, found.power, found.logit_linear, found.mean)
    assert all(s is not None and np.isfinite(s) for s in scores)
