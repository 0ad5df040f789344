"""The head's settings, from the sweep over the trainer's optimizer to rows and figure, on a small real study."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from digit_data import digits, write_digits
from report_builders import payload_of
from tepui_evaluator.store import Store
from tepui_spec.results import TrialRow
from tepui_trainer.rows import from_table
from tepui_trainer.storage import Storage

pytestmark = pytest.mark.e2e
DEADLINE_S = 300
DECAYS, SCALES = (0.0, 50.0), (0.1, 1.0)


def test_a_sweep_of_the_heads_settings(tmp_path: Path) -> None:
    """Each setting trains a model of its own, stands in its row, and has its panel in the report."""
    write_digits(tmp_path / "up", {"train": digits(0, 1000, 8), "validation": digits(1000, 1300, 8)}, 8)
    write_digits(tmp_path / "ten", {"train": digits(0, 400), "test": digits(1300, 1797)})
    args = {"patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}
    spec = {
        "upstream": {"data": {"uri": "up"}, "imageSize": 8},
        "models": [{"name": "vit-16", "timm": "vit_tiny_patch16_224", "args": args}],
        "sweep": {"grid": {"model": ["vit-16"], "headWeightDecay": list(DECAYS), "headLrScale": list(SCALES)}},
        "training": {"recipe": "vit-small", "precision": "fp32", "batchSize": 50, "epochs": 10},
        "evaluation": {"tasks": ["ten"], "dataRoot": ".", "shots": [5], "supportSeeds": 2},
        "tracking": {"enabled": False},
        "storage": {"uri": "results"},
        "parallelism": 2,
    }
    study = tmp_path / "heads.yaml"
    document = {"apiVersion": "tepui.dev/v1alpha1", "kind": "ExperimentSpec", "metadata": {"name": "heads"}}
    study.write_text(yaml.safe_dump({**document, "spec": spec}))
    command = [str(Path(sys.executable).with_name("tepui")), "run", str(study)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, env={**os.environ, "CI": "true"}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = from_table(Store(Storage(str(tmp_path / "results"))).table("trials"), TrialRow)
    assert {(row.head_weight_decay, row.head_lr_scale) for row in rows} == {(d, s) for d in DECAYS for s in SCALES}
    assert len({row.weight_decay for row in rows}) == 1
    loss = {(row.head_weight_decay, row.head_lr_scale): row.upstream_loss for row in rows}
    assert len(set(loss.values())) == 4
    assert loss[50.0, 1.0] > loss[0.0, 1.0]  # a head that is held near 0 cannot tell the classes apart
    charts = payload_of((tmp_path / "results/studies/heads/report.html").read_text())
    assert "heads" in charts["charts"]
    assert set(charts["datasets"]["heads"]["columns"]["factor"]["of"]) == {"headWeightDecay", "headLrScale"}
