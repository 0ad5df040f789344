"""Points simulated from a known law, to measure what the estimators' intervals are worth.

A model with upstream error x has downstream error k x**alpha + c + u, where u >= 0 is what it loses against
the frontier. Both errors are then measured: on a finite test set (binomial), and downstream as the mean over a
few support seeds. The scenarios are those of docs/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tepui_evaluator.points import FloatArray, IntArray, Points, make_points, measurement_se

Scatter = Literal["half_normal", "exponential", "gamma3", "uniform", "gamma6", "lognormal"]


@dataclass(frozen=True)
class Scenario:
    """A law, its models and their measurement. Errors are fractions; `u_mean` is the mean loss against the law."""

    name: str
    n: int = 100
    e_ir: float = 0.10
    k: float = 0.60
    alpha: float = 3.0
    x_range: tuple[float, float] = (0.15, 0.85)
    scatter: Scatter = "half_normal"
    u_mean: float = 0.025
    u_growth: float = 0.0  # u's mean is u_mean * exp(u_growth * (x - 0.5))
    groups: int = 0  # 0: independent models; else models share half of u's mean within a group
    outlier_share: float = 0.0
    upstream_n: int = 10000
    test_n: int = 5000
    support_seeds: int = 3
    seed_sd: float = 0.004
    rounding: float = 0.0  # measured errors are rounded to multiples of this, as printed tables are

    def law(self, x: FloatArray) -> FloatArray:
        """Downstream error of the frontier at upstream errors `x`."""
        return np.asarray(self.e_ir + self.k * x**self.alpha)


_EASY = Scenario("easy")
SCENARIOS: tuple[Scenario, ...] = (
    replace(_EASY, name="n=12", n=12),
    replace(_EASY, name="n=40", n=40),
    _EASY,
    replace(_EASY, name="noisy", test_n=1000, seed_sd=0.015),
    replace(_EASY, name="very noisy", test_n=300, seed_sd=0.03),
    replace(_EASY, name="noise > scatter", u_mean=0.005, test_n=1000, seed_sd=0.03),
    replace(_EASY, name="e_IR=0", e_ir=0.0),
    replace(_EASY, name="e_IR=0 noisy", e_ir=0.0, test_n=1000, seed_sd=0.015),
    replace(_EASY, name="low alpha", alpha=1.2),
    replace(_EASY, name="alpha=10", alpha=10.0, k=0.85, e_ir=0.04),
    replace(_EASY, name="heterosc.", u_growth=3.0),
    replace(_EASY, name="gamma(3)", scatter="gamma3"),
    replace(_EASY, name="uniform", scatter="uniform"),
    replace(_EASY, name="10 groups", groups=10),
    replace(_EASY, name="outliers", outlier_share=0.03),
    replace(_EASY, name="ties", rounding=0.01),
)
BEYOND: tuple[Scenario, ...] = (
    replace(_EASY, name="gamma(3), n=500", scatter="gamma3", n=500),
    replace(_EASY, name="gamma(6)", scatter="gamma6"),
    replace(_EASY, name="lognormal", scatter="lognormal"),
    replace(_EASY, name="3 groups", groups=3),
    replace(_EASY, name="4 groups", groups=4),
    replace(_EASY, name="6 groups", groups=6),
)
"""Harder than the method was made for: losses that keep away from the frontier, many models, few groups of them."""


def simulate(scenario: Scenario, rng: np.random.Generator) -> Points:
    """Measured points of one study."""
    x, u, group = _models(scenario, scenario.n, rng)
    y = np.clip(scenario.law(x) + u, 0.0, 1.0)
    outlier = rng.random(scenario.n) < scenario.outlier_share
    y = np.where(outlier, np.clip(y + rng.uniform(-0.05, 0.4, scenario.n), 0.0, 1.0), y)
    deviations = rng.normal(0.0, scenario.seed_sd, (scenario.n, scenario.support_seeds))
    measured_x = rng.binomial(scenario.upstream_n, x) / scenario.upstream_n
    measured_y = rng.binomial(scenario.test_n, y) / scenario.test_n + deviations.mean(axis=1)
    if scenario.rounding:
        measured_x, measured_y = (np.round(v / scenario.rounding) * scenario.rounding for v in (measured_x, measured_y))
    measured_y = np.clip(measured_y, 0.0, 1.0)
    test_n, upstream_n = np.full(scenario.n, scenario.test_n), np.full(scenario.n, scenario.upstream_n)
    return make_points(
        measured_x,
        measured_y,
        x_se=measurement_se(measured_x, upstream_n),
        y_se=measurement_se(measured_y, test_n, deviations.var(axis=1, ddof=1), scenario.support_seeds),
        group=group.tolist(),
    )


def population(scenario: Scenario, size: int = 200_000) -> tuple[FloatArray, FloatArray]:
    """Upstream errors (size,) and exact downstream errors of many models: what the average law is a law of."""
    x, u, _ = _models(replace(scenario, groups=0), size, np.random.default_rng(12345))
    return x, np.clip(scenario.law(x) + u, 0.0, 1.0)


def _models(scenario: Scenario, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, IntArray]:
    lo, hi = scenario.x_range
    x = lo + (hi - lo) * rng.beta(1.2, 1.6, n)
    mean = scenario.u_mean * np.exp(scenario.u_growth * (x - 0.5))
    if not scenario.groups:
        return x, mean * _unit_scatter(scenario.scatter, n, rng), np.arange(n)
    group = rng.integers(0, scenario.groups, n)
    shared = _unit_scatter(scenario.scatter, scenario.groups, rng)[group]
    return x, mean * (0.5 * shared + 0.5 * _unit_scatter(scenario.scatter, n, rng)), group


def _unit_scatter(scatter: Scatter, n: int, rng: np.random.Generator) -> FloatArray:
    """One-sided draws (n,) with mean 1."""
    if scatter == "half_normal":
        return np.asarray(np.abs(rng.normal(0.0, 1.0, n)) * np.sqrt(np.pi / 2.0))
    if scatter == "exponential":
        return rng.exponential(1.0, n)
    if scatter == "uniform":
        return rng.uniform(0.0, 2.0, n)
    if scatter == "lognormal":
        return np.asarray(np.exp(rng.normal(-0.125, 0.5, n)))
    shape = {"gamma3": 3.0, "gamma6": 6.0}[scatter]
    return rng.gamma(shape, 1.0 / shape, n)
