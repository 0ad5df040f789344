"""Checkpoints: safetensors and a manifest, never a pickle. Written whole, verified before use, pruned last."""

import logging
from collections.abc import Iterable

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import nn

from tepui_spec import layout
from tepui_trainer.failures import CheckpointError
from tepui_trainer.manifest import MANIFEST_NAME, MODEL_NAME, File, Manifest, step_dir, step_of
from tepui_trainer.model import build_model
from tepui_trainer.storage import Storage

log = logging.getLogger(__name__)

KEEP = 2
"""Checkpoints kept while a trial trains: the newest, and one to fall back to."""


def steps_with_manifest(storage: Storage, trial: str) -> list[int]:
    """Steps whose checkpoint was finished, newest first. Raises what `Storage.list` raises."""
    paths = storage.list(layout.checkpoints_dir(trial))
    found = {step_of(path) for path in paths if path.rsplit("/", 1)[-1] == MANIFEST_NAME}
    return sorted((step for step in found if step is not None), reverse=True)


def read_manifest(storage: Storage, trial: str, step: int) -> Manifest:
    """Raises CheckpointError if the manifest is missing or damaged, and TransientError."""
    path = f"{step_dir(trial, step)}/{MANIFEST_NAME}"
    try:
        manifest = Manifest.model_validate_json(storage.read(path))
    except (FileNotFoundError, ValidationError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{storage.uri(path)} is missing or damaged: {_first_line(error)}") from error
    if (manifest.trial, manifest.step) != (trial, step):
        raise CheckpointError(f"{storage.uri(path)} is of trial {manifest.trial}, step {manifest.step}")
    return manifest


def read_verified(storage: Storage, manifest: Manifest, name: str) -> bytes:
    """A file of the checkpoint. Raises CheckpointError if size or SHA-256 is not the manifest's, and TransientError."""
    path = f"{step_dir(manifest.trial, manifest.step)}/{name}"
    expected = manifest.files.get(name)
    if expected is None:
        raise CheckpointError(f"{storage.uri(path)} is not in its checkpoint's manifest")
    try:
        content = storage.read(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{storage.uri(path)} is missing") from error
    if len(content) != expected.size_bytes:
        raise CheckpointError(f"{storage.uri(path)} has {len(content)} bytes instead of {expected.size_bytes}")
    if File.of(content) != expected:
        raise CheckpointError(f"{storage.uri(path)} is damaged: its SHA-256 is not the manifest's")
    return content


def newest_intact(storage: Storage, trial: str) -> Manifest | None:
    """The newest checkpoint whose files are all intact; None where there is no checkpoint at all.

    Each one passed over is warned about. Raises:
        CheckpointError: if there are checkpoints and none is intact.
        TransientError: if the store does not answer.
    """
    reasons = []
    for step in steps_with_manifest(storage, trial):
        try:
            manifest = read_manifest(storage, trial, step)
            for name in manifest.files:
                read_verified(storage, manifest, name)
        except CheckpointError as error:
            log.warning("passing over the checkpoint of step %d: %s", step, error)
            reasons.append(str(error))
        else:
            return manifest
    if reasons:
        raise CheckpointError(
            f"trial {trial} has {len(reasons)} checkpoints and none is intact: {'; '.join(reasons[:3])}. "
            f"Remove {storage.uri(layout.checkpoints_dir(trial))} to train it anew"
        )
    return None


def write_tensors(storage: Storage, path: str, tensors: dict[str, torch.Tensor]) -> File:
    """Write tensors as one safetensors file. Raises what `Storage.write` raises."""
    content = safetensors.torch.save({name: _detached(tensor) for name, tensor in tensors.items()})
    storage.write(path, content)
    return File.of(content)


def tensors_of(content: bytes, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a verified safetensors file, on the CPU. Raises CheckpointError if it is none."""
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{source} is no safetensors file: {error}") from error


def write_manifest(storage: Storage, manifest: Manifest) -> None:
    """Make the files that were written a checkpoint. Raises what `Storage.write` raises."""
    path = f"{step_dir(manifest.trial, manifest.step)}/{MANIFEST_NAME}"
    storage.write(path, manifest.model_dump_json().encode())


def withdraw(storage: Storage, trial: str, step: int) -> None:
    """Take the manifest away before a checkpoint's files are replaced or removed."""
    path = f"{step_dir(trial, step)}/{MANIFEST_NAME}"
    if storage.exists(path):
        storage.remove(path)


def prune(storage: Storage, trial: str, keep: Iterable[int]) -> None:
    """Remove all checkpoints, finished or not, but those of the steps in `keep`."""
    folder = layout.checkpoints_dir(trial)
    paths = storage.list(folder)
    local = storage.local_path(folder)
    if local is not None and local.is_dir():  # a killed first write leaves a folder in which nothing is listed
        paths += [f"{folder}/{entry.name}/{MANIFEST_NAME}" for entry in local.iterdir()]
    for step in sorted({step for path in paths if (step := step_of(path)) is not None} - set(keep)):
        withdraw(storage, trial, step)
        storage.remove(step_dir(trial, step))


def load_model(storage: Storage, trial: str, step: int | None = None) -> nn.Module:
    """A trial's model in eval mode on the CPU: of the newest intact checkpoint, or of the one after `step` steps.

    Raises:
        CheckpointError: if there is none, or the one that is asked for is missing or damaged.
        TransientError: if the store does not answer.
    """
    manifest = newest_intact(storage, trial) if step is None else read_manifest(storage, trial, step)
    if manifest is None:
        raise CheckpointError(f"trial {trial} has no checkpoint in {storage.uri()}")
    return model_of(storage, manifest)


def model_of(storage: Storage, manifest: Manifest) -> nn.Module:
    """The model of a checkpoint, in eval mode. Raises as `load_model`."""
    card = manifest.card
    weights = tensors_of(read_verified(storage, manifest, MODEL_NAME), MODEL_NAME)
    model = build_model(card.model, num_classes=card.num_classes, image_size=card.image_size)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"checkpoint of step {manifest.step} of trial {manifest.trial} does not fit its model: {error}"
        ) from error
    return model.eval()


def _detached(tensor: torch.Tensor) -> torch.Tensor:
    # safetensors refuses tensors that share memory, and ZeRO's parameters are views of one buffer
    return tensor.detach().cpu().contiguous().clone()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
