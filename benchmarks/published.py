"""The paper's own laws, from points that have them.

    .venv/bin/python benchmarks/published.py

A few seconds. First table: the published hull and all-points laws of seven tasks beside those of points that have
both. Second table: 200 models scattered above each hull law so that their mean is the all-points law, measured on 5,000
images: what the hull's fit makes of them, and the intervals of the frontier and average laws.
"""

from __future__ import annotations

import numpy as np

from tepui_evaluator.laws import fit_laws
from tepui_evaluator.published import PUBLISHED, PublishedLaw, exact_points, scattered_points
from tepui_spec.law import Law


def _published(law: PublishedLaw) -> str:
    return f"{law.k:.3f} | {law.alpha:.2f} | {law.e_ir:.3f}"


def _fitted(law: Law) -> str:
    return " | ".join(f"{value:.3f}" for value in (law.k, law.alpha, law.e_ir) if value is not None)


def _with_interval(law: Law) -> str:
    if law.interval.e_ir is None:
        return f"{law.e_ir:.3f} | none | {law.identified}"
    lo, hi = law.interval.e_ir
    return f"{law.e_ir:.3f} | {lo:.3f} to {hi:.3f} | {law.identified}"


def main() -> None:
    """Print both tables."""
    print("| task | law | published: k | alpha | e_IR | fitted: k | alpha | e_IR |\n|-|-|-|-|-|-|-|-|")
    for task, published in PUBLISHED.items():
        _, _, *fitted = fit_laws(exact_points(task))
        for name, truth, law in zip(("hull", "all points"), published, fitted, strict=True):
            print(f"| {task} | {name} | {_published(truth)} | {_fitted(law)} |")
    print(
        "\n| task | hull: true e_IR | fitted | frontier | 95% interval | flag | all: true | average | interval | flag |"
    )
    print("|-|-|-|-|-|-|-|-|-|-|")
    for number, (task, (hull, all_points)) in enumerate(PUBLISHED.items()):
        frontier, average, hull_fit, _ = fit_laws(scattered_points(task, np.random.default_rng(number)))
        print(
            f"| {task} | {hull.e_ir:.3f} | {hull_fit.e_ir:.3f} | {_with_interval(frontier)} "
            f"| {all_points.e_ir:.3f} | {_with_interval(average)} |"
        )


if __name__ == "__main__":
    main()
