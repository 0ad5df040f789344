"""The frontier law: what the best models reach, with intervals that hold over the unknown inefficiency family.

The likelihood of `frontier_likelihood` is maximised under each family. The interval of e_IR, k, alpha or a
prediction, psi, is the union over families f of the profile likelihood intervals

    {psi : 2 (nll_f(psi) - min nll_f) <= q - max(0, behind_f / D - SLACK)}
    q = n log(1 + t(n - p)**2 / (n - p)),  p = 5
    behind_f = 2 (min nll_f + PENALTY_f - min over families of the same)

with each end moved away from that family's estimate by the factor sqrt(D), and by t(m - 3) / t(n - p) where the n
models form m < n groups of related ones. D >= 1 is the ratio of the group-robust (sandwich) to the naive variance of
psi, and t the quantile of the confidence. Moving ends rather than raising q keeps the profile where no model becomes an
outlier (profile likelihood of a stochastic frontier: Aigner, Lovell and Schmidt 1977; what SLACK and PENALTY are worth,
and the measured coverage: docs/statistics.md). Estimates are averages over families weighted by likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import stdtrit

from tepui_evaluator.average import group_sums
from tepui_evaluator.frontier_likelihood import (
    KAPPA,
    LAMBDA,
    NO_EXTRA_NOISE,
    SIZE,
    TAU,
    TAU_MEAN,
    C,
    FrontierLikelihood,
)
from tepui_evaluator.frontier_profile import HI, LO, SCALE, Ends, Parameter, Problems, profile_ends
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.inefficiency import FAMILIES, Family
from tepui_evaluator.newton import Box, minimise
from tepui_evaluator.points import FloatArray, IntArray, Points
from tepui_evaluator.saturation import fit_power

PARAMETERS = 5  # c, k, alpha, and the inefficiency's scale and slope
MIN_MODELS = PARAMETERS + 1
MIN_GROUPS = 3
PENALTY: dict[Family, float] = {"gamma6": 1.5}  # losses that keep away from the frontier are less likely beforehand
SLACK = 3.0  # no family is the true one: so much less likelihood (twice its log) is not held against one
MAX_POINTS = 5000
_START_ALPHAS = (1.5, 4.0, 9.0)
_FOUND_BETTER = 1e-3  # fall of the likelihood on a profile that makes its optimum worth refining
_REFINEMENTS = 3

Interval = tuple[float, float | None]  # None: no upper limit found


@dataclass(frozen=True, eq=False)
class FrontierFit:
    """Optima under each family: coordinates (F, P) and penalised negative log likelihoods (F,)."""

    likelihood: FrontierLikelihood
    theta: FloatArray
    value: FloatArray

    @property
    def standing(self) -> FloatArray:
        """Penalised values (F,) that families are compared by."""
        return np.asarray(self.value + np.array([PENALTY.get(family, 0.0) for family in FAMILIES]))

    @property
    def weights(self) -> FloatArray:
        """Weights (F,) of the families, by likelihood."""
        weights = np.exp(-(self.standing - self.standing.min()))
        return np.asarray(weights / weights.sum())

    @property
    def curve(self) -> tuple[float, float, float]:
        """e_IR, k and alpha, averaged over families."""
        e_ir = float(self.weights @ self.theta[:, C])
        return e_ir, float(self.weights @ np.exp(self.theta[:, KAPPA])), float(
            self.weights @ np.exp(self.theta[:, LAMBDA])
        )  # fmt: skip

    def intervals(self, parameters: Sequence[Parameter], confidence: float) -> list[Interval | None]:
        """Intervals of several parameters; all None with fewer than MIN_MODELS models or MIN_GROUPS groups of them."""
        points = self.likelihood.points
        if points.n < MIN_MODELS or points.groups < MIN_GROUPS:
            return [None for _ in parameters]
        fit = self
        for _ in range(_REFINEMENTS):
            problems, owners, factors = fit._problems(tuple(parameters), confidence)
            ends = profile_ends(fit.likelihood, problems)
            best = int(np.argmax(ends.better))
            if ends.better[best] < _FOUND_BETTER:
                break
            fit = fit._refined(problems.family, ends)
        moved = replace(ends, at=np.where(ends.open, ends.at, _away(problems, ends.at, factors)))
        return [_union(p, owners == i, problems.side, moved) for i, p in enumerate(parameters)]

    def _problems(self, parameters: tuple[Parameter, ...], confidence: float) -> tuple[Problems, IntArray, FloatArray]:
        """Profiles (R) under families that are not too far behind, their parameters' numbers, and how far to move."""
        points = self.likelihood.points
        degrees = points.n - PARAMETERS
        q = points.n * np.log1p(_t(degrees, confidence) ** 2 / degrees)
        behind = 2.0 * (self.standing - self.standing.min())
        few = 1.0
        if points.groups < points.n:
            few = _t(min(max(points.groups - 3, 1), degrees), confidence) / _t(degrees, confidence)
        rows = []
        for family in range(len(FAMILIES)):
            ratios = _variance_ratios(self.likelihood, family, self.theta[family], parameters)
            for owner, ratio in enumerate(np.maximum(ratios, 1.0)):
                threshold = q - max(0.0, behind[family] / ratio - SLACK)
                if threshold > 0.0:
                    rows += [(owner, family, side, threshold, few * np.sqrt(ratio)) for side in (-1, 1)]
        owner_R, family_R, side_R, threshold_R, factor_R = (np.array(column) for column in zip(*rows, strict=True))
        problems = Problems(
            parameters=tuple(parameters[i] for i in owner_R),
            family=family_R,
            side=side_R,
            theta=self.theta[family_R],
            value=self.value[family_R],
            threshold=threshold_R,
        )
        return problems, owner_R, factor_R

    def _refined(self, family_R: IntArray, ends: Ends) -> FrontierFit:
        """This fit with each family's optimum restarted from the best point that its profiles met."""
        theta = self.theta.copy()
        for family in range(len(FAMILIES)):
            mine = np.flatnonzero(family_R == family)
            if mine.size and ends.better[mine].max() >= _FOUND_BETTER:
                theta[family] = ends.theta[mine[np.argmax(ends.better[mine])]]
        refined, value = _optimise(self.likelihood, np.arange(len(FAMILIES)), theta)
        keep = value < self.value
        return replace(self, theta=np.where(keep[:, None], refined, self.theta), value=np.minimum(value, self.value))


