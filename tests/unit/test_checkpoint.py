"""Checkpoints: written whole, chosen when intact, refused when damaged, pruned, loaded for evaluation."""

from pathlib import Path

import pytest
import torch

from tepui_spec import layout
from tepui_spec.experiment import CustomModel
from tepui_spec.results import CurveRow
from tepui_trainer.checkpoint import (
    load_model,
    newest_intact,
    prune,
    read_manifest,
    steps_with_manifest,
    withdraw,
    write_manifest,
    write_tensors,
)
from tepui_trainer.failures import CheckpointError
from tepui_trainer.manifest import MODEL_NAME, File, Manifest, ModelCard, RunState, step_dir, step_of
from tepui_trainer.model import build_model
from tepui_trainer.storage import Storage

TRIAL = "0123456789ab"
CARD = ModelCard(
    model=CustomModel(
        name="tiny",
        timm="vit_tiny_patch16_224",
        args={"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    ),
    num_classes=3,
    image_size=16,
    class_names=("a", "b", "c"),
)


def model(seed: int) -> torch.nn.Module:
    """A model with weights of its own."""
    torch.manual_seed(seed)
    return build_model(CARD.model, num_classes=CARD.num_classes, image_size=CARD.image_size)


def write(storage: Storage, step: int) -> Manifest:
    """A checkpoint whose weights depend on the step."""
    file = write_tensors(storage, f"{step_dir(TRIAL, step)}/{MODEL_NAME}", model(step).state_dict())
    manifest = Manifest(
        trial=TRIAL,
        step=step,
        total_steps=100,
        final=False,
        card=CARD,
        data_content_hash="sha256:" + "0" * 64,
        world_size=1,
        zero_stage=0,
        files={MODEL_NAME: file},
        state=RunState(
            step=step,
            curve=(CurveRow(trial=TRIAL, step=step, examples_seen=8 * step, metric="lr", value=0.1 + 0.2),),
            loss_sums=(1 / 3,),
            loss_steps=2,
            corrupt_samples=(4, 7),
        ),
    )
    write_manifest(storage, manifest)
    return manifest


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A store with the checkpoints of steps 10, 20 and 30."""
    storage = Storage(str(tmp_path))
    for step in (10, 20, 30):
        write(storage, step)
    return storage


def file_of(storage: Storage, step: int, name: str) -> Path:
    """Where a checkpoint's file lies."""
    path = storage.local_path(f"{step_dir(TRIAL, step)}/{name}")
    assert path is not None
    return path


def test_manifest_round_trip_is_exact(storage: Storage) -> None:
    """What lies between two steps comes back to the last bit of every float."""
    assert read_manifest(storage, TRIAL, 30) == write(storage, 30)


def test_newest_intact_is_chosen(storage: Storage) -> None:
    """Steps are ordered as numbers, newest first."""
    write(storage, 100_000_000)
    assert steps_with_manifest(storage, TRIAL) == [100_000_000, 30, 20, 10]
    manifest = newest_intact(storage, TRIAL)
    assert manifest is not None
    assert manifest.step == 100_000_000


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    """A trial that has none starts at step 0; files without a manifest are none."""
    storage = Storage(str(tmp_path))
    assert newest_intact(storage, TRIAL) is None
    write_tensors(storage, f"{step_dir(TRIAL, 10)}/{MODEL_NAME}", model(0).state_dict())
    assert newest_intact(storage, TRIAL) is None


@pytest.mark.parametrize("position", [0, 7, 8, 400, -1])
def test_any_flipped_bit_is_found(position: int, storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """One flipped bit anywhere in a file of the newest checkpoint sends a resume to the one before, with a warning."""
    path = file_of(storage, 30, MODEL_NAME)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    manifest = newest_intact(storage, TRIAL)
    assert manifest is not None
    assert manifest.step == 20
    assert "step 30" in caplog.text
    assert "SHA-256" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": 2}'])
def test_damaged_manifests_are_passed_over(content: bytes, storage: Storage) -> None:
    """A manifest that does not parse is a damaged checkpoint."""
    file_of(storage, 30, "manifest.json").write_bytes(content)
    manifest = newest_intact(storage, TRIAL)
    assert manifest is not None
    assert manifest.step == 20


def test_manifest_of_another_step_is_refused(storage: Storage) -> None:
    """A manifest counts only where it belongs."""
    file_of(storage, 30, "manifest.json").write_bytes(file_of(storage, 20, "manifest.json").read_bytes())
    with pytest.raises(CheckpointError, match="step 20"):
        read_manifest(storage, TRIAL, 30)


def test_none_intact_is_an_error(storage: Storage) -> None:
    """Checkpoints without an intact one never mean step 0."""
    for step in (10, 20, 30):
        file_of(storage, step, MODEL_NAME).unlink()
    with pytest.raises(CheckpointError, match="3 checkpoints and none is intact"):
        newest_intact(storage, TRIAL)


def test_prune_keeps_what_it_is_told(storage: Storage) -> None:
    """Old checkpoints go, and so does debris of one that was never finished."""
    write_tensors(storage, f"{step_dir(TRIAL, 15)}/{MODEL_NAME}", model(0).state_dict())
    prune(storage, TRIAL, [20, 30])
    left = {step_of(path) for path in storage.list(layout.checkpoints_dir(TRIAL))}
    assert left == {20, 30}
    assert newest_intact(storage, TRIAL) is not None


def test_prune_takes_what_a_killed_first_write_left(storage: Storage) -> None:
    """A checkpoint whose only file was never finished goes too, though nothing in it counts as data."""
    folder = file_of(storage, 15, MODEL_NAME).parent
    folder.mkdir()
    (folder / ".model.safetensors.tmp").write_bytes(b"half")
    prune(storage, TRIAL, [30])
    assert [entry.name for entry in folder.parent.iterdir()] == [file_of(storage, 30, MODEL_NAME).parent.name]


def test_withdrawn_checkpoint_is_none(storage: Storage) -> None:
    """Before files are replaced their manifest goes."""
    withdraw(storage, TRIAL, 30)
    withdraw(storage, TRIAL, 30)
    assert steps_with_manifest(storage, TRIAL) == [20, 10]


def test_load_model(storage: Storage) -> None:
    """The evaluator gets the newest weights, or those of a step, in eval mode."""
    for step, asked in ((30, None), (10, 10)):
        loaded = load_model(storage, TRIAL, asked)
        assert not loaded.training
        for name, tensor in model(step).state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor), name


def test_load_model_refuses(storage: Storage) -> None:
    """A missing trial or step, or weights that are not the model's, is a CheckpointError."""
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        load_model(storage, "ffffffffffff")
    with pytest.raises(CheckpointError, match="step-00000011"):
        load_model(storage, TRIAL, 11)
    path = f"{step_dir(TRIAL, 30)}/{MODEL_NAME}"
    other = write_tensors(storage, path, {"weight": torch.zeros(2)})
    write_manifest(storage, write_like(storage, other))
    with pytest.raises(CheckpointError, match="does not fit its model"):
        load_model(storage, TRIAL, 30)


def write_like(storage: Storage, file: File) -> Manifest:
    """The manifest of step 30 with another model file."""
    return read_manifest(storage, TRIAL, 30).model_copy(update={"files": {MODEL_NAME: file}})


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    """Tied weights and views of one buffer, which safetensors alone refuses, keep their values."""
    from tepui_trainer.checkpoint import tensors_of

    storage = Storage(str(tmp_path))
    flat = torch.arange(6.0)
    write_tensors(storage, "x.safetensors", {"a": flat, "b": flat[2:], "c": flat.view(2, 3).T})
    found = tensors_of(storage.read("x.safetensors"), "x")
    assert torch.equal(found["b"], flat[2:])
    assert torch.equal(found["c"], flat.view(2, 3).T)


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("trials/x/checkpoints/step-00000120/manifest.json", 120),
        ("trials/x/checkpoints/step-123456789/model.safetensors", 123456789),
        ("trials/x/checkpoints/step-/manifest.json", None),
        ("trials/x/checkpoints/other/manifest.json", None),
        ("manifest.json", None),
    ],
)
def test_step_of_a_path(path: str, step: int | None) -> None:
    """Only a checkpoint's own files have a step."""
    assert step_of(path) == step
