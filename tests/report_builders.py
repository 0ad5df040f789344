"""Simulated studies for the report's tests: known laws, scatter of models about them, and typed laws as fitted."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from builders import experiment
from tepui_evaluator.layer_depth import QUARTERS
from tepui_evaluator.report_data import EvaluationPoint, Provenance, ReportData, law_grid
from tepui_evaluator.report_view import View, views
from tepui_spec.law import Band, ByValue, HeldOut, Identified, Intervals, Law, LawKind, Sampled, Spearman, Spread
from tepui_spec.results import CurveRow, TrialRow

SHOTS = (1, 5, 10, 25)


@dataclass(frozen=True)
class Truth:
    """The true law of one task at 25 shots, and what a fit would say of it."""

    task: str
    k: float
    alpha: float
    e_ir: float
    flag: Identified


TRUTHS = (
    Truth("mnist", 0.78, 1.9, 0.034, "yes"),
    Truth("digits8x8", 0.66, 1.4, 0.012, "at_most"),
    Truth("greek", 0.95, 1.05, 0.05, "weak"),
    Truth("textures", 0.35, 3.2, 0.31, "no"),
)
_HELP = "models with an upstream error below 0.16 would help most"
REASONS: dict[Identified, str] = {
    "yes": "the 95% interval is narrow against the best error",
    "at_most": "e_IR may be zero; it is at most 0.024 (95%), best error 0.065",
    "weak": f"the 95% interval is 0.83 times the best error wide; {_HELP}",
    "no": f"anything from 0 to 0.310 fits (95%), 0.98 times the best error; {_HELP}",
}
FAILURE = "trial 0a1b2c3d4e5f (vit-96, epochs 4, seed 1) diverged: the loss became NaN at step 310; try a lower lr_peak"
MODELS = (
    ("vit-48", "vit"),
    ("vit-96", "vit"),
    ("mixer-48", "mixer"),
    ("mixer-64", "mixer"),
    ("resnet-8", "resnet"),
    ("resnet-14", "resnet"),
)


def trial_name(index: int) -> str:
    return hashlib.sha256(f"trial {index}".encode()).hexdigest()[:12]


def trial_row(index: int, upstream_error: float, *, fraction: float, epochs: float, seed: int) -> TrialRow:
    """A finished trial."""
    model, family = MODELS[index % len(MODELS)]
    n = 2000
    images = round(24_000 * fraction)
    return TrialRow(
        trial=trial_name(index), model=model, timm=f"{family}_tiny", family=family, recipe=f"{family}-small",
        upstream_uri="data/fonts", upstream_content_hash="sha256:" + "ab" * 32, image_size=32, data_fraction=fraction,
        epochs=epochs, seed=seed, batch_size=128, lr_peak=2e-3, weight_decay=0.05, head_weight_decay=0.05,
        head_lr_scale=1.0, precision="fp32", parameters=41_000, training_flops=1e12, num_classes=69,
        train_images=images, steps=max(1, round(images * epochs / 128)), examples_seen=round(images * epochs),
        corrupt_images=0, upstream_error=upstream_error, upstream_n=n,
        upstream_error_se=math.sqrt(upstream_error * (1 - upstream_error) / n), upstream_loss=3 * upstream_error,
    )  # fmt: skip


def curve_rows(trial: TrialRow, points: int) -> list[CurveRow]:
    """Validation error falling towards the trial's upstream error, and the loss beside it."""
    rows = []
    for i in range(1, points + 1):
        part = i / points
        error = trial.upstream_error + (0.98 - trial.upstream_error) * math.exp(-5 * part) * (1 - part)
        for metric, value in (("validation_error", error), ("train_loss", 3.2 * error)):
            seen = round(trial.examples_seen * part)
            rows.append(
                CurveRow(trial=trial.trial, step=max(1, seen // 128), examples_seen=seen, metric=metric, value=value)
            )
    return rows


def model_point(trial: str, upstream: float, downstream: float, **other: Any) -> EvaluationPoint:
    """A model on one task at 25 shots."""
    values: dict[str, Any] = {
        "trial": trial, "model": "vit-48", "family": "vit", "task": "mnist", "shots": 25, "upstream_error": upstream,
        "upstream_se": None, "downstream_error": downstream, "downstream_se": None,
    }  # fmt: skip
    return EvaluationPoint(**(values | other))


def view_with(points: list[EvaluationPoint]) -> View:
    """The points as the view of their task."""
    return View(points[0].task, points[0].shots, tuple(points), {}, {})


def law_at(truth: Truth, shots: int) -> tuple[float, float, float]:
    """k, alpha and e_IR at a number of shots: k and e_IR fall with shots, alpha rises."""
    fewer = math.log(25 / shots) / math.log(25)
    return truth.k * (1 + 0.02 * fewer), truth.alpha * (1 - 0.45 * fewer), truth.e_ir + 0.18 * fewer * (1 - truth.e_ir)


def evaluation_points(
    truth: Truth, shots: int, trials: list[TrialRow], rng: np.random.Generator
) -> list[EvaluationPoint]:
    """What the trials measure: the law, one-sided inefficiency, and noise."""
    k, alpha, e_ir = law_at(truth, shots)
    points = []
    factors = {"model": "model", "dataFraction": "data_fraction", "epochs": "epochs", "seed": "seed"}
    for row in trials:
        y = k * row.upstream_error**alpha + e_ir
        y = float(np.clip(y + abs(rng.normal(0, 0.03)) + rng.normal(0, 0.008), 0.001, 0.995))
        points.append(
            EvaluationPoint(
                trial=row.trial, model=row.model, family=row.family, task=truth.task, shots=shots,
                upstream_error=row.upstream_error, upstream_se=row.upstream_error_se, downstream_error=round(y, 4),
                downstream_se=math.sqrt(y * (1 - y) / 1000), step=row.steps,
                factors={name: getattr(row, column) for name, column in factors.items()},
            )
        )  # fmt: skip
    return points


def fitted(truth: Truth, shots: int, points: list[EvaluationPoint], kind: LawKind) -> Law:
    """A law as a fit would return it: the truth, with an interval that fits its flag."""
    k, alpha, e_ir = law_at(truth, shots)
    xs, ys = [p.upstream_error for p in points], [p.downstream_error for p in points]
    shift = 0.0 if kind == "frontier" else 0.02
    lo, hi = {
        "yes": (0.6 * e_ir, e_ir + 0.03), "at_most": (0.0, e_ir + 0.012),
        "weak": (0.4 * e_ir, min(ys) * 0.95), "no": (0.0, min(ys)),
    }[truth.flag]  # fmt: skip
    intervals = Intervals(e_ir=(lo, hi + shift), k=(0.8 * k, 1.2 * k), alpha=(0.7 * alpha, 1.5 * alpha))
    trusted = kind in ("frontier", "average")
    return Law(
        law=kind, by={"task": truth.task, "shots": shots}, n=len(points), groups=len(MODELS), fitted=len(points),
        e_ir=None if truth.flag == "no" else e_ir + shift, k=k, alpha=alpha,
        interval=intervals if trusted else Intervals(),
        confidence=0.95, identified=truth.flag, reason=REASONS[truth.flag],
        heldout=HeldOut(
            fit_n=round(0.75 * len(xs)), test_n=len(xs) - round(0.75 * len(xs)), x_split=float(np.quantile(xs, 0.25)),
            law=0.012, log_log=0.010 if truth.task == "greek" else 0.02, logit_linear=0.03, mean=0.2,
            best="log_log" if truth.task == "greek" else "law", lost_to="log_log" if truth.task == "greek" else None,
        ),
        spearman=Spearman(rho=0.9 - 0.1 * math.log(25 / shots), interval=(0.4, 0.98)),
        x_min=min(xs), x_max=max(xs), y_min=min(ys), y_max=max(ys), method="simulated", version="1",
    )  # fmt: skip


def band_of(truth: Truth, law: Law) -> Band:
    """A band that widens towards zero."""
    xs = law_grid(law)
    assert law.interval.e_ir is not None
    assert law.k is not None
    assert law.alpha is not None
    lo, hi = law.interval.e_ir
    base = law_at(truth, int(law.by["shots"]))[2] if law.e_ir is None else law.e_ir
    mid = [base + law.k * x**law.alpha for x in xs]
    x_max = xs[-1]
    below = [max(base - lo, 0.0) * (1 - x / x_max) ** 3 + 0.008 for x in xs]
    above = [max(hi - base, 0.0) * (1 - x / x_max) ** 3 + 0.008 for x in xs]
    return Band(
        x=xs, y=tuple(mid),
        lo=tuple(max(m - b, 0.0) for m, b in zip(mid, below, strict=True)),
        hi=tuple(m + a for m, a in zip(mid, above, strict=True)),
    )  # fmt: skip


def simulated_study(
    n: int = 36,
    *,
    curve_points: int = 12,
    shots: tuple[int, ...] = SHOTS,
    seed: int = 0,
    truths: tuple[Truth, ...] = TRUTHS,
) -> ReportData:
    """A study of `n` trials of three families on four tasks: one law identified, one at most, one weak, one not."""
    rng = np.random.default_rng(seed)
    fractions, epochs = (0.05, 0.2, 1.0), (1.0, 4.0)
    trials = []
    for i in range(n):
        fraction, length = fractions[(i // 6) % 3], epochs[(i // 18) % 2]
        size = 0.9 if MODELS[i % 6][0].endswith(("96", "64", "14")) else 1.0
        upstream = float(
            np.clip(0.92 * size * (fraction * length) ** -0.32 * 0.32 * rng.lognormal(0, 0.18), 0.09, 0.97)
        )
        trials.append(trial_row(i, round(upstream, 4), fraction=fraction, epochs=length, seed=i // 36))
    curves = tuple(row for trial in trials for row in curve_rows(trial, curve_points))
    points: list[EvaluationPoint] = []
    laws: list[Law] = []
    bands: list[Band | None] = []
    for truth in truths:
        for count in shots:
            here = evaluation_points(truth, count, trials, rng)
            points.extend(here)
            if n >= 4:
                fits = [fitted(truth, count, here, kind) for kind in ("frontier", "average", "hull", "all_points")]
                laws.extend(fits)
                bands.extend(band_of(truth, law) if law.law in ("frontier", "average") else None for law in fits)
    evaluation = {"tasks": [t.task for t in truths], "dataRoot": "data", "shots": list(shots)}
    return ReportData(
        study="simulated",
        experiment=experiment("simulated", evaluation=evaluation),
        trials=tuple(trials), curves=curves, points=tuple(points), laws=tuple(laws), bands=tuple(bands),
        failures=(FAILURE,),
        planned_trials=n + 1,
        provenance=Provenance(
            packages={"tepui": "0.1.0", "torch": "2.15.0", "timm": "1.0.26", "deepspeed": "0.19.8"},
            hashes={"upstream data/fonts": "sha256:" + "ab" * 32, "mnist": "sha256:" + "cd" * 32},
            storage="results/simulated",
        ),
    )  # fmt: skip


def with_layers(data: ReportData) -> ReportData:
    """The same study with points from three blocks: the middle one is best for textures."""
    extra = []
    for point in data.points:
        for i, (layer, factor) in enumerate((("block-00", 1.6), ("block-01", 1.1), ("block-02", 1.02))):
            better = 0.85 if point.task == "textures" and i == 1 else factor
            extra.append(replace(point, layer=layer, downstream_error=min(point.downstream_error * better, 1.0)))
    laws = [law for law in data.laws if law.by["shots"] == max(SHOTS)]
    layered = [law.model_copy(update={"by": {**law.by, "layer": quarter}}) for law in laws for quarter in QUARTERS]
    return replace(data, points=data.points + tuple(extra), layer_laws=tuple(layered))


def with_heads(data: ReportData) -> ReportData:
    """The same study, its lengths of training read as weight decays of the head."""

    def renamed(point: EvaluationPoint) -> EvaluationPoint:
        factors = {("headWeightDecay" if name == "epochs" else name): v for name, v in point.factors.items()}
        return replace(point, factors=factors)

    return replace(data, points=tuple(map(renamed, data.points)))


def with_samples(data: ReportData) -> ReportData:
    """The same study with errors that fall with the number of models sampled."""
    laws: tuple[Literal["hull", "all_points"], ...] = ("hull", "all_points")
    sampled = []
    for truth, law, n in itertools.product(TRUTHS, laws, (6, 12, 27)):
        error = Spread(median=0.4 / n, low=0.2 / n, high=0.9 / n)
        by: dict[str, ByValue] = {"task": truth.task, "shots": max(SHOTS)}
        sampled.append(Sampled(law=law, by=by, models=n, samples=100, fit_error=error, prediction_error=error))
    return replace(data, sampled=tuple(sampled))


def view_of(key: str, data: ReportData) -> View:
    """One view by its key, such as mnist-25."""
    return next(view for view in views(data) if view.key == key)


def payload_of(html: str) -> dict[str, Any]:
    """The data that the page's script reads."""
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))
