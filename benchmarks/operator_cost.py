"""What the operator costs, against the bare Job controller, on a real control plane with simulated nodes.

    python benchmarks/operator_cost.py [--trials 200 1000 2000] [--pairs 3]
    python benchmarks/operator_cost.py --large [--trials 15000]

Pairs in turn, each run on a fresh cluster: the operator with one study of N trials, then a plain script that makes the
same Jobs. Printed are ratios of one run, and the machine; exit code 1 where a limit is missed. Not `operator.py`: a
module of that name would be taken for the standard library's by every program of this folder.
"""

import argparse
import os
import platform
import sys
from statistics import median

from operator_work import Json, fresh_cluster, inside

LEAST_RATIO = 0.95
LIMITS = {"cpu_ms_per_job": 3.0, "peak_mb": 140.0, "further_writes_per_job": 0.1}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, nargs="+", metavar="N")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="one large study, many small ones, start-up, deletion")
    args = parser.parse_args()
    print(
        f"machine  {platform.machine()}, {os.cpu_count()} cores, load average before {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    if args.large:
        from operator_large_report import report

        return report(args.trials[0] if args.trials else 15_000)
    print("trials  pair   script   operator   ratio   CPU ms/Job   peak MB   further writes/Job   succession p50, p99")
    kept = [compare(trials, args.pairs) for trials in args.trials or (200, 1000, 2000)]
    return 0 if all(kept) else 1


def compare(trials: int, pairs: int) -> bool:
    """Some pairs of N trials; says whether all limits are kept."""
    ratios, costs = [], []
    for pair in range(1, pairs + 1):
        operator, script = once("operator", trials), once("script", trials)
        ratios.append(rate(operator) / rate(script))
        costs.append(operator)
        print(
            f"{trials:6d}  {pair:4d}  {rate(script):5.1f}/s  {rate(operator):7.1f}/s  {ratios[-1]:6.2f}   "
            f"{operator['cpu_ms_per_job']:10.2f}   {operator['peak_mb']:7.0f}   "
            f"{operator['further_writes_per_job']:18.3f}   "
            f"{operator['successions_s']['50']:.2f} s, {operator['successions_s']['99']:.2f} s",
            flush=True,
        )
    found = {name: median(cost[name] for cost in costs) for name in LIMITS}
    missed = [f"{name} {found[name]:.3g} > {limit:g}" for name, limit in LIMITS.items() if found[name] > limit]
    missed += [f"ratio {median(ratios):.2f} < {LEAST_RATIO}"] if median(ratios) < LEAST_RATIO else []
    print(f"{trials:6d}  median ratio {median(ratios):.2f} (at least {LEAST_RATIO}); missed: {missed or 'nothing'}")
    return not missed


def once(side: str, trials: int) -> Json:
    """One run on a fresh cluster."""
    with fresh_cluster() as cluster:
        return inside(cluster, "operator_once.py", side, str(trials))


def rate(run: Json) -> float:
    """Jobs per second."""
    return float(run["jobs"] / run["seconds"])


if __name__ == "__main__":
    sys.exit(main())
