"""Whatever rows are written come back, and a flipped bit never comes back as another row."""

import functools
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_spec.results import EvaluationRow, TrialRow
from tepui_trainer.rows import from_table, read_rows, to_table, write_rows
from tepui_trainer.storage import Storage

INTEGERS = st.integers(0, 2**63 - 1)
ERRORS = st.floats(0, 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=20)

trial_rows = st.builds(
    TrialRow,
    **{name: TEXTS for name, field in TrialRow.model_fields.items() if field.annotation is str},
    **{name: INTEGERS for name, field in TrialRow.model_fields.items() if field.annotation is int},
    **{name: NUMBERS for name, field in TrialRow.model_fields.items() if field.annotation is float}
    | {"upstream_error": ERRORS},
    training_flops=st.none() | NUMBERS,
)


@given(st.lists(trial_rows, max_size=5, unique_by=lambda row: row.trial))
def test_rows_come_back(rows: list[TrialRow]) -> None:
    """Every value survives, in the order of the keys: extreme numbers, nulls, any text."""
    assert from_table(to_table(rows, TrialRow), TrialRow) == sorted(rows, key=lambda row: row.trial)


@functools.cache
def written() -> tuple[Storage, bytes, list[EvaluationRow]]:
    """One file of evaluation rows, its bytes and its rows."""
    storage = Storage(tempfile.mkdtemp())
    fixed = {"trial": "t", "step": 9, "protocol": "p", "task": "mnist", "layer": "pooled", "n_test": 100}
    fixed |= {"error_se": 0.01, "l2": 2.0, "n_support": 10, "num_classes": 10, "corrupt_images": 0}
    fixed |= {"task_content_hash": "h", "upstream_error": 0.5, "upstream_n": 50}
    rows = [EvaluationRow.model_validate(fixed | {"shots": s, "seed": s, "error": s / 100}) for s in range(1, 26)]
    write_rows(storage, "rows.parquet", rows)
    return storage, storage.read("rows.parquet"), rows


@settings(max_examples=500)
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(data: st.DataObject) -> None:
    """No single bit anywhere in the file makes another row of it: refused with ValueError, or read unchanged."""
    storage, whole, rows = written()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << (bit % 8)
    storage.write("flipped.parquet", bytes(damaged))
    try:
        read = read_rows(storage, "flipped.parquet", EvaluationRow)
    except ValueError as error:
        assert "flipped.parquet" in str(error)  # noqa: PT017 (both endings are right)
    else:
        assert read == rows
