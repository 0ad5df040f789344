"""The frontier law: likelihood, profiles, intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from tepui_evaluator.frontier import MAX_POINTS, fit_frontier, subset
from tepui_evaluator.frontier_likelihood import KAPPA, LAMBDA, TAU, C, FrontierLikelihood
from tepui_evaluator.frontier_profile import HI, LO, Parameter, Problems, profile_ends
from tepui_evaluator.points import Points, make_points
from tepui_evaluator.simulation import BEYOND, SCENARIOS, simulate

EASY = next(s for s in SCENARIOS if s.name == "easy")
PARAMETERS = [Parameter("e_ir"), Parameter("k"), Parameter("alpha"), Parameter("value", 0.05)]


def _points(n: int = 40, seed: int = 0, name: str = "easy") -> Points:
    scenario = replace(next(s for s in SCENARIOS if s.name == name), n=n)
    return simulate(scenario, np.random.default_rng(seed))


@pytest.mark.parametrize("known_noise", [True, False])
def test_derivatives_of_the_likelihood(known_noise: bool) -> None:
    """Gradient and Hessian equal central differences, at e_US = 0 too."""
    points = _points()
    x = points.x.copy()
    x[0] = 0.0
    points = replace(points, x=x, y_se=points.y_se if known_noise else None)
    likelihood = FrontierLikelihood(points)
    theta = np.tile([0.09, np.log(0.55), np.log(2.5), np.log(0.03), 0.3, np.log(0.012)], (4, 1))
    family = np.arange(4)
    _, gradient, hessian = likelihood.evaluate(family, theta)
    for p in range(6):
        step = np.zeros(6)
        step[p] = 1e-6
        above, below = likelihood.evaluate(family, theta + step), likelihood.evaluate(family, theta - step)
        assert gradient[:, p] == pytest.approx((above[0] - below[0]) / 2e-6, rel=1e-5, abs=1e-4)
        assert hessian[:, :, p] == pytest.approx((above[1] - below[1]) / 2e-6, rel=1e-4, abs=1e-2)


def test_optimum_is_that_of_a_general_optimiser() -> None:
    """No start of scipy's bounded quasi-Newton finds a better likelihood under any family."""
    fit = fit_frontier(_points())
    rng = np.random.default_rng(0)
    for family in range(4):

        def value(theta: np.ndarray, family: int = family) -> float:
            return float(fit.likelihood.evaluate(np.array([family]), theta[None, :])[0][0])

        for _ in range(5):
            start = np.clip(fit.theta[family] + rng.normal(0.0, 0.5, 6) * [0.1, 1, 1, 1, 1, 0], LO, HI)
            bounds = list(zip(LO.tolist(), HI.tolist(), strict=True))
            bounds[TAU] = (start[TAU], start[TAU])
            assert fit.value[family] <= minimize(value, start, bounds=bounds, method="L-BFGS-B").fun + 1e-4


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_profile_ends_are_where_the_likelihood_has_risen(parameter: Parameter) -> None:
    """At each end, minimising over the rest with scipy gives just the threshold (within 2% of its root)."""
    fit = fit_frontier(_points(n=60, seed=1))
    family, threshold = 1, 4.0
    problems = Problems(
        parameters=(parameter, parameter),
        family=np.array([family, family]),
        side=np.array([-1, 1]),
        theta=fit.theta[[family, family]],
        value=fit.value[[family, family]],
        threshold=np.array([threshold, threshold]),
    )
    ends = profile_ends(fit.likelihood, problems)
    for end in ends.at:
        rise = 2.0 * (
            _profiled_by_scipy(fit.likelihood, family, parameter, float(end), fit.theta[family]) - fit.value[family]
        )
        assert np.sqrt(rise) == pytest.approx(np.sqrt(threshold), rel=0.02)


def _profiled_by_scipy(
    likelihood: FrontierLikelihood, family: int, parameter: Parameter, at: float, theta: np.ndarray
) -> float:
    """Smallest value with the parameter held, by a simplex search over c, log alpha, a, b (and log k)."""

    def whole(free: np.ndarray) -> np.ndarray | None:
        full = theta.copy()
        if parameter.kind == "e_ir":
            full[C], full[[KAPPA, LAMBDA, 3, 4]] = at, free
        elif parameter.kind == "alpha":
            full[LAMBDA], full[[C, KAPPA, 3, 4]] = np.log(at), free
        else:
            full[[C, LAMBDA, 3, 4]] = free
            if parameter.kind == "k":
                full[KAPPA] = np.log(at)
            elif free[0] < at:
                full[KAPPA] = np.log(at - free[0]) - np.exp(free[1]) * np.log(parameter.x or 1.0)
            else:
                return None
        return full if full[C] >= 0.0 else None

    def value(free: np.ndarray) -> float:
        full = whole(free)
        return 1e6 if full is None else float(likelihood.evaluate(np.array([family]), full[None, :])[0][0])

    slots = {"e_ir": [KAPPA, LAMBDA, 3, 4], "alpha": [C, KAPPA, 3, 4]}.get(parameter.kind, [C, LAMBDA, 3, 4])
    best, start = np.inf, theta[slots].copy()
    if parameter.kind == "value":
        start[0] = min(start[0], 0.95 * at)
    for _ in range(6):
        found = minimize(value, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-9})
        best, start = min(best, found.fun), found.x
    return float(best)


