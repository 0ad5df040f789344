"""How large the report of a large study is, and how long making it takes; its points follow known laws.

    .venv/bin/python benchmarks/report.py [--models 5000] [--tasks 25] [--shots 5 25] [--layers] [--out report.html]

Prints the bytes of the HTML file (which may have 5 MB), of its parts, and the seconds of CPU for laws and page.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tepui_evaluator.points import measurement_se
from tepui_evaluator.report import render
from tepui_evaluator.report_data import ReportData
from tepui_evaluator.report_points import exported_report
from tepui_evaluator.study_points import PointRow
from tepui_spec.results import CurveRow, TrialRow
from tepui_trainer.rows import arrow_schema

LIMIT_BYTES = 5_000_000
N_TEST, UPSTREAM_N, STEPS = 1000, 10_000, 1000
MODELS = [f"{family}-{size}" for family in ("vit", "mixer", "resnet") for size in (32, 64, 96, 128, 192, 256, 384, 512)]
FRACTIONS, EPOCHS = (0.02, 0.05, 0.1, 0.3, 1.0), (1.0, 3.0, 7.0, 14.0)


def trials(count: int, rng: np.random.Generator) -> list[TrialRow]:
    """Finished trials of 24 models over shares of the data, lengths and seeds."""
    rows = []
    settings = itertools.cycle(itertools.product(MODELS, FRACTIONS, EPOCHS))
    for i, (model, fraction, epochs) in enumerate(itertools.islice(settings, count)):
        family, size = model.split("-")
        error = 0.9 * (fraction * epochs) ** -0.25 * (int(size) / 32) ** -0.2 * 0.5 * rng.lognormal(0, 0.15)
        error = round(float(np.clip(error, 0.05, 0.97)), 4)
        rows.append(
            TrialRow(
                trial=hashlib.sha256(str(i).encode()).hexdigest()[:12], model=model, timm=family, family=family,
                recipe="r", upstream_uri="u", upstream_content_hash="sha256:" + "0" * 64, image_size=224,
                data_fraction=fraction, epochs=epochs, seed=i // 480, batch_size=4096, lr_peak=1e-3, weight_decay=0.1,
                head_weight_decay=0.1, head_lr_scale=1.0, precision="bf16", parameters=1000 * int(size) ** 2,
                training_flops=1e15, num_classes=1000, train_images=10**6, steps=STEPS, examples_seen=4096 * STEPS,
                corrupt_images=0, upstream_error=error, upstream_n=UPSTREAM_N, upstream_loss=error,
                upstream_error_se=float(measurement_se(np.array([error]), np.array([UPSTREAM_N]))[0]),
            )
        )  # fmt: skip
    return rows


def curves(rows: list[TrialRow], points: int = 20) -> list[CurveRow]:
    """Validation error falling to the trial's."""
    return [
        CurveRow(
            trial=row.trial, step=STEPS * i // points, examples_seen=row.examples_seen * i // points,
            metric="validation_error", value=row.upstream_error + (0.99 - row.upstream_error) * (1 - i / points) ** 2,
        )
        for row in rows
        for i in range(1, points + 1)
    ]  # fmt: skip


def points(rows: list[TrialRow], tasks: int, shots: list[int], layers: list[str], rng: np.random.Generator) -> pa.Table:
    """Errors by k x**alpha + e_IR with inefficiency above it, of every task, number of shots and layer."""
    x_N = np.array([row.upstream_error for row in rows])
    parts = []
    for task, count, (place, layer) in itertools.product(range(tasks), shots, enumerate(layers)):
        alpha, e_ir = 1.0 + task % 5, 0.02 + 0.01 * (task % 7) + 0.1 / count + 0.03 * place
        y_N = np.clip(0.8 * x_N**alpha + e_ir + rng.exponential(0.03, x_N.size) + rng.normal(0, 0.01, x_N.size), 0, 1)
        se_N = measurement_se(y_N, np.full(x_N.size, float(N_TEST)))
        shared = [name for name in PointRow.model_fields if name in TrialRow.model_fields]
        columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in shared}
        own = {
            "task": f"task-{task:02d}", "shots": count, "layer": layer, "protocol": "p", "support_sd": 0.01,
            "support_seeds": 3, "n_test": N_TEST, "step": STEPS,
        }  # fmt: skip
        columns |= {name: [value] * x_N.size for name, value in own.items()}
        columns |= {"error": y_N.round(4), "error_se": se_N, "binomial_se": se_N}
        schema = arrow_schema(PointRow)
        parts.append(pa.table([columns[name] for name in schema.names], schema=schema))
    return pa.concat_tables(parts)


def main() -> None:
    """Make the report and print its size and cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--tasks", type=int, default=25)
    parser.add_argument("--shots", type=int, nargs="+", default=[5, 25])
    parser.add_argument("--layers", action="store_true", help="four blocks beside what the head sees, for every model")
    parser.add_argument("--out", type=Path, help="keep the page")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    layers = ["pooled", *(f"block-{i:02d}" for i in range(4))] if args.layers else ["pooled"]
    rows = trials(args.models, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        pq.write_table(points(rows, args.tasks, args.shots, layers, rng), path)
        begin = time.process_time()
        data: ReportData = exported_report(path, confidence=0.95)
    fitted = time.process_time()
    page = render(replace(data, trials=tuple(rows), curves=tuple(curves(rows)))).encode()
    drawn = time.process_time()
    start = page.index(b'id="payload">')
    size, content = len(page) / 1e6, (page.index(b"</script>", start) - start) / 1e6
    print(
        f"{args.models} models, {args.tasks} tasks, shots {args.shots}, {len(layers)} layers: {len(data.points)} points"
    )
    print(f"page {size:.2f} MB ({LIMIT_BYTES / 1e6:.0f} allowed), of it data {content:.2f} MB")
    print(f"CPU {fitted - begin:.0f} s for reading and laws, {drawn - fitted:.1f} s for the page")
    if args.out:
        args.out.write_bytes(page)


if __name__ == "__main__":
    main()
