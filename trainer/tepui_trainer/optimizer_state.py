"""The optimizer's state as fragments of named parameters, whatever ZeRO stage holds them.

A rank holds, of each parameter, some run of its flattened elements: all of them at stage 0, a part of a flat buffer
at stages 1 and 2, an equal share at stage 3. Saved by name and start, state can be put back by any number of ranks
at any stage. Weights need no master copies here: training weights are fp32 (`engine.EngineConfig.deepspeed`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tepui_trainer.engine import Engine

STATE_KEYS = {"AdamW": ("exp_avg", "exp_avg_sq"), "SGD": ("momentum_buffer",)}
STEP = "step"


@dataclass(frozen=True)
class Fragment:
    """Elements [start, start + n) of a flattened parameter: live, flat (n,) views of the optimizer's state by key."""

    name: str
    start: int
    state: Mapping[str, torch.Tensor]


def fragments(engine: Engine) -> Iterator[Fragment]:
    """What this rank holds, in the model's order; makes the state (zeros) where no step was taken yet."""
    optimizer = _base(engine)
    keys = STATE_KEYS[type(optimizer).__name__]
    _materialise(engine, keys)
    for name, parameter in engine.module.named_parameters():
        if not parameter.requires_grad:
            continue
        start, state = _of_parameter(engine, optimizer, parameter, keys)
        if state:
            yield Fragment(name, start, state)


def is_holder(engine: Engine) -> bool:
    """Whether this rank's fragments must be saved: at stage 0 all ranks hold the same, so the leader's do."""
    return engine.config.zero_stage > 0 or engine.gang.is_leader


def set_step(engine: Engine, step: int) -> None:
    """AdamW's own count of steps, for its bias correction."""
    for state in _base(engine).state.values():
        if STEP in state:
            state[STEP].fill_(float(step))


def whole_weight(engine: Engine, parameter: torch.Tensor) -> torch.Tensor:
    """A parameter in fp32; with ZeRO-3 it is gathered, and all ranks must call this.

    Not by DeepSpeed's GatheredParameters: under autocast that gathers bf16.
    """
    if engine.config.zero_stage < 3:
        return parameter.detach()
    gathered: torch.Tensor = engine.deepspeed.optimizer.get_full_hp_param(parameter)
    return gathered.cpu()


def put_weight(engine: Engine, parameter: torch.Tensor, value: torch.Tensor) -> None:
    """Set a parameter, or this rank's share of it; `refresh_weights` must follow."""
    if engine.config.zero_stage < 3:
        parameter.copy_(value)
        return
    share = engine.deepspeed.optimizer.get_local_fp32_param(parameter)
    start = share.numel() * engine.gang.rank
    part = value.flatten()[start : start + share.numel()]
    share[: part.numel()].copy_(part)


def refresh_weights(engine: Engine) -> None:
    """Make ZeRO's several copies of the weights agree with what `put_weight` has set."""
    zero: Any = engine.deepspeed.optimizer
    if engine.config.zero_stage in (1, 2):
        zero.refresh_fp32_params()
    elif engine.config.zero_stage == 3:
        pairs = zip(zero.fp16_partitioned_groups_flat, zero.fp32_partitioned_groups_flat, strict=True)
        for working, master in pairs:
            working.data.copy_(master.data)
        if kept_whole := zero.persistent_parameters:
            kept_whole[0].partition(kept_whole)
            kept_whole[0].all_gather(kept_whole)


def _base(engine: Engine) -> torch.optim.Optimizer:
    optimizer: torch.optim.Optimizer = engine.deepspeed.basic_optimizer
    return optimizer


def _of_parameter(
    engine: Engine, optimizer: torch.optim.Optimizer, parameter: torch.Tensor, keys: tuple[str, ...]
) -> tuple[int, dict[str, torch.Tensor]]:
    zero: Any = engine.deepspeed.optimizer
    if engine.config.zero_stage == 0:
        return 0, {key: optimizer.state[parameter][key].view(-1) for key in keys}
    if engine.config.zero_stage < 3:
        mapping: Any = parameter._hp_mapping  # type: ignore[attr-defined]
        if mapping is None:
            return 0, {}
        # DeepSpeed's own views of the state miss all groups but the first one that was stepped
        state = optimizer.state[zero.single_partition_of_fp32_groups[mapping.param_group_index]]
        flat = mapping.hp_fragment_address
        return mapping.lp_fragment_address.start, {key: state[key].narrow(0, flat.start, flat.numel) for key in keys}
    # an equal share each, the last one padded
    share = zero.get_local_fp32_param(parameter).numel()
    start = share * engine.gang.rank
    held = min(share, parameter.ds_numel - start)  # type: ignore[attr-defined]
    if held <= 0:
        return 0, {}
    return start, {key: zero.get_local_fp32_param(parameter, key)[:held] for key in keys}


def _materialise(engine: Engine, keys: tuple[str, ...]) -> None:
    """torch optimizers make their state at the first step; a checkpoint must be put back before that."""
    optimizer, zero = _base(engine), engine.deepspeed.optimizer
    stage = engine.config.zero_stage
    if stage == 0:
        owned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    elif stage < 3:
        owned = list(zero.single_partition_of_fp32_groups)
    else:
        owned = list(zero.fp32_partitioned_groups_flat)
    for tensor in owned:
        state = optimizer.state[tensor]
        for key in keys:
            if key not in state:
                state[key] = torch.zeros_like(tensor)
        if isinstance(optimizer, torch.optim.AdamW) and STEP not in state:
            state[STEP] = torch.zeros((), dtype=torch.float32, device=tensor.device)
