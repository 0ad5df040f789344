"""A CSV or Parquet file with a row per model becomes groups of points."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tepui_evaluator.points import FloatArray, IntArray, Points, at_least, make_points, measurement_se
from tepui_spec.law import ByValue

_ACCURACY = re.compile(r"(^|[^a-z])(acc|accuracy|top[-_ ]?1)([^a-z]|$)", re.IGNORECASE)
_ERROR = re.compile(r"(^|[^a-z])(err|error|loss[-_ ]?rate)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, and in which unit.

    Noise is told by standard errors (`x_se`, `y_se`) or by what they are made of (`points.measurement_se`): numbers of
    test images (`x_n`, `y_n`), and downstream the variance of a model's error over its support seeds
    (`y_seed_variance`) with the number of seeds that its error is the mean of (`y_seeds`).
    """

    x: str
    y: str
    x_se: str | None = None
    y_se: str | None = None
    x_n: str | None = None
    y_n: str | None = None
    y_seed_variance: str | None = None
    y_seeds: str | None = None
    group: str | None = None
    by: tuple[str, ...] = ()
    accuracy: bool = False
    percent: bool = False


Table = dict[str, list[Any]]


def read_table(path: str | Path) -> Table:
    """Columns by name of a .parquet file or, for any other name, a CSV file with a header.

    Cells of a CSV are strings. Raises ValueError naming the file if it is missing, unreadable, empty, ragged, or
    has two columns of one name.
    """
    path = Path(path)
    try:
        names, columns = _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueError(f"cannot read table {path.name}: {reason}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'table {path.name} has two columns named "{twice[0]}"')
    if not columns or not columns[0]:
        raise ValueError(f"table {path.name} has no rows")
    return dict(zip(names, columns, strict=True))


def _read_csv(path: Path) -> tuple[list[str], list[list[Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows, [])]
        body = []
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                raise ValueError(
                    f"table {path.name}, line {rows.line_num}: {len(row)} cells, but the header has {len(names)}"
                )
            body.append(row)
    return names, [list(column) for column in zip(*body, strict=True)]


def _read_parquet(path: Path) -> tuple[list[str], list[list[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"cannot read table {path.name}: {error}") from error
    return list(table.column_names), [column.to_pylist() for column in table.columns]


def split_points(table: Table, columns: Columns) -> list[tuple[dict[str, ByValue], Points]]:
    """Points per distinct combination of the `by` columns, in order of first appearance.

    Raises ValueError naming the column, row and value of the first thing that is wrong.
    """
    _check_columns(table, columns)
    rows_by_key: dict[tuple[Any, ...], list[int]] = {}
    keys = zip(*(_typed(table[name]) for name in columns.by), strict=True) if columns.by else None
    row_count = len(table[columns.x])
    for row, key in enumerate(keys if keys is not None else [()] * row_count):
        rows_by_key.setdefault(key, []).append(row)
    everything = _points(table, columns)
    return [
        (_by(columns.by, key), _with_counts(everything.take(rows), rows, table, columns))
        for key, rows in ((key, np.array(rows, dtype=np.int64)) for key, rows in rows_by_key.items())
    ]


def _points(table: Table, columns: Columns) -> Points:
    """All rows, without standard errors made from counts: those are pooled over the models of one group."""
    return make_points(
        table[columns.x],
        table[columns.y],
        x_se=None if columns.x_se is None else table[columns.x_se],
        y_se=None if columns.y_se is None else table[columns.y_se],
        group=None if columns.group is None else table[columns.group],
        names=(columns.x, columns.y, columns.x_se or "x_se", columns.y_se or "y_se"),
        accuracy=columns.accuracy,
        percent=columns.percent,
    )


def _with_counts(points: Points, rows: IntArray, table: Table, columns: Columns) -> Points:
    """The points of these rows, their standard errors made from test counts and support seeds where those are named."""

    def column(name: str | None, least: float) -> FloatArray | None:
        return None if name is None else at_least(table[name], name, least)[rows]

    x_n, y_n, seeds = (column(name, 1.0) for name in (columns.x_n, columns.y_n, columns.y_seeds))
    variance = column(columns.y_seed_variance, 0.0)
    if variance is not None and columns.percent:
        variance = variance * 1e-4
    return replace(
        points,
        x_se=points.x_se if x_n is None else measurement_se(points.x, x_n),
        y_se=points.y_se if y_n is None else measurement_se(points.y, y_n, variance, 1.0 if seeds is None else seeds),
    )


def _typed(column: list[Any]) -> list[Any]:
    """A CSV column as integers or floats if every cell is one, else as it is."""
    for kind in (int, float):
        try:
            return [kind(cell) if isinstance(cell, str) else cell for cell in column]
        except ValueError:
            continue
    return column


def _by(names: Sequence[str], key: tuple[Any, ...]) -> dict[str, ByValue]:
    by: dict[str, ByValue] = {}
    for name, value in zip(names, key, strict=True):
        by[name] = value if isinstance(value, str | int | float) else str(value)
    return by


def _check_columns(table: Table, columns: Columns) -> None:
    noise = [columns.x_se, columns.y_se, columns.x_n, columns.y_n, columns.y_seed_variance, columns.y_seeds]
    for name in [columns.x, columns.y, *noise, columns.group, *columns.by]:
        if name is not None and name not in table:
            near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise ValueError(f'no column "{name}"{hint}; the table has: {", ".join(table)}')
    _check_noise(columns)
    if columns.x == columns.y:
        raise ValueError(f'--x and --y both name column "{columns.x}"')
    for name in (columns.x, columns.y):
        if not columns.accuracy and _ACCURACY.search(name) and not _ERROR.search(name):
            raise ValueError(f'column "{name}" holds accuracies by its name; pass --accuracy, or a column of errors')
        if columns.accuracy and _ERROR.search(name) and not _ACCURACY.search(name):
            raise ValueError(f'column "{name}" holds errors by its name; leave out --accuracy')


def _check_noise(columns: Columns) -> None:
    for se, n, axis in ((columns.x_se, columns.x_n, "x"), (columns.y_se, columns.y_n, "y")):
        if se is not None and n is not None:
            raise ValueError(f"--{axis}-se {se} and --{axis}-n {n} both tell the noise of {axis}; give one of them")
    seeds = {"--y-seed-var": columns.y_seed_variance, "--y-seeds": columns.y_seeds}
    given = [option for option, name in seeds.items() if name is not None]
    if given and columns.y_n is None:
        raise ValueError(f"{given[0]} {seeds[given[0]]} needs the number of test images as well: --y-n")
    if given and len(given) < len(seeds):
        raise ValueError(f"{given[0]} {seeds[given[0]]} needs {next(o for o in seeds if o not in given)} beside it")
