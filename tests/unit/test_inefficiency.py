"""Log densities of inefficiency plus noise, against numerical integration and differences."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from tepui_evaluator.inefficiency import FAMILIES, GAMMA_SHAPES, Density, Family, log_density, with_outliers

CASES = [
    (0.03, 0.01, 0.02),  # residual, sigma, s
    (-0.02, 0.01, 0.02),
    (0.3, 0.01, 0.02),
    (-0.06, 0.01, 0.05),
    (-0.05, 0.01, 0.0015),  # z = -11.7: the continued fraction
    (-0.02, 0.01, 0.00495),  # z = -4.02 and -3.98: either side of where it takes over
    (-0.02, 0.01, 0.00505),
    (0.01, 0.003, 0.1),
    (0.02, 0.02, 0.0005),  # z = -39: where adding the large terms first loses all digits
]


def _by_integration(family: Family, e: float, sigma: float, s: float) -> float:
    def integrand(u: float) -> float:
        if family == "half_normal":
            density = math.sqrt(2.0 / math.pi) / s * math.exp(-0.5 * (u / s) ** 2)
        else:
            m = GAMMA_SHAPES[family] - 1
            density = u**m * math.exp(-u / s) / (math.factorial(m) * s ** (m + 1))
        return density * math.exp(-0.5 * ((e - u) / sigma) ** 2) / (sigma * math.sqrt(2.0 * math.pi))

    centre = max(e, 0.0)
    breaks = sorted({centre, max(centre - 5.0 * sigma, 0.0), centre + 5.0 * sigma, s, 3.0 * s})
    top = centre + 40.0 * max(sigma, s)
    return math.log(quad(integrand, 0.0, top, points=breaks, limit=500, epsabs=0.0, epsrel=1e-11)[0])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", CASES)
def test_density_is_the_convolution(family: Family, case: tuple[float, float, float]) -> None:
    """The closed forms equal the integral over u of f(u) times the normal density of e - u."""
    e, sigma, s = case
    density = log_density(family, np.array([e]), np.array([sigma]), np.array([s]))
    assert density.value[0] == pytest.approx(_by_integration(family, e, sigma, s), abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("outliers", [False, True])
def test_derivatives_are_those_of_the_density(family: Family, outliers: bool) -> None:
    """First and second derivatives equal central differences, over wide ranges of residual, noise and scale."""
    rng = np.random.default_rng(1)
    e = rng.normal(0.02, 0.05, 500)
    p, q = np.log(0.01) + rng.normal(0.0, 1.0, 500), np.log(0.02) + rng.normal(0.0, 1.0, 500)

    def at(e: np.ndarray, p: np.ndarray, q: np.ndarray) -> Density:
        density = log_density(family, e, np.exp(p), np.exp(q))
        return with_outliers(density, e) if outliers else density

    exact = at(e, p, q)
    steps = {"e": (1e-6, 0.0, 0.0), "p": (0.0, 1e-5, 0.0), "q": (0.0, 0.0, 1e-5)}
    pairs = [("e", "value", "e"), ("p", "value", "p"), ("q", "value", "q"), ("ee", "e", "e"), ("ep", "e", "p")]
    pairs += [("eq", "e", "q"), ("pp", "p", "p"), ("pq", "p", "q"), ("qq", "q", "q")]
    for name, of, by in pairs:
        h = steps[by]
        above, below = at(e + h[0], p + h[1], q + h[2]), at(e - h[0], p - h[1], q - h[2])
        numerical = (getattr(above, of) - getattr(below, of)) / (2.0 * max(h))
        assert getattr(exact, name) == pytest.approx(numerical, rel=1e-3, abs=1e-3)


def test_outliers_bound_the_influence_of_one_point() -> None:
    """Far residuals pull on the frontier less and less, instead of without bound."""
    e = np.array([-0.05, -0.2, -0.4])
    density = log_density("half_normal", e, np.full(3, 0.01), np.full(3, 0.02))
    assert np.abs(with_outliers(density, e).e).max() < 20.0 < np.abs(density.e).min()
