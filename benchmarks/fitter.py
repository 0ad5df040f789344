"""The least squares fitter against scipy: never worse than many starts, and much faster over resamples.

    .venv/bin/python benchmarks/fitter.py [--cases 500] [--resamples 1000] [--repeats 30]

About a minute on one core. First part: random studies (5 to 100 models, exponents 0.3 to 15, noise 0 to 0.1), the
relative excess of our residual sum over the best of 12 random starts of scipy's bounded least squares. Second part:
resamples of 40 points, our call on all of them against a loop of `scipy.optimize.curve_fit` over them, side by side
in one process, one thread each, in CPU time, so that other load on the machine counts little; the loop starts from
scipy's default of ones, and from the all-points fit, the start that favours it most.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit, least_squares

from tepui_evaluator.points import FloatArray
from tepui_evaluator.saturation import ALPHA_MAX, ALPHA_MIN, fit_power

T = TypeVar("T")
STARTS = 12
POINTS = 40


def random_study(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Upstream and downstream errors of a random study."""
    n = int(rng.integers(5, 101))
    x = rng.uniform(0.02, 1.0, n) ** rng.uniform(0.5, 2.0)
    alpha = np.exp(rng.uniform(np.log(0.3), np.log(15.0)))
    law = rng.uniform(0.0, 0.3) + rng.uniform(0.05, 1.0) * x**alpha
    return x, np.clip(law + rng.normal(0.0, rng.choice([0.0, 0.003, 0.03, 0.1]), n), 0.0, 1.0)


def best_of_scipy(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> float:
    """Smallest residual sum of STARTS runs."""

    def residuals(p: FloatArray) -> FloatArray:
        return np.asarray(p[0] * x ** p[1] + p[2] - y)

    best = np.inf
    for _ in range(STARTS):
        start = [rng.uniform(0.05, 1.2), np.exp(rng.uniform(-1.0, 2.7)), rng.uniform(0.0, 0.3)]
        run = least_squares(
            residuals,
            start,
            bounds=([0.0, ALPHA_MIN, 0.0], [np.inf, ALPHA_MAX, 1.0]),
            xtol=1e-12,
            ftol=1e-12,
            gtol=1e-12,
        )
        best = min(best, 2.0 * run.cost)
    return best


def compare_optima(cases: int) -> None:
    """Print the largest relative excess, and how often scipy's best was worse by more than 1e-6."""
    rng = np.random.default_rng(0)
    excess = []
    for _ in range(cases):
        x, y = random_study(rng)
        theirs, ours = best_of_scipy(x, y, rng), float(fit_power(x, y).rss[0])
        excess.append((ours - theirs) / max(theirs, 1e-12 * x.size))  # points without noise: absolute at 1e-12
    worst = max(excess)
    print(f"{cases} random studies, {STARTS} starts of scipy.optimize.least_squares each")
    print(f"  largest relative excess of our residual sum: {worst:.1e}; above 1e-6: {sum(e > 1e-6 for e in excess)}")
    print(f"  scipy's best start was worse by more than 1e-6 in {sum(e < -1e-6 for e in excess)}")


def _law(x: FloatArray, k: float, alpha: float, c: float) -> FloatArray:
    return np.asarray(k * x**alpha + c)


def loop_of_curve_fit(
    x: FloatArray, y: FloatArray, rows_BN: np.ndarray, start: FloatArray | None
) -> tuple[FloatArray, int]:
    """Residual sums (B,) of curve_fit on every resample, nan where it gave up, and how often it did."""
    rss = np.full(len(rows_BN), np.nan)
    for b, rows in enumerate(rows_BN):
        xb, yb = x[rows], y[rows]
        try:
            found, _ = curve_fit(_law, xb, yb, p0=start, maxfev=10000)
        except RuntimeError:
            continue
        rss[b] = np.sum((found[0] * xb ** found[1] + found[2] - yb) ** 2)
    return rss, int(np.isnan(rss).sum())


def compare_speed(resamples: int, repeats: int, noise: float) -> None:
    """Print both times, their ratio and the largest difference of the optima."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.15, 0.85, POINTS)
    y = 0.1 + 0.6 * x**3 + rng.normal(0.0, noise, POINTS)
    rows = rng.integers(0, POINTS, (resamples, POINTS))
    counts = np.stack([np.bincount(r, minlength=POINTS) for r in rows]).astype(np.float64)
    ours, fit = _best_time(lambda: fit_power(x, y, counts, c_min=-np.inf), repeats)
    whole = fit_power(x, y, c_min=-np.inf)
    start = np.array([whole.k[0], whole.alpha[0], whole.c[0]])
    print(
        f"{resamples} resamples of {POINTS} points, noise {noise:g}: ours {1e3 * ours:.2f} ms of CPU, best of {repeats}"
    )
    for name, p0 in (("scipy's default", None), ("the all-points fit", start)):
        theirs, (rss, failures) = _best_time(partial(loop_of_curve_fit, x, y, rows, p0), 3)
        difference = np.nanmax(np.abs(fit.rss - rss) / rss)
        print(
            f"  curve_fit from {name}: {1e3 * theirs:.0f} ms of CPU (best of 3), {theirs / ours:.0f} times as long, "
            f"largest relative difference of the residual sums {difference:.1e}, gave up on {failures}"
        )


def _best_time(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    best = np.inf
    for _ in range(repeats):
        begin = time.process_time()
        result = call()
        best = min(best, time.process_time() - begin)
    return best, result


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=30)
    args = parser.parse_args()
    warnings.simplefilter("ignore", OptimizeWarning)
    warnings.simplefilter("ignore", RuntimeWarning)
    compare_optima(args.cases)
    for noise in (0.01, 0.03):
        compare_speed(args.resamples, args.repeats, noise)


if __name__ == "__main__":
    main()
