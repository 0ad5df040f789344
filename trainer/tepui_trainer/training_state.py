"""A training engine to and from a checkpoint: the leader writes the model, each rank its part of the optimizer."""

from collections.abc import Iterator

import torch

from tepui_trainer.checkpoint import read_verified, tensors_of, withdraw, write_manifest, write_tensors
from tepui_trainer.engine import Engine
from tepui_trainer.failures import CheckpointError, Diverged
from tepui_trainer.manifest import MODEL_NAME, File, Manifest, step_dir
from tepui_trainer.optimizer_state import (
    fragments,
    is_holder,
    put_weight,
    refresh_weights,
    set_step,
    whole_weight,
)
from tepui_trainer.storage import Storage


def save(storage: Storage, engine: Engine, manifest: Manifest) -> None:
    """Write a checkpoint; `manifest` comes without files. All ranks call this, and return when it stands.

    Raises:
        Diverged: if a weight is not finite; nothing is written.
        PeerLost, TransientError.
    """
    gang = engine.gang
    weights = _weights(engine)
    if gang.largest([0.0 if all(tensor.isfinite().all() for tensor in weights.values()) else 1.0])[0]:
        raise Diverged(f"a weight is NaN or infinite after step {manifest.step}")
    folder = step_dir(manifest.trial, manifest.step)
    if gang.is_leader:
        withdraw(storage, manifest.trial, manifest.step)
    gang.wait()
    mine = b""
    if not manifest.final and is_holder(engine):
        tensors = {
            f"{key}:{part.start}:{part.name}": tensor
            for part in fragments(engine)
            for key, tensor in part.state.items()
        }
        written = write_tensors(storage, f"{folder}/{_part_name(gang.rank, gang.world_size)}", tensors)
        mine = written.model_dump_json().encode()
    parts = {
        _part_name(rank, gang.world_size): File.model_validate_json(part)
        for rank, part in enumerate(gang.gathered_bytes(mine))
        if part
    }
    if gang.is_leader:
        model = write_tensors(storage, f"{folder}/{MODEL_NAME}", weights)
        write_manifest(storage, manifest.model_copy(update={"files": {MODEL_NAME: model} | parts}))
    gang.wait()


def restore(storage: Storage, engine: Engine, manifest: Manifest) -> None:
    """Put weights and, unless the checkpoint is a finished model, optimizer state back into a fresh engine.

    The checkpoint may be another world size's or ZeRO stage's. Raises CheckpointError, TransientError.
    """
    _restore_weights(engine, tensors_of(read_verified(storage, manifest, MODEL_NAME), MODEL_NAME))
    if manifest.final:
        return
    wanted = {part.name: part for part in fragments(engine)}
    missing = {(name, key): tensor.numel() for name, part in wanted.items() for key, tensor in part.state.items()}
    for file_name in sorted(set(manifest.files) - {MODEL_NAME}):
        saved = tensors_of(read_verified(storage, manifest, file_name), file_name)
        for label, source in saved.items():
            key, start, name = label.split(":", 2)
            if (name, key) in missing:
                part = wanted[name]
                missing[name, key] -= _copy_overlap(part.state[key], part.start, source, int(start))
    lacking = sorted({name for (name, _), elements in missing.items() if elements})
    if lacking:
        raise CheckpointError(f"checkpoint of step {manifest.step} lacks optimizer state of {', '.join(lacking[:3])}")
    set_step(engine, manifest.step)


def _weights(engine: Engine) -> dict[str, torch.Tensor]:
    """All weights and buffers, whole; of ZeRO-3's partitioned ones only the leader keeps copies."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in engine.module.named_parameters():
        whole = whole_weight(engine, parameter)
        if engine.config.zero_stage < 3 or engine.gang.is_leader:
            tensors[name] = whole
    return tensors | dict(_buffers(engine))


def _restore_weights(engine: Engine, saved: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in engine.module.named_parameters():
            put_weight(engine, parameter, saved[name])
        for name, buffer in _buffers(engine):
            buffer.copy_(saved[name])
    refresh_weights(engine)


def _buffers(engine: Engine) -> Iterator[tuple[str, torch.Tensor]]:
    persistent = engine.module.state_dict().keys()
    return ((name, buffer) for name, buffer in engine.module.named_buffers() if name in persistent)


def _copy_overlap(target: torch.Tensor, target_start: int, source: torch.Tensor, source_start: int) -> int:
    """Copy what two runs of one flattened parameter share; returns the number of elements."""
    first = max(target_start, source_start)
    last = min(target_start + target.numel(), source_start + source.numel())
    if first >= last:
        return 0
    target[first - target_start : last - target_start].copy_(source[first - source_start : last - source_start])
    return last - first


def _part_name(rank: int, world_size: int) -> str:
    return f"optimizer-{rank:05d}-of-{world_size:05d}.safetensors"
