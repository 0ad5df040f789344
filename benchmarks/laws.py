"""How long a study's analysis takes: all four laws with intervals and held-out scores, for many groups of points.

    .venv/bin/python benchmarks/laws.py [--laws 100] [--models 100] [--processes 2] [--band]

`--band` adds the interval band of the frontier and average laws on 40 upstream errors, as the report draws it.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from tepui_evaluator.laws import band, fit_laws
from tepui_evaluator.simulation import SCENARIOS, simulate


def analyse(seed: int, models: int, with_band: bool) -> float:
    """Fit one group of simulated points; CPU seconds."""
    scenario = replace(SCENARIOS[seed % len(SCENARIOS)], n=models)
    points = simulate(scenario, np.random.default_rng(seed))
    begin = time.process_time()
    laws = fit_laws(points, by={"scenario": scenario.name})
    if with_band:
        for law in laws:
            band(points, law, np.linspace(0.0, 1.0, 40).tolist())
    return time.process_time() - begin


def main() -> None:
    """Run and print wall and CPU time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laws", type=int, default=100)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--band", action="store_true")
    args = parser.parse_args()
    begin = time.perf_counter()
    with ProcessPoolExecutor(args.processes) as pool:
        jobs = [pool.submit(analyse, seed, args.models, args.band) for seed in range(args.laws)]
        cpu = [job.result() for job in jobs]
    wall = time.perf_counter() - begin
    print(
        f"{args.laws} groups of {args.models} models, {args.processes} processes: {wall:.1f} s wall, "
        f"{sum(cpu):.1f} s of CPU, per group median {np.median(cpu):.2f} s, largest {max(cpu):.2f} s"
    )


if __name__ == "__main__":
    main()