@lru_cache(maxsize=8)
def fit_frontier(points: Points) -> FrontierFit:
    """Maximum penalised likelihood under every family, from several starts; needs at least 4 points.

    The last few fits are kept, by the identity of `points`: a law, its band and its targets share one.
    With more than MAX_POINTS points a fixed random subset of that size is used: the intervals hold, and are
    those of the subset.
    """
    likelihood = FrontierLikelihood(subset(points))
    families, start = _starts(likelihood)
    theta, value = _optimise(likelihood, families, start)
    best = np.array([_best(families, value, f) for f in range(len(FAMILIES))])
    # every family once more from the others' optima: they are near, and one may have missed its basin
    again = np.repeat(np.arange(len(FAMILIES)), len(FAMILIES))
    theta, value = _optimise(likelihood, again, np.tile(theta[best], (len(FAMILIES), 1)))
    best = np.array([_best(again, value, f) for f in range(len(FAMILIES))])
    return FrontierFit(likelihood=likelihood, theta=theta[best], value=value[best])


def subset(points: Points) -> Points:
    """At most MAX_POINTS of the points, chosen by a fixed seed."""
    if points.n <= MAX_POINTS:
        return points
    rows = np.random.default_rng(0).choice(points.n, MAX_POINTS, replace=False)
    return points.take(np.sort(rows))


def _best(families: IntArray, value: FloatArray, family: int) -> int:
    mine = np.flatnonzero(families == family)
    return int(mine[np.argmin(value[mine])])


