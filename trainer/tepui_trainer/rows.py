"""Result rows to Parquet and back: one schema (`tepui_spec.results`), page checksums, one row a key.

Equal rows give equal bytes, in whatever order they come. A file that is damaged is refused by name.
"""

import functools
import io
import itertools
import logging
import typing
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from tepui_spec.results import Row
from tepui_trainer.storage import Storage

R = TypeVar("R", bound=Row)
_log = logging.getLogger(__name__)
_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_READERS = 8
"""Files read at the same time: what a store's latency needs."""


@functools.cache
def arrow_schema(row_type: type[Row]) -> pa.Schema:
    """The columns of a table in the order of the model's fields, each with its description as metadata."""
    fields = []
    for name, field in row_type.model_fields.items():
        kinds: tuple[Any, ...] = typing.get_args(field.annotation) or (field.annotation,)  # X | None, or X
        column = next(_TYPES[kind] for kind in kinds if kind is not type(None))
        metadata = {"description": field.description or ""}
        fields.append(pa.field(name, column, nullable=type(None) in kinds, metadata=metadata))
    return pa.schema(fields)


def to_table(rows: Iterable[R], row_type: type[R]) -> pa.Table:
    """Rows as a table sorted by key. Raises ValueError for two rows of one key."""
    ordered = sorted(rows, key=_key)
    for row, following in itertools.pairwise(ordered):
        if _key(row) == _key(following):
            key = dict(zip(row_type.KEY, _key(row), strict=True))
            raise ValueError(f"{row_type.__name__}: two rows have the key {key}")
    return pa.Table.from_pylist([row.model_dump() for row in ordered], schema=arrow_schema(row_type))


def from_table(table: pa.Table, row_type: type[R]) -> list[R]:
    """A table's rows as models. Raises ValueError for a value out of the model's bounds."""
    rows = []
    for number, values in enumerate(table.to_pylist()):
        try:
            rows.append(row_type.model_validate(values))
        except ValidationError as error:
            fault = error.errors()[0]
            column = ".".join(map(str, fault["loc"]))
            raise ValueError(f"row {number}, {column} is {fault['input']!r}: {fault['msg']}") from error
    return rows


def write_rows(storage: Storage, path: str, rows: Sequence[R], row_type: type[R] | None = None) -> None:
    """Write rows as one Parquet file, whole or not at all; `row_type` is needed only where rows may be empty.

    Raises ValueError (two rows of one key), and what `Storage.write` raises.
    """
    if row_type is None:
        if not rows:
            raise ValueError(f"{path}: no rows, and no row type that would give the columns")
        row_type = type(rows[0])
    sink = io.BytesIO()
    pq.write_table(to_table(rows, row_type), sink, compression="zstd", write_page_checksum=True)
    storage.write(path, sink.getvalue())


def read_rows(storage: Storage, path: str, row_type: type[R]) -> list[R]:
    """The rows of one file, in the order of their keys.

    Raises ValueError naming a damaged or foreign file, and what `Storage.read` raises.
    """
    try:
        return from_table(_read(storage, path, row_type), row_type)
    except ValueError as error:
        raise ValueError(_named(storage, path, error)) from error


def read_table(storage: Storage, paths: Iterable[str], row_type: type[Row]) -> pa.Table:
    """The rows of many files as one table, sorted by key; of rows with one key, the one of the last path stays.

    Raises as `read_rows`.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        tables = list(readers.map(lambda path: _read(storage, path, row_type), paths))
    if not tables:
        return arrow_schema(row_type).empty_table()
    return _one_a_key(pa.concat_tables(tables), row_type.KEY)


def _read(storage: Storage, path: str, row_type: type[Row]) -> pa.Table:
    data = storage.read(path)
    try:
        table = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:  # bytes in memory: neither can be the world's fault
        raise ValueError(_named(storage, path, error)) from error
    schema = arrow_schema(row_type)
    if not table.schema.equals(schema):
        theirs, ours = set(table.schema.names), set(schema.names)
        raise ValueError(
            f"{storage.uri(path)} does not hold {row_type.__name__} as this version of Tepui writes it: "
            f"missing columns {sorted(ours - theirs)}, unknown columns {sorted(theirs - ours)}"
        )
    return table.replace_schema_metadata(None).cast(schema)


def _one_a_key(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Rows sorted by key, the last of each key; rows that differ under one key are reported."""
    numbered = table.append_column("_row", pa.array(range(table.num_rows), pa.int64()))
    last = numbered.group_by(list(key)).aggregate([("_row", "max")])
    kept = table.take(last.sort_by([(name, "ascending") for name in key])["_row_max"])
    different = table.group_by(table.column_names).aggregate([]).num_rows - kept.num_rows
    if different:
        _log.warning("%d rows were written again with other values; the last ones count", different)
    return kept


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in type(row).KEY)


def _named(storage: Storage, path: str, error: Exception) -> str:
    text = str(error)
    if storage.uri(path) in text:
        return text
    return f"{storage.uri(path)} is damaged: {text}; run the study again to have it written anew"
