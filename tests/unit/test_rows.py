"""Rows as Parquet: schema, determinism, keys, and refusal of everything that is not what was written."""

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tepui_spec.results import TABLES, CurveRow, EvaluationRow, Row, TrialRow
from tepui_trainer.rows import arrow_schema, read_rows, read_table, to_table, write_rows
from tepui_trainer.storage import Storage


def curve(step: int = 0, value: float = 0.5, **other: Any) -> CurveRow:
    """A point of a training curve."""
    fields = {"trial": "0123456789ab", "step": step, "examples_seen": 128 * step, "metric": "lr", "value": value}
    return CurveRow(**fields | other)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """An empty local storage."""
    return Storage(str(tmp_path))


@pytest.mark.parametrize("row_type", TABLES.values())
def test_every_table_has_a_schema_of_its_model(row_type: type[Row]) -> None:
    """Columns follow the model's fields, with their descriptions; only optional fields may be null."""
    schema = arrow_schema(row_type)
    assert schema.names == list(row_type.model_fields)
    for field in schema:
        described = row_type.model_fields[field.name]
        assert field.metadata[b"description"].decode() == described.description
    assert [f.name for f in schema if f.nullable] == (["training_flops"] if row_type is TrialRow else [])


def test_descriptions_and_checksums_are_in_the_file(storage: Storage, tmp_path: Path) -> None:
    """Whoever opens the file elsewhere finds what each column means."""
    write_rows(storage, "curve.parquet", [curve()])
    field = pq.read_schema(tmp_path / "curve.parquet").field("value")
    assert field.metadata[b"description"] == CurveRow.model_fields["value"].description.encode()  # type: ignore[union-attr]


def test_equal_rows_give_equal_bytes_in_any_order(storage: Storage) -> None:
    """The same trial gives the same file, however its rows were gathered."""
    rows = [curve(step, 1 / (step + 1)) for step in range(50)]
    write_rows(storage, "a.parquet", rows)
    write_rows(storage, "b.parquet", rows[::-1])
    assert storage.read("a.parquet") == storage.read("b.parquet")
    assert read_rows(storage, "b.parquet", CurveRow) == rows


def test_two_rows_of_one_key_are_refused(storage: Storage) -> None:
    """The message names the key; nothing is written."""
    with pytest.raises(ValueError, match=r"CurveRow: two rows have the key .*'step': 3, 'metric': 'lr'"):
        write_rows(storage, "a.parquet", [curve(3, 0.1), curve(4), curve(3, 0.2)])
    assert storage.list() == []


def test_no_rows_need_a_type(storage: Storage) -> None:
    """An empty table keeps its columns; without a type there are none to keep."""
    write_rows(storage, "a.parquet", [], CurveRow)
    assert read_rows(storage, "a.parquet", CurveRow) == []
    with pytest.raises(ValueError, match=r"b.parquet: no rows"):
        write_rows(storage, "b.parquet", [])


def test_truncated_at_every_length(storage: Storage) -> None:
    """A file that is cut anywhere is refused by name, and never crashes the reader."""
    write_rows(storage, "a.parquet", [curve(step) for step in range(5)])
    whole = storage.read("a.parquet")
    for length in range(len(whole)):
        storage.write("cut.parquet", whole[:length])
        with pytest.raises(ValueError, match=r"cut.parquet is damaged"):
            read_rows(storage, "cut.parquet", CurveRow)


def test_missing_file_is_not_a_damaged_one(storage: Storage) -> None:
    """Missing stays FileNotFoundError, so that a caller can tell."""
    with pytest.raises(FileNotFoundError, match=r"a.parquet"):
        read_rows(storage, "a.parquet", CurveRow)


def test_rows_of_another_table_or_version(storage: Storage) -> None:
    """A file with other columns is refused, and the columns are named."""
    write_rows(storage, "a.parquet", [curve()])
    with pytest.raises(ValueError, match=r"a.parquet does not hold EvaluationRow.*'shots'.*unknown columns \['ex"):
        read_rows(storage, "a.parquet", EvaluationRow)


def test_values_out_of_bounds_are_refused(storage: Storage, tmp_path: Path) -> None:
    """A file that somebody else wrote goes through the model's own bounds."""
    schema = arrow_schema(CurveRow)
    columns = {"trial": ["t"], "step": [1], "examples_seen": [1], "metric": ["lr"], "value": [float("nan")]}
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "a.parquet", write_page_checksum=True)
    with pytest.raises(ValueError, match=r"a.parquet is damaged: row 0, value is nan: Input should be a finite"):
        read_rows(storage, "a.parquet", CurveRow)


def test_many_files_are_one_table_by_key(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """Repeated rows count once; where two files disagree the later path counts, and that is said."""
    write_rows(storage, "a.parquet", [curve(1, 0.1), curve(2, 0.2)])
    write_rows(storage, "b.parquet", [curve(2, 0.2), curve(3, 0.3)])
    with caplog.at_level(logging.WARNING):
        table = read_table(storage, ["b.parquet", "a.parquet"], CurveRow)
        assert table["value"].to_pylist() == [0.1, 0.2, 0.3]
        assert caplog.records == []
        write_rows(storage, "c.parquet", [curve(1, 0.9)])
        newest = read_table(storage, ["a.parquet", "b.parquet", "c.parquet"], CurveRow)
    assert newest["value"].to_pylist() == [0.9, 0.2, 0.3]
    assert newest.schema.equals(arrow_schema(CurveRow), check_metadata=True)
    assert "1 rows were written again with other values" in caplog.text
    assert read_table(storage, [], CurveRow).equals(to_table([], CurveRow))
