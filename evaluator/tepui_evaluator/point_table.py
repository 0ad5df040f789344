"""A CSV or Parquet file with a row per model becomes groups of points."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tepui_evaluator.points import Points, make_points
from tepui_spec.law import ByValue

_ACCURACY = re.compile(r"(^|[^a-z])(acc|accuracy|top[-_ ]?1)([^a-z]|$)", re.IGNORECASE)
_ERROR = re.compile(r"(^|[^a-z])(err|error|loss[-_ ]?rate)([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """Which columns hold what, and in which unit."""

    x: str
    y: str
    x_se: str | None = None
    y_se: str | None = None
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
        (_by(columns.by, key), everything.take(np.array(rows, dtype=np.int64))) for key, rows in rows_by_key.items()
    ]


def _points(table: Table, columns: Columns) -> Points:
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
    wanted = [columns.x, columns.y, columns.x_se, columns.y_se, columns.group, *columns.by]
    for name in wanted:
        if name is not None and name not in table:
            near = difflib.get_close_matches(name, table, n=3, cutoff=0.5)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise ValueError(f'no column "{name}"{hint}; the table has: {", ".join(table)}')
    if columns.x == columns.y:
        raise ValueError(f'--x and --y both name column "{columns.x}"')
    for name in (columns.x, columns.y):
        if not columns.accuracy and _ACCURACY.search(name) and not _ERROR.search(name):
            raise ValueError(f'column "{name}" holds accuracies by its name; pass --accuracy, or a column of errors')
        if columns.accuracy and _ERROR.search(name) and not _ACCURACY.search(name):
            raise ValueError(f'column "{name}" holds errors by its name; leave out --accuracy')
