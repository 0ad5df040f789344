"""What holds for `tepui fit` on any table, however broken."""

import argparse
import contextlib
import io
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_evaluator.fit_command import register
from tepui_spec.law import LawTable

NAMES = ("up", "down", "se", "n", "var", "seeds", "g")
ODD = (
    "",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e308",
    "-1",
    "-0.0",
    "0",
    "1",
    "1.0000001",
    "37.5",
    "100",
    "x",
    "٣",
    "1_0",
    " 0.5 ",
)
OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--y-se", "se"),
    ("--x-se", "se"),
    ("--x-n", "n"),
    ("--y-n", "n"),
    ("--y-n", "n", "--y-seed-var", "var", "--y-seeds", "seeds"),
    ("--group", "g"),
    ("--by", "g"),
    ("--percent",),
    ("--accuracy",),
    ("--at", "0.05"),
    ("--target", "0.2"),
    ("--compare",),
    ("--sampled",),
    ("--confidence", "0.5"),
)


def _row(i: int, count: int) -> list[str]:
    x = 0.1 + 0.8 * i / count
    return [f"{x:.4f}", f"{0.1 + 0.5 * x**2 + 0.02 * (i % 3):.4f}", "0.01", "1000", "1e-4", "3", f"g{i % 4}"]


@st.composite
def tables(draw: st.DrawFn) -> str:
    """A table of a law's points with some cells, rows or names made odd."""
    count = draw(st.integers(0, 14))
    rows = [_row(i, count) for i in range(count)]
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 6]))):
        if rows:
            rows[draw(st.integers(0, count - 1))][draw(st.integers(0, len(NAMES) - 1))] = draw(st.sampled_from(ODD))
    if rows and draw(st.integers(0, 5)) == 0:
        column, cell = draw(st.integers(0, 2)), draw(st.sampled_from(ODD))
        for row in rows:
            row[column] = cell
    names = list(NAMES)
    if draw(st.integers(0, 9)) == 0:
        names[draw(st.integers(0, len(NAMES) - 1))] = draw(st.sampled_from(["", "up", "acc", "error"]))
    return "\n".join([",".join(names), *(",".join(row) for row in rows)]) + "\n"


def _fit(table: str, options: list[tuple[str, ...]]) -> str:
    """What the command prints, or its message."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    printed = io.StringIO()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "points.csv"
        path.write_text(table, encoding="utf-8")
        flat = [word for option in options for word in option]
        args = parser.parse_args(["fit", str(path), "--x", "up", "--y", "down", "--json", *flat])
        try:
            with contextlib.redirect_stdout(printed):
                args.run(args)
        except ValueError as error:
            return f"message: {error}"
    return printed.getvalue()


@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(st.sampled_from(OPTIONS), max_size=4, unique=True))
def test_a_message_or_laws_that_read_back(table: str, options: list[tuple[str, ...]]) -> None:
    """Every table ends in one sentence that names table, column or option, or in valid laws, each with its reason."""
    outcome = _fit(table, options)
    if outcome.startswith("message: "):
        assert "\n" not in outcome
        assert any(word in outcome for word in ("column", "table points.csv", "--")), outcome
        return
    for law in LawTable.model_validate_json(outcome).laws:
        assert law.reason
        if law.e_ir is None:
            assert (law.identified, law.k, law.alpha, law.interval.e_ir) == ("no", None, None, None)
        elif law.identified != "no":
            assert law.interval.e_ir is not None
