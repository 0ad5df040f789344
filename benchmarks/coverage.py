"""How often the intervals of the laws cover a known truth, per scenario and method.

    nice -n 10 .venv/bin/python benchmarks/coverage.py --replicates 200 --processes 2 [--only easy ...] [--beyond]

About 0.2 s a replicate and core: all 16 scenarios at 200 replicates take some 6 minutes on 2 free cores. Prints
Markdown tables (coverage in %; its standard error at 95% and 200 replicates is 1.5); `--json FILE` also writes
every outcome, and `--read FILE ...` prints the tables of such files. `--unknown-noise` withholds the standard
errors from the fits, as `tepui fit` without --x-se, --y-se.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tepui_evaluator.average import fit_average
from tepui_evaluator.frontier import fit_frontier
from tepui_evaluator.frontier_profile import Parameter
from tepui_evaluator.hull import lower_hull
from tepui_evaluator.identification import judge, shapeless
from tepui_evaluator.points import FloatArray, Points
from tepui_evaluator.saturation import fit_power
from tepui_evaluator.simulation import BEYOND, SCENARIOS, Scenario, population, simulate

X0 = 0.05  # the prediction's upstream error, better than any model simulated
CONFIDENCE = 0.95
HULL_RESAMPLES = 200
METHODS = ("frontier", "average", "hull bootstrap")
PARAMETERS = ("e_ir", "k", "alpha", "at x0")


@dataclass(frozen=True)
class Outcome:
    """One interval of one replicate, against its truth."""

    scenario: str
    method: str
    parameter: str
    truth: float
    estimate: float
    lo: float | None
    hi: float | None
    flag: str | None = None

    @property
    def covers(self) -> bool:
        """Whether the interval contains the truth; no interval covers nothing."""
        return self.lo is not None and self.lo <= self.truth and (self.hi is None or self.truth <= self.hi)


Estimate = tuple[float, float | None, float | None]


def frontier(points: Points) -> list[Estimate]:
    """Estimates and intervals of PARAMETERS by the frontier law."""
    fit = fit_frontier(points)
    c, k, alpha = fit.curve
    parameters = [Parameter("e_ir"), Parameter("k"), Parameter("alpha"), Parameter("value", X0)]
    intervals = fit.intervals(parameters, CONFIDENCE)
    points_ = (c, k, alpha, c + k * X0**alpha)
    return [(p, *(i if i is not None else (None, None))) for p, i in zip(points_, intervals, strict=True)]


def average(points: Points) -> list[Estimate]:
    """The same by the average law."""
    fit = fit_average(points)
    y, interval = fit.predict(X0, CONFIDENCE)
    found = [fit.interval(name, CONFIDENCE) for name in ("e_ir", "k", "alpha")] + [interval]
    return [(p, *(i or (None, None))) for p, i in zip((fit.e_ir, fit.k, fit.alpha, y), found, strict=True)]


def hull_bootstrap(points: Points, rng: np.random.Generator) -> list[Estimate]:
    """The same by the hull as published with a percentile bootstrap: the negative control."""
    weights = np.zeros((HULL_RESAMPLES + 1, points.n))
    weights[0, lower_hull(points.x, points.y)] = 1.0
    for b in range(HULL_RESAMPLES):
        drawn = np.unique(rng.integers(0, points.n, points.n))
        weights[b + 1, drawn[lower_hull(points.x[drawn], points.y[drawn])]] = 1.0
    fit = fit_power(points.x, points.y, weights)
    columns = (fit.c, fit.k, fit.alpha, fit.c + fit.k * X0**fit.alpha)
    ends = [np.quantile(column[1:], [0.025, 0.975]) for column in columns]
    return [(float(v[0]), float(lo), float(hi)) for v, (lo, hi) in zip(columns, ends, strict=True)]


def truths(scenario: Scenario) -> dict[str, FloatArray]:
    """True PARAMETERS per method; the average law's are those of the whole population."""
    x0 = np.array([X0])
    at_frontier = np.array([scenario.e_ir, scenario.k, scenario.alpha, scenario.law(x0)[0]])
    fit = fit_power(*population(scenario), c_min=-np.inf)
    c, k, alpha = float(fit.c[0]), float(fit.k[0]), float(fit.alpha[0])
    at_average = np.array([max(c, 0.0), k, alpha, c + k * X0**alpha])
    return {"frontier": at_frontier, "average": at_average, "hull bootstrap": at_frontier}


