"""A spool cut anywhere gives a prefix of what was recorded, and never anything else."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tepui_trainer.spool import RunHeader, Spool

HEADER = RunHeader(experiment="s", trial="t", name="n", started_ms=1)
Point = tuple[str, float, int]
points = st.lists(st.tuples(st.text(min_size=1), st.floats(allow_nan=False), st.integers(0, 10**9)), max_size=8)


def events_of(spool: Spool) -> list[Point]:
    """Pending metrics as points."""
    found: list[Point] = []
    for event in spool.pending(limit=None):
        values = event.body["values"]
        assert isinstance(values, dict)
        found += [(key, float(value), int(str(event.body["step"]))) for key, value in values.items()]  # type: ignore[arg-type]
    return found


@given(points, st.data())
def test_torn_anywhere(recorded: list[Point], data: st.DataObject) -> None:
    """After a cut at any byte: a prefix survives, later events come whole, confirmed ones never come again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        spool = Spool.create(path, HEADER)
        header_size = path.stat().st_size
        for key, value, step in recorded:
            spool.append("metrics", step=step, values={key: value})
        confirmed = data.draw(st.integers(0, len(recorded)))
        if confirmed:
            spool.confirm(spool.pending(limit=confirmed)[-1].end)
        whole = path.read_bytes()
        spool.close()
        path.write_bytes(whole[: data.draw(st.integers(header_size, len(whole)))])
        adopted = Spool.adopt(path)
        assert adopted is not None
        adopted.append("metrics", step=7, values={"after": 0.5})
        *survived, last = events_of(adopted)
        assert last == ("after", 0.5, 7)
        prefixes = [recorded[start:end] for start in (0, confirmed) for end in range(start, len(recorded) + 1)]
        assert survived in prefixes
        adopted.confirm(adopted.pending(limit=None)[-1].end)
        adopted.close()
        assert not path.exists()
