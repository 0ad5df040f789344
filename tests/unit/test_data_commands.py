"""`tepui data`: what it prints, what it refuses, and that its help costs nothing."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_builders import parquet_dataset
from tepui_trainer.commands import register
from tepui_trainer.failures import DataError

HEAVY = ("torch", "numpy", "pyarrow", "PIL", "fsspec")


def run(*arguments: str) -> int:
    """The command as `tepui` would call it."""
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(arguments)
    return int(args.run(args))


def test_show_prints_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Classes, counts, licence and hash stand in the text; `--json` prints the card itself."""
    card = parquet_dataset(tmp_path, 100)
    assert run("data", "show", str(tmp_path), "--verify") == 0
    text = capsys.readouterr().out
    for part in ("3 classes: class0 class1 class2", "train: 100 images, 33 to 34 a class", "CC0-1.0: tests"):
        assert part in text
    assert card.content_hash in text
    assert run("data", "show", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(card.model_dump_json())


def test_verify_finds_a_changed_shard(tmp_path: Path) -> None:
    """A byte that changed without changing the size is found by its SHA-256."""
    parquet_dataset(tmp_path, 10)
    shard = tmp_path / "train-00000-of-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train-00000-of-00001\.parquet: not the shard that the card describes"):
        run("data", "show", str(tmp_path), "--verify")


def test_show_without_a_card(tmp_path: Path) -> None:
    """A folder that is not there, and one without a card, each in words."""
    with pytest.raises(DataError, match="there is no such dataset"):
        run("data", "show", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"there is no card\.json"):
        run("data", "show", str(tmp_path))


def test_registering_imports_nothing_heavy() -> None:
    """`tepui --help` does not wait for torch, NumPy or pyarrow."""
    code = (
        "import argparse, sys; from tepui_trainer.commands import register; "
        "register(argparse.ArgumentParser().add_subparsers()); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