def test_result_does_not_depend_on_order_or_repetition() -> None:
    """Twice the same points give bitwise the same numbers; shuffled points the same to rounding."""
    points = _points()
    order = np.random.default_rng(3).permutation(points.n)
    same = points.take(np.arange(points.n))
    first, again, shuffled = (fit_frontier(p).intervals(PARAMETERS, 0.95) for p in (points, same, points.take(order)))
    assert first == again
    for a, b in zip(first, shuffled, strict=True):
        assert a == pytest.approx(b, rel=5e-3)


def test_higher_confidence_is_wider() -> None:
    """Intervals at 68, 95 and 99% contain each other."""
    fit = fit_frontier(_points())
    narrow, middle, wide = (fit.intervals(PARAMETERS, c) for c in (0.68, 0.95, 0.99))
    for a, b, c in zip(narrow, middle, wide, strict=True):
        assert a is not None
        assert b is not None
        assert c is not None
        assert c[0] <= b[0] <= a[0]
        assert float(a[1] or np.inf) <= float(b[1] or np.inf) <= float(c[1] or np.inf)


def test_copies_of_a_model_in_one_group_tell_nothing_new() -> None:
    """Ten copies of every model, grouped, leave the interval about as wide; ungrouped they would narrow it."""
    points = _points(n=30)
    rows = np.tile(np.arange(30), 10)
    copies = points.take(rows)
    width = {}
    for name, p in {"once": points, "grouped": copies, "ungrouped": replace(copies, group=np.arange(300))}.items():
        interval = fit_frontier(p).intervals([Parameter("e_ir")], 0.95)[0]
        assert interval is not None
        width[name] = float(interval[1] or 1.0) - interval[0]
    assert width["ungrouped"] < 0.5 * width["once"]
    assert width["grouped"] > 0.7 * width["once"]


def test_too_few_groups_have_no_interval() -> None:
    """With 2 groups there are estimates but no interval is made up; with 3 to 5 there is one, wider the fewer."""
    points = _points()
    assert np.isfinite(fit_frontier(replace(points, group=np.arange(40) % 2)).curve).all()
    widths = []
    for groups in (2, 4, 10):
        interval = fit_frontier(replace(points, group=np.arange(40) % groups)).intervals(PARAMETERS, 0.95)[0]
        widths.append(None if interval is None else float(interval[1] or 1.0) - interval[0])
    assert widths[0] is None
    assert widths[1] is not None
    assert widths[2] is not None
    assert widths[1] > widths[2]


def test_an_outlier_far_below_hardly_moves_the_frontier() -> None:
    """One model at an impossible 0.3 below the law changes e_IR by less than 0.02; the hull would follow it."""
    points = _points(n=60)
    y = points.y.copy()
    y[np.argmax(points.x)] = 0.05
    before, after = fit_frontier(points).curve[0], fit_frontier(replace(points, y=y)).curve[0]
    assert abs(before - after) < 0.02


def test_many_points_are_thinned_to_a_fixed_subset() -> None:
    """Above MAX_POINTS the same rows are taken every time."""
    n = MAX_POINTS + 1
    points = make_points(np.linspace(0.1, 0.9, n), np.linspace(0.2, 0.8, n))
    assert subset(points).n == MAX_POINTS
    assert subset(points).x.tolist() == subset(points).x.tolist()


@pytest.mark.parametrize(
    "name", ["n=12", "easy", "noisy", "e_IR=0", "10 groups", "outliers", "uniform", "gamma(6)", "lognormal", "4 groups"]
)
def test_intervals_cover_the_truth(name: str) -> None:
    """A small fixed part of benchmarks/coverage.py: of 20 studies at least 17 cover e_IR, for every scenario."""
    scenario = next(s for s in (*SCENARIOS, *BEYOND) if s.name == name)
    covered = 0
    for seed in range(20):
        points = simulate(scenario, np.random.default_rng([seed, 99]))
        interval = fit_frontier(points).intervals([Parameter("e_ir")], 0.95)[0]
        covered += interval is not None and interval[0] <= scenario.e_ir <= float(interval[1] or 1.0)
    assert covered >= 17
