"""A report from a table with a row per point: points that `tepui results` exported, or any table with named columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tepui_evaluator.analysis import fit_points, packages
from tepui_evaluator.laws import band, fit_laws
from tepui_evaluator.point_table import Columns, Table, split_points
from tepui_evaluator.points import Points
from tepui_evaluator.report_data import EvaluationPoint, Provenance, ReportData, law_grid
from tepui_evaluator.sampled import sampled_errors
from tepui_evaluator.study_points import PointRow, report_points, shown, varied_factors
from tepui_spec.law import Band, ByValue, Law, Sampled
from tepui_trainer.rows import arrow_schema, from_table

_NO_TASK = "downstream"


@dataclass(frozen=True)
class PointColumns:
    """Which columns hold what; None: the table has no such column."""

    fitted: Columns
    """What laws are fitted to; its `y` is one of these."""
    y: tuple[str, ...]
    """Several are several tasks, named as the columns."""
    task: str | None = None
    shots: str | None = None
    trial: str | None = None
    model: str | None = None
    family: str | None = None
    factors: tuple[str, ...] = ()


def is_exported(table: Table) -> bool:
    """Whether the table holds all that `tepui results --table points` writes."""
    return set(arrow_schema(PointRow).names) <= table.keys()


def exported_report(path: Path, *, confidence: float) -> ReportData:
    """The report of exported points. Raises ValueError for a value that its column cannot hold."""
    schema = arrow_schema(PointRow)
    try:
        if path.suffix.lower() == ".csv":
            options = pyarrow.csv.ConvertOptions(column_types=schema, include_columns=schema.names)
            table = pyarrow.csv.read_csv(path, convert_options=options)
        else:
            table = pq.read_table(path, columns=schema.names)
        points = table.cast(schema)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path.name}: {error}") from error
    fitted, rows = fit_points(points, confidence=confidence), from_table(shown(points), PointRow)
    return ReportData(
        study=path.stem,
        points=report_points(rows, varied_factors(rows)),
        laws=fitted.laws,
        bands=fitted.bands,
        layer_laws=fitted.layer_laws,
        sampled=fitted.sampled,
        provenance=Provenance(packages=packages()),
    )


def table_report(study: str, table: Table, columns: PointColumns, *, confidence: float) -> ReportData:
    """The report of any table. Raises ValueError naming the column, row and value of the first thing that is wrong."""
    points: list[EvaluationPoint] = []
    laws: list[Law] = []
    bands: list[Band | None] = []
    sampled: list[Sampled] = []
    for by, rows, group in _groups(table, columns):
        points += _report_points(table, columns, by, rows, group)
        sampled += sampled_errors(group, by=by)
        for law in fit_laws(group, confidence=confidence, by=by):
            laws.append(law)
            bands.append(None if law.e_ir is None else band(group, law, law_grid(law)))
    return ReportData(
        study=study,
        points=tuple(points),
        laws=tuple(laws),
        bands=tuple(bands),
        sampled=tuple(sampled),
        provenance=Provenance(packages=packages()),
    )


def _groups(table: Table, columns: PointColumns) -> Iterator[tuple[dict[str, ByValue], list[int], Points]]:
    """Task and shots, row numbers and points of every law."""
    if columns.task is not None and len(columns.y) > 1:
        raise ValueError(f"--task {columns.task} goes with one --y, but there are {len(columns.y)}, a task each")
    noise = columns.fitted.y_se or columns.fitted.y_n
    if noise is not None and len(columns.y) > 1:
        raise ValueError(f"the noise column {noise} goes with one --y, but there are {len(columns.y)}")
    for y in columns.y:
        names = tuple(name for name in (columns.task, columns.shots) if name is not None)
        split_points(table, replace(columns.fitted, y=y, by=names))  # says what is wrong by the row of the whole table
        rows_by_key: dict[tuple[Any, ...], list[int]] = {}
        for row, key in enumerate(zip(*(table[name] for name in names), strict=True) if names else _no_keys(table, y)):
            rows_by_key.setdefault(key, []).append(row)
        for key, rows in rows_by_key.items():
            of = dict(zip(names, key, strict=True))
            task = of.get(columns.task) if columns.task else y if len(columns.y) > 1 else _NO_TASK
            part = {name: [column[row] for row in rows] for name, column in table.items()}
            ((_, points),) = split_points(part, replace(columns.fitted, y=y))
            yield {"task": str(task), "shots": _shots(columns.shots, of)}, rows, points


def _no_keys(table: Table, y: str) -> list[tuple[()]]:
    return [()] * len(table[y])


def _shots(name: str | None, of: dict[str, Any]) -> int:
    """The number of shots of a group; 0 where the table has none."""
    if name is None:
        return 0
    try:
        return int(of[name])
    except ValueError:
        raise ValueError(f'column "{name}": {of[name]!r} is not a number of shots') from None


def _report_points(
    table: Table, columns: PointColumns, by: dict[str, ByValue], rows: list[int], points: Points
) -> list[EvaluationPoint]:
    def text(name: str | None, row: int, otherwise: str) -> str:
        return otherwise if name is None else str(table[name][row])

    _check(table, columns)
    return [
        EvaluationPoint(
            trial=text(columns.trial, row, f"row {row + 1}"),
            model=text(columns.model, row, "model"),
            family=text(columns.family, row, "models"),
            task=str(by["task"]),
            shots=int(by["shots"]),
            upstream_error=float(points.x[i]),
            upstream_se=None if points.x_se is None else float(points.x_se[i]),
            downstream_error=float(points.y[i]),
            downstream_se=None if points.y_se is None else float(points.y_se[i]),
            factors={name: _value(table[name][row]) for name in columns.factors},
            group=text(columns.fitted.group, row, f"row {row + 1}"),
        )
        for i, row in enumerate(rows)
    ]


def _check(table: Table, columns: PointColumns) -> None:
    for name in (columns.trial, columns.model, columns.family, *columns.factors):
        if name is not None and name not in table:
            raise ValueError(f'no column "{name}"; the table has: {", ".join(table)}')


def _value(cell: Any) -> ByValue:
    """A cell as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(cell)
        except (TypeError, ValueError):
            continue
    return str(cell)
