"""Any table of results, chosen, filtered, and as text, CSV, JSON or Parquet."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tepui_evaluator.law_rows import LawRow
from tepui_evaluator.store import Store
from tepui_evaluator.study_points import point_table
from tepui_spec.source import load_experiment
from tepui_trainer.rows import read_table
from tepui_trainer.storage import Storage

TableName = Literal["trials", "curves", "evaluations", "points", "laws"]
Format = Literal["table", "csv", "json", "parquet"]

_BRIEF: dict[TableName, tuple[str, ...]] = {
    "trials": ("trial", "model", "recipe", "data_fraction", "epochs", "seed", "upstream_error", "upstream_error_se"),
    "evaluations": ("trial", "step", "task", "shots", "seed", "layer", "error", "error_se", "l2"),
    "points": (
        *("trial", "model", "data_fraction", "epochs", "seed", "task", "shots", "layer"),
        *("upstream_error", "error", "error_se"),
    ),
    "laws": (
        *("task", "shots", "law", "n", "e_ir", "e_ir_low", "e_ir_high", "k", "k_low", "k_high"),
        *("alpha", "alpha_low", "alpha_high", "identified"),
    ),
}
"""Columns of the text; a file has all."""


def open_store(study_or_storage: str, storage_uri: str | None = None) -> Store:
    """A study's YAML file, or a storage's folder or URI, as a store.

    `storage_uri` replaces what the file says. Raises ValueError where there is no such file or storage.
    """
    path = Path(study_or_storage)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return Store(_existing(storage_uri or study_or_storage))
    experiment = load_experiment(path)
    uri = storage_uri or experiment.spec.storage.uri
    if uri is None:
        raise ValueError(f"{path}: spec.storage is a PersistentVolumeClaim; say with --storage where it is mounted")
    local = "://" not in uri and storage_uri is None
    return Store(_existing(str((path.parent / Path(uri).expanduser()).resolve()) if local else uri), experiment)


def _existing(uri: str) -> Storage:
    storage = Storage(uri)
    if not storage.exists():
        raise ValueError(f"{uri}: there are no results; `tepui run STUDY.yaml` makes them")
    if not storage.exists("trials") and not storage.exists("studies"):
        raise ValueError(f"{uri} holds no results; name a study's YAML file, or the folder or URI of its storage")
    return storage


def load(store: Store, name: TableName) -> pa.Table:
    """A table of the store. Raises ValueError naming a damaged file, and TransientError."""
    if name == "points":
        return point_table(store.table("trials"), store.table("evaluations"))
    if name == "laws":
        return _laws(store)
    return store.table(name)


def _laws(store: Store) -> pa.Table:
    """The laws of the store's study, or, without an experiment, of all studies, told apart by the column `study`."""
    paths = {path.split("/")[1]: path for path in store.storage.list("studies") if path.endswith("/laws.parquet")}
    if store.experiment is not None:
        name = store.experiment.metadata.name
        paths = {name: paths[name]} if name in paths else {}
    tables = [
        table.add_column(0, "study", pa.array([study] * table.num_rows, pa.string()))
        for study, path in paths.items()
        for table in [read_table(store.storage, [path], LawRow)]
    ]
    if tables:
        return pa.concat_tables(tables)
    return read_table(store.storage, [], LawRow).add_column(0, "study", pa.array([], pa.string()))


def filtered(table: pa.Table, *, tasks: Sequence[str] = (), shots: Sequence[int] = ()) -> pa.Table:
    """Rows of these tasks and shots (all, where none are given).

    Raises ValueError for a filter that the table has no column for, or a task that it does not hold.
    """
    for name, wanted in (("task", list(tasks)), ("shots", list(shots))):
        if not wanted:
            continue
        if name not in table.column_names:
            raise ValueError(f"--{name}: this table has no column {name}; use evaluations, points or laws")
        present = set(table[name].to_pylist())
        unknown = [str(value) for value in wanted if value not in present]
        if unknown:
            held = ", ".join(map(str, sorted(present))) or "none"
            raise ValueError(f"--{name}: no rows for {', '.join(unknown)}; the table holds {held}")
        table = table.filter(pc.is_in(table[name], pa.array(wanted, table[name].type)))
    return table


def encoded(table: pa.Table, name: TableName, form: Format) -> bytes:
    """The table in one of the formats."""
    sink = io.BytesIO()
    if form == "csv":
        pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    elif form == "parquet":
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    elif form == "json":
        sink.write(json.dumps(table.to_pylist(), ensure_ascii=False, indent=1).encode() + b"\n")
    else:
        sink.write(_text(table, _BRIEF.get(name)).encode())
    return sink.getvalue()


def _text(table: pa.Table, columns: Sequence[str] | None) -> str:
    """Aligned columns, numbers to four digits, and how many rows and columns there are."""
    shown = table.select([c for c in ("study", *columns) if c in table.column_names]) if columns else table
    names = shown.column_names
    rows = [names, *([_cell(value) for value in row.values()] for row in shown.to_pylist())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    right = [not pa.types.is_string(shown.schema.field(name).type) for name in names]
    lines = [
        "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)).rstrip()
        for row in rows
    ]
    more = "" if len(names) == table.num_columns else f", {len(names)} of {table.num_columns} columns shown"
    return "\n".join([*lines, f"({table.num_rows} rows{more})", ""])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