def _optimise(likelihood: FrontierLikelihood, family: IntArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    fixed = np.zeros((family.size, SIZE), dtype=bool)
    fixed[:, TAU] = not likelihood.extra_noise
    found = minimise(
        lambda rows, theta: likelihood.evaluate(family[rows], theta), start, fixed, Box(lo=LO, hi=HI, scale=SCALE)
    )
    return found.v, found.value


def _starts(likelihood: FrontierLikelihood) -> tuple[IntArray, FloatArray]:
    """Family numbers (R,) and coordinates (R, P): every family from the hull's law and from fixed exponents."""
    points = likelihood.points
    hull = lower_hull(points.x, points.y)
    at_hull = fit_power(points.x[hull], points.y[hull])
    all_points = fit_power(points.x, points.y)
    curves = [(float(f.c[0]), float(f.k[0]), float(f.alpha[0])) for f in (at_hull, all_points)]
    curves += [_line_at(points, hull, alpha) for alpha in _START_ALPHAS]
    rows = []
    for c, k, alpha in curves:
        above = points.y - c - k * points.x**alpha
        a = np.log(max(float(np.mean(np.maximum(above, 0.0))), 0.003))
        tau = TAU_MEAN if likelihood.extra_noise else NO_EXTRA_NOISE
        rows.append([c, np.log(max(k, 1e-3)), np.log(alpha), a, 0.0, tau])
    count = len(FAMILIES)
    return np.tile(np.arange(count), len(rows)), np.repeat(np.array(rows), count, axis=0)


def _line_at(points: Points, rows: IntArray, alpha: float) -> tuple[float, float, float]:
    """c, k, alpha of the least squares line through these points for a given exponent, c and k not negative."""
    t, y = points.x[rows] ** alpha, points.y[rows]
    spread = float(np.sum((t - t.mean()) ** 2))
    k = max(float((t - t.mean()) @ y) / spread, 0.0) if spread > 0.0 else 0.0
    return max(float(y.mean() - k * t.mean()), 0.0), k, alpha


def _variance_ratios(
    likelihood: FrontierLikelihood, family: int, theta: FloatArray, parameters: tuple[Parameter, ...]
) -> list[float]:
    """Group-robust over naive variance of each parameter at a family's optimum."""
    _, _, hessian = likelihood.evaluate(np.array([family]), theta[None, :])
    scores_GP = group_sums(likelihood.scores(family, theta), likelihood.points.group)
    groups = scores_GP.shape[0]
    meat = scores_GP.T @ scores_GP * groups / (groups - 1.0)
    ratios = []
    for parameter in parameters:
        free = (theta > LO) & (theta < HI)
        free[C] |= parameter.kind == "e_ir"
        free[TAU] &= likelihood.extra_noise
        gradient = _gradient(parameter, theta)[free]
        direction = np.linalg.lstsq(hessian[0][np.ix_(free, free)], gradient, rcond=1e-10)[0]
        naive = float(gradient @ direction)
        robust = float(direction @ meat[np.ix_(free, free)] @ direction)
        ratios.append(robust / naive if naive > 0.0 else 1.0)
    return ratios


def _gradient(parameter: Parameter, theta: FloatArray) -> FloatArray:
    """Of the parameter (of its log for k and alpha, the same ratio) by the coordinates (P,)."""
    gradient = np.zeros(SIZE)
    if parameter.x is None:
        gradient[parameter.slot] = 1.0
        return gradient
    L = float(np.exp(theta[LAMBDA])) * float(np.log(parameter.x))
    power = float(np.exp(theta[KAPPA] + L))
    gradient[C], gradient[KAPPA], gradient[LAMBDA] = 1.0, power, power * L
    return gradient


def _t(degrees: int, confidence: float) -> float:
    return float(stdtrit(degrees, 0.5 + confidence / 2.0))


def _away(problems: Problems, at_R: FloatArray, factor_R: FloatArray) -> FloatArray:
    """Ends (R,) `factor_R` times as far from the optimum's value: in logs for k and alpha, an error never below 0."""
    hat_R = np.array([p.value(theta) for p, theta in zip(problems.parameters, problems.theta, strict=True)])
    in_logs = np.array([p.kind in ("k", "alpha") for p in problems.parameters])
    linear = np.maximum(hat_R + factor_R * (at_R - hat_R), 0.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        relative = hat_R * (at_R / hat_R) ** factor_R
    return np.asarray(np.where(in_logs, relative, linear))


def _union(parameter: Parameter, mine: np.ndarray, side: IntArray, ends: Ends) -> Interval | None:
    """The union over families of the intervals of one parameter."""
    if not mine.any():
        return None
    below, above = mine & (side < 0), mine & (side > 0)
    lo = 0.0 if ends.open[below].any() else float(ends.at[below].min())
    if not ends.open[above].any():
        return lo, float(ends.at[above].max())
    return lo, 1.0 if parameter.kind in ("e_ir", "value") else None
