"""What `tepui fit` says to every kind of bad table, word for word.

After a wanted change: `TEPUI_UPDATE_GOLDEN=1 pytest tests/golden/test_fit_messages.py`, then read the diff.
"""

import argparse
import os
from pathlib import Path

import pytest

from tepui_evaluator.fit_command import register

GOLDEN = Path(__file__).with_name("fit_messages.txt")
COUNTED = "err_up,err_down,n,v,r\n0.2,0.3,500,1e-4,3\n0.4,0.35,500,1e-4,3\n0.6,0.5,500,1e-4,3\n0.8,0.7,500,1e-4,3\n"
GOOD = "model,err_up,err_down,se\na,0.2,0.3,0.01\nb,0.4,0.35,0.01\nc,0.6,0.5,0.01\nd,0.8,0.7,0.01\n"
DEFAULT = ("--x", "err_up", "--y", "err_down")

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "missing column, nearest named": (GOOD, ("--x", "error_up", "--y", "err_down")),
    "missing column, nothing near": (GOOD, ("--x", "qqq", "--y", "err_down")),
    "missing group column": (GOOD, (*DEFAULT, "--group", "modle")),
    "one column twice": (GOOD, ("--x", "err_up", "--y", "err_up")),
    "error above 1": (GOOD.replace("0.7,", "1.7,"), DEFAULT),
    "negative error": (GOOD.replace("0.7,", "-0.7,"), DEFAULT),
    "percent": (GOOD.replace("0.", "70."), DEFAULT),
    "percent over 100": (GOOD.replace("0.7,", "700,"), (*DEFAULT, "--percent")),
    "accuracies by name": (GOOD.replace("err_", "acc_"), ("--x", "acc_up", "--y", "acc_down")),
    "errors by name": (GOOD, (*DEFAULT, "--accuracy")),
    "NaN": (GOOD.replace("0.7,", "nan,"), DEFAULT),
    "empty cell": (GOOD.replace("0.7,", ","), DEFAULT),
    "infinite": (GOOD.replace("0.7,", "inf,"), DEFAULT),
    "1e308": (GOOD.replace("0.7,", "1e308,"), DEFAULT),
    "text": (GOOD.replace("0.7,", "good,"), DEFAULT),
    "standard error negative": (GOOD.replace("0.7,0.01", "0.7,-0.01"), (*DEFAULT, "--y-se", "se")),
    "standard error huge": (GOOD.replace("0.7,0.01", "0.7,0.9"), (*DEFAULT, "--y-se", "se")),
    "test count of 0": (COUNTED.replace("0.7,500", "0.7,0"), (*DEFAULT, "--y-n", "n")),
    "test count and standard error": (COUNTED, (*DEFAULT, "--y-n", "n", "--y-se", "v")),
    "seed variance without test count": (COUNTED, (*DEFAULT, "--y-seed-var", "v", "--y-seeds", "r")),
    "seed variance without seeds": (COUNTED, (*DEFAULT, "--y-n", "n", "--y-seed-var", "v")),
    "seed variance negative": (
        COUNTED.replace("0.7,500,1e-4", "0.7,500,-1e-4"),
        (*DEFAULT, "--y-n", "n", "--y-seed-var", "v", "--y-seeds", "r"),
    ),
    "missing count column": (COUNTED, (*DEFAULT, "--x-n", "nn")),
    "confidence in percent": (GOOD, (*DEFAULT, "--confidence", "95")),
    "one standard error for two columns": (GOOD, ("--x", "err_up", "--y", "err_down", "se", "--y-se", "se")),
    "target outside": (GOOD, (*DEFAULT, "--target", "15")),
    "prediction outside": (GOOD, (*DEFAULT, "--at", "1.5")),
    "ragged row": (GOOD + "e,0.5\n", DEFAULT),
    "two columns of one name": (GOOD.replace("se\n", "err_up\n", 1), DEFAULT),
    "header only": ("model,err_up,err_down\n", DEFAULT),
    "empty file": ("", DEFAULT),
}
FLAGGED: dict[str, tuple[str, tuple[str, ...]]] = {
    "fewer than 4 points": (GOOD.replace("d,0.8,0.7,0.01\n", ""), DEFAULT),
    "constant upstream": (GOOD.replace("0.2,", "0.4,").replace("0.6,", "0.4,").replace("0.8,", "0.4,"), DEFAULT),
    "constant downstream": ("err_up,err_down\n0.1,0.3\n0.2,0.3\n0.3,0.3\n0.4,0.3\n", DEFAULT),
    "one axis is an accuracy": ("err_up,err_down\n0.1,0.9\n0.2,0.8\n0.3,0.75\n0.4,0.5\n0.5,0.4\n", DEFAULT),
    "both axes are accuracies": (
        "u,d\n" + "".join(f"{1 - x / 20:.2f},{0.9 - 0.6 * (x / 20) ** 3:.4f}\n" for x in range(2, 20)),
        ("--x", "u", "--y", "d"),
    ),
    "groups of related models too few": (
        "err_up,err_down,g\n" + "".join(f"{x / 20},{0.1 + 0.4 * (x / 20) ** 2},{x % 2}\n" for x in range(2, 18)),
        (*DEFAULT, "--group", "g"),
    ),
    "groups of one": (
        "err_up,err_down,g\n" + "".join(f"{x / 20},{0.1 + 0.4 * (x / 20) ** 2},{x}\n" for x in range(2, 18)),
        (*DEFAULT, "--group", "g"),
    ),
    "error 0 upstream": ("err_up,err_down\n0,0.1\n0.2,0.12\n0.4,0.2\n0.6,0.3\n0.8,0.5\n0.9,0.61\n", DEFAULT),
}


def _outcome(text: str, arguments: tuple[str, ...], path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path.write_text(text)
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["fit", str(path), *arguments])
    try:
        args.run(args)
    except ValueError as error:
        return f"tepui: {error}"
    return capsys.readouterr().out.split("\n\n")[0]


def test_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every bad table gives its message or its flagged laws, exactly as recorded."""
    parts = []
    for name, (text, arguments) in {**CASES, **FLAGGED}.items():
        outcome = _outcome(text, arguments, tmp_path / "points.csv", capsys)
        assert outcome.startswith("tepui: ") == (name in CASES), f"{name}: {outcome}"
        parts.append(f"## {name}\n{outcome}\n")
    found = "\n".join(parts)
    if os.environ.get("TEPUI_UPDATE_GOLDEN"):
        GOLDEN.write_text(found)
    assert found == GOLDEN.read_text()


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    """A file that is not there, a folder, and a Parquet file that is none are named."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    (tmp_path / "not.parquet").write_text("x,y\n")
    for name in ("gone.csv", "not.parquet", "."):
        args = parser.parse_args(["fit", str(tmp_path / name), *DEFAULT])
        with pytest.raises(ValueError, match="cannot read table"):
            args.run(args)
