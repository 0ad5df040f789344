"""Points of a study: one row a model, task, number of shots and layer, joined from trials and evaluations.

Standard errors. A model's downstream error is the mean over R support sets (seeds) of its error on one test split of M
images. Two things could have come out differently: the test images, which all R errors share, so that part does not
shrink with R; and the support sets, whose part does. So (`points.measurement_se`)

    se^2 = p (1 - p) / (M + 4) + V / R,    p = (M * error + 2) / (M + 4)

with V the sample variance over support seeds, pooled (averaged) over all models of the same task, shots and layer: a
variance of three numbers is too noisy to weight by. p is the Agresti-Coull estimate, by which an error of
0 is not exact. V itself holds some of the test images' noise, so se is rather too large than too small. With R = 1 the
support seeds' part is not known and is left out.

The upstream error has the binomial part alone, of the same form.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from pydantic.alias_generators import to_camel

from tepui_evaluator.points import FloatArray, IntArray, Points, make_points, measurement_se
from tepui_evaluator.report_data import EvaluationPoint
from tepui_evaluator.report_view import HEADLINE_LAYER
from tepui_spec.law import ByValue
from tepui_spec.results import Row, TrialRow
from tepui_spec.sweep import Factors
from tepui_trainer.rows import arrow_schema, from_table

GROUP = ("task", "shots", "layer", "protocol")
"""Points that agree in these columns may be fitted together."""
_POINT = ("trial", "step", *GROUP)
_OF_TRIAL = (
    *("model", "family", "recipe", "image_size", "data_fraction", "epochs", "seed", "batch_size", "lr_peak"),
    *("weight_decay", "head_weight_decay", "head_lr_scale", "precision", "parameters", "training_flops"),
)
SIBLINGS = ("model", "recipe", "batch_size", "lr_peak", "weight_decay", "head_weight_decay", "head_lr_scale")
"""Trials that agree in these share architecture and recipe, so they are not independent (docs/statistics.md); what
is left to differ is how long and on how much they trained, and the seed."""


class PointRow(Row):
    """One model on one downstream task with one number of shots, over all support seeds."""

    KEY: ClassVar[tuple[str, ...]] = _POINT

    trial: str = Field(description="The trial.")
    step: int = Field(description="Optimizer steps of the checkpoint.")
    task: str = Field(description="Downstream task.")
    shots: int = Field(description="Support images per class.")
    layer: str = Field(description="Where features come from: pooled, or block-00, block-01, ...")
    protocol: str = Field(description="Evaluation protocol with its version.")
    error: float = Field(ge=0, le=1, description="Top-1 error on the test split, mean over support seeds.")
    error_se: float = Field(description="Standard error of error: binomial and support-seed part together.")
    binomial_se: float = Field(description="Its binomial part alone.")
    support_sd: float | None = Field(description="Standard deviation over support seeds; null with one seed.")
    support_seeds: int = Field(description="Support seeds.")
    n_test: int = Field(description="Test images.")
    upstream_error: float = Field(ge=0, le=1, description="Upstream validation error of the checkpoint.")
    upstream_error_se: float = Field(description="Binomial standard error of upstream_error.")
    upstream_n: int = Field(description="Validation images.")
    model: str = Field(description="Name of the model as listed in the sweep.")
    family: str = Field(description="Architecture family.")
    recipe: str = Field(description="Name of the training recipe.")
    image_size: int = Field(description="Height and width, pixels.")
    data_fraction: float = Field(description="Share of the upstream training images used.")
    epochs: float = Field(description="Passes over that share.")
    seed: int = Field(description="Seed of the trial.")
    batch_size: int = Field(description="Images per optimizer step.")
    lr_peak: float = Field(description="Peak learning rate.")
    weight_decay: float = Field(description="Weight decay of the body.")
    head_weight_decay: float = Field(description="Weight decay of the head.")
    head_lr_scale: float = Field(description="Learning rate of the head over the body's.")
    precision: str = Field(description="Number format of forward and backward pass.")
    parameters: int = Field(description="Trainable parameters.")
    training_flops: float | None = Field(description="Floating-point operations of the whole training.")


def point_table(trials: pa.Table, evaluations: pa.Table) -> pa.Table:
    """The points (PointRow) of result rows, sorted by key. Rows of a trial that is not in `trials` are left out."""
    over_seeds = evaluations.group_by([*_POINT], use_threads=False).aggregate(
        [
            ("error", "mean"),
            ("error", "variance", pc.VarianceOptions(ddof=1, min_count=2)),
            ("error", "count"),
            ("n_test", "min"),
            ("upstream_error", "min"),
            ("upstream_n", "min"),
        ]
    )
    joined = over_seeds.join(trials.select(["trial", *_OF_TRIAL]), keys="trial", join_type="inner", use_threads=False)
    columns: dict[str, Any] = {name: joined[name] for name in (*_POINT, *_OF_TRIAL)}
    columns |= {"error": joined["error_mean"], "support_seeds": joined["error_count"], "n_test": joined["n_test_min"]}
    columns |= {"upstream_error": joined["upstream_error_min"], "upstream_n": joined["upstream_n_min"]}
    columns |= {"support_sd": pc.sqrt(joined["error_variance"])}
    columns |= _standard_errors(joined)
    schema = arrow_schema(PointRow)
    table = pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)
    return table.sort_by([(name, "ascending") for name in PointRow.KEY])


def _standard_errors(joined: pa.Table) -> dict[str, Any]:
    error_P, n_test_P = _floats(joined, "error_mean"), _floats(joined, "n_test_min")
    variance_P, seeds_P = _floats(joined, "error_variance"), _floats(joined, "error_count")
    error_se_P = measurement_se(error_P, n_test_P)
    known_P = np.isfinite(variance_P)
    for rows in _rows_by(joined, GROUP):
        known = rows[known_P[rows]]
        for seeds in np.unique(seeds_P[known]):
            some = known[seeds_P[known] == seeds]
            error_se_P[some] = measurement_se(error_P[some], n_test_P[some], variance_P[known], float(seeds))
    return {
        "error_se": error_se_P,
        "binomial_se": measurement_se(error_P, n_test_P),
        "upstream_error_se": measurement_se(_floats(joined, "upstream_error_min"), _floats(joined, "upstream_n_min")),
    }


def points_of(rows: Iterable[PointRow]) -> Points:
    """The points of rows that agree in GROUP, ready for `laws.fit_laws`."""
    rows = list(rows)
    return make_points(
        [row.upstream_error for row in rows],
        [row.error for row in rows],
        x_se=[row.upstream_error_se for row in rows],
        y_se=[row.error_se for row in rows],
        group=[tuple(getattr(row, name) for name in SIBLINGS) for row in rows],
        names=("upstream_error", "error", "upstream_error_se", "error_se"),
    )


def shown(table: pa.Table) -> pa.Table:
    """The points (PointRow) that laws and report are made of: of layers before the head's input only those at the
    largest number of shots of their task."""
    largest = table.group_by("task", use_threads=False).aggregate([("shots", "max")])
    joined = table.join(largest, keys="task", join_type="inner", use_threads=False)
    keep = pc.or_(pc.equal(joined["layer"], HEADLINE_LAYER), pc.equal(joined["shots"], joined["shots_max"]))
    return joined.filter(keep).select(table.column_names).sort_by([(name, "ascending") for name in PointRow.KEY])


def groups_of(table: pa.Table) -> dict[tuple[Any, ...], list[PointRow]]:
    """Rows by GROUP, groups and rows in ascending order."""
    groups: dict[tuple[Any, ...], list[PointRow]] = {}
    for row in from_table(table, PointRow):
        groups.setdefault(tuple(getattr(row, name) for name in GROUP), []).append(row)
    return dict(sorted(groups.items()))


def report_points(
    rows: Iterable[PointRow], factors: Mapping[str, Mapping[str, ByValue]]
) -> tuple[EvaluationPoint, ...]:
    """Rows as the report draws them; `factors` are what was varied, by trial."""
    return tuple(_report_point(row, factors[row.trial]) for row in rows)


def varied_factors(rows: Iterable[TrialRow | PointRow]) -> dict[str, dict[str, ByValue]]:
    """By trial, the factors of a sweep that are not the same in all rows, under their names in a spec."""
    rows = list(rows)
    varied = [name for name in Factors.model_fields if len({getattr(row, name) for row in rows}) > 1]
    return {row.trial: {to_camel(name): getattr(row, name) for name in varied} for row in rows}


def _report_point(row: PointRow, factors: Mapping[str, ByValue]) -> EvaluationPoint:
    return EvaluationPoint(
        trial=row.trial,
        model=row.model,
        family=row.family,
        task=row.task,
        shots=row.shots,
        upstream_error=row.upstream_error,
        upstream_se=row.upstream_error_se,
        downstream_error=row.error,
        downstream_se=row.error_se,
        layer=row.layer,
        step=row.step,
        factors=factors,
        group=sys.intern("/".join(str(getattr(row, name)) for name in SIBLINGS)),
    )


def _floats(table: pa.Table, name: str) -> FloatArray:
    """A column with null as NaN, in an array of its own."""
    return np.array(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def _rows_by(table: pa.Table, names: tuple[str, ...]) -> list[IntArray]:
    """Row numbers of each group of rows that agree in these columns."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, key in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        groups.setdefault(key, []).append(number)
    return [np.array(rows, dtype=np.int64) for rows in groups.values()]