def replicate(scenario: Scenario, seed: int, truth: dict[str, FloatArray], *, unknown_noise: bool) -> Iterator[Outcome]:
    """Simulate one study and judge every method's intervals."""
    rng = np.random.default_rng([seed, *scenario.name.encode()])
    points = simulate(scenario, rng)
    if unknown_noise:
        points = replace(points, x_se=None, y_se=None)
    found = {"frontier": frontier(points), "average": average(points), "hull bootstrap": hull_bootstrap(points, rng)}
    for method, estimates in found.items():
        for name, true, (estimate, lo, hi) in zip(PARAMETERS, truth[method], estimates, strict=True):
            flag = None
            if name == "e_ir" and method != "hull bootstrap":
                interval = None if lo is None or hi is None else (lo, hi)
                verdict = judge(interval, points, confidence=CONFIDENCE)
                if method == "frontier":
                    _, alpha_lo, alpha_hi = estimates[PARAMETERS.index("alpha")]
                    verdict = shapeless(verdict, None if alpha_lo is None else (alpha_lo, alpha_hi))
                flag = verdict.identified
            yield Outcome(scenario.name, method, name, float(true), estimate, lo, hi, flag)


def chunk(scenario: Scenario, seeds: range, unknown_noise: bool) -> list[Outcome]:
    """Outcomes of some replicates of one scenario (a process's share)."""
    truth = truths(scenario)
    return [o for seed in seeds for o in replicate(scenario, seed, truth, unknown_noise=unknown_noise)]


def run(scenarios: list[Scenario], replicates: int, processes: int, *, unknown_noise: bool) -> list[Outcome]:
    """All outcomes, over processes."""
    shares = [range(start, min(start + 20, replicates)) for start in range(0, replicates, 20)]
    with ProcessPoolExecutor(processes) as pool:
        jobs = [pool.submit(chunk, s, share, unknown_noise) for s in scenarios for share in shares]
        return [outcome for job in jobs for outcome in job.result()]


def coverage_table(outcomes: list[Outcome], parameter: str) -> str:
    """Coverage in % by scenario (rows) and method (columns), with the bias and median width."""
    names = list(dict.fromkeys(o.scenario for o in outcomes))
    head = "| scenario | " + " | ".join(f"{m}: covers | bias | width" for m in METHODS) + " |"
    lines = [head, "|-|" + "-|-|-|" * len(METHODS)]
    per_method: dict[str, list[float]] = {m: [] for m in METHODS}
    for name in names:
        cells = []
        for method in METHODS:
            mine = [o for o in outcomes if (o.scenario, o.method, o.parameter) == (name, method, parameter)]
            covered = 100.0 * float(np.mean([o.covers for o in mine]))
            per_method[method].append(covered)
            bias = float(np.median([o.estimate - o.truth for o in mine]))
            widths = [np.inf if o.lo is None or o.hi is None else o.hi - o.lo for o in mine]
            cells.append(f"{covered:.0f} | {bias:+.3f} | {np.median(widths):.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    ends = [f"{np.mean(c):.1f} (min {np.min(c):.0f}) | | " for c in per_method.values()]
    return "\n".join([*lines, "| mean | " + " | ".join(ends) + " |"])


def flag_table(outcomes: list[Outcome]) -> str:
    """How often each flag was given, how often e_IR was covered where it was "yes", and at most the upper end."""
    lines = ["| scenario | law | yes | at most | weak | no | covers where yes | truth <= U |", "|-|-|-|-|-|-|-|-|"]
    for name in dict.fromkeys(o.scenario for o in outcomes):
        for method in ("frontier", "average"):
            mine = [o for o in outcomes if (o.scenario, o.method, o.parameter) == (name, method, "e_ir")]
            shares = [_percent([o.flag == flag for o in mine]) for flag in ("yes", "at_most", "weak", "no")]
            claims = _percent([o.covers for o in mine if o.flag == "yes"])
            below = _percent([o.hi is None or o.truth <= o.hi for o in mine])
            lines.append(f"| {name} | {method} | " + " | ".join([*shares, claims, below]) + " |")
    return "\n".join(lines)


def _percent(held: list[bool]) -> str:
    return f"{100.0 * float(np.mean(held)):.0f}" if held else "-"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of scenarios")
    parser.add_argument("--beyond", action="store_true", help="the scenarios outside the method's assumptions")
    parser.add_argument("--unknown-noise", action="store_true", help="withhold the standard errors from the fits")
    parser.add_argument("--json", type=Path, help="also write every outcome to this file")
    parser.add_argument("--read", type=Path, nargs="+", help="print the tables of these files instead")
    args = parser.parse_args()
    if args.read:
        outcomes = [Outcome(**o) for path in args.read for o in json.loads(path.read_text())]
    else:
        scenarios = [s for s in (BEYOND if args.beyond else SCENARIOS) if not args.only or s.name in args.only]
        outcomes = run(scenarios, args.replicates, args.processes, unknown_noise=args.unknown_noise)
    for parameter in PARAMETERS:
        print(f"\n### {parameter}\n\n{coverage_table(outcomes, parameter)}")
    print(f"\n### Flags\n\n{flag_table(outcomes)}")
    if args.json:
        args.json.write_text(json.dumps([asdict(o) for o in outcomes]))


if __name__ == "__main__":
    main()
