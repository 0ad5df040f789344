"""DeepSpeed's engine from a typed configuration: one optimizer step at a time.

B images of this process in a step, b images of a micro-batch, C classes
"""

import logging
import math
import os
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.distributed as torch_distributed
from torch import nn

from tepui_spec.recipes import Recipe
from tepui_spec.trial import Placement
from tepui_trainer.gang import Gang, lost_peers
from tepui_trainer.losses import losses
from tepui_trainer.optimizer import build_optimizer, set_learning_rate

log = logging.getLogger(__name__)

NEVER = 10**12
"""Steps between DeepSpeed's own reports."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """What DeepSpeed is told, checked against each other."""

    batch_size: int
    micro_batch_size: int
    world_size: int
    zero_stage: Literal[0, 1, 2, 3]
    precision: Literal["fp32", "bf16"]
    clip_norm: float

    @classmethod
    def of(cls, recipe: Recipe, placement: Placement, precision: Literal["fp32", "bf16"]) -> "EngineConfig":
        """From recipe and placement. Raises ValueError naming the field where sizes do not divide."""
        world_size = placement.nodes * (placement.gpus_per_node or placement.processes_per_node)
        if recipe.batch_size % world_size:
            raise ValueError(
                f"batchSize is {recipe.batch_size}; it must be a multiple of the {world_size} processes "
                f"that pods.nodes and pods.{'gpusPerNode' if placement.gpus_per_node else 'processesPerNode'} give"
            )
        local = recipe.batch_size // world_size
        micro = placement.micro_batch_size or local
        if local % micro:
            allowed = [size for size in range(1, local + 1) if local % size == 0]
            shown = allowed if len(allowed) <= 12 else [*allowed[:6], "...", *allowed[-5:]]
            raise ValueError(
                f"training.microBatchSize is {micro}; it must divide the {local} images that each of {world_size} "
                f"processes takes of a batch of {recipe.batch_size}: {', '.join(map(str, shown))}"
            )
        return cls(
            batch_size=recipe.batch_size,
            micro_batch_size=micro,
            world_size=world_size,
            zero_stage=placement.zero_stage,
            precision=precision,
            clip_norm=recipe.clip_norm,
        )

    @property
    def micro_batches(self) -> int:
        """Backward passes of each process in one optimizer step."""
        return self.batch_size // self.world_size // self.micro_batch_size

    def deepspeed(self) -> dict[str, Any]:
        """The configuration in DeepSpeed's own words.

        bf16 is autocast over fp32 weights, as in big_vision: gradients of a batch add up in fp32 and weights need no
        second copy to be exact.
        """
        return {
            "train_batch_size": self.batch_size,
            "train_micro_batch_size_per_gpu": self.micro_batch_size,
            "gradient_accumulation_steps": self.micro_batches,
            # at stage 0 we clip: DeepSpeed does it one parameter at a time, with a collective, and forgets the norm
            "gradient_clipping": 0.0 if self.zero_stage == 0 else self.clip_norm,
            "zero_optimization": {"stage": self.zero_stage},
            # momentum SGD is elementwise, so it may work on ZeRO's flat partitions; DeepSpeed has not tested it
            "zero_allow_untested_optimizer": True,
            "torch_autocast": {"enabled": self.precision == "bf16", "dtype": "bfloat16"},
            "steps_per_print": NEVER,
            "wall_clock_breakdown": False,
            "timers": {"throughput": {"enabled": False}},
        }


class Engine:
    """A model in training. Losses that it returns stay on the device until someone asks for them."""

    def __init__(self, model: nn.Module, recipe: Recipe, config: EngineConfig, gang: Gang) -> None:
        self.config = config
        self.gang = gang
        self._recipe = recipe
        deepspeed = _quiet_deepspeed(gang.device.type)
        if config.zero_stage < 3:
            model.to(gang.device)
        engine, _, _, _ = deepspeed.initialize(
            model=model,
            optimizer=build_optimizer(model, recipe),
            config=config.deepspeed(),
            dist_init_required=False,
        )
        # with one process there is nobody to sum gradients with
        engine.enable_backward_allreduce = gang.world_size > 1 or config.zero_stage > 0
        if config.micro_batch_size < config.batch_size and _has_batch_norm(model):
            log.warning(
                "this model's batch norm sees %d images at a time, not the batch of %d: its result depends on the "
                "number of processes and on microBatchSize",
                config.micro_batch_size,
                config.batch_size,
            )
        self.deepspeed: Any = engine
        self._groups: list[dict[str, Any]] = engine.optimizer.param_groups

    @property
    def module(self) -> nn.Module:
        """The model itself."""
        return cast(nn.Module, self.deepspeed.module)

    def step(self, images_BCHW: torch.Tensor, labels_B: torch.Tensor, *, lr: float, want_norm: bool) -> "Step":
        """One optimizer step on this process's images of a batch, in micro-batches.

        Raises PeerLost if another process is gone.
        """
        set_learning_rate(self._groups, lr)
        images = torch.split(images_BCHW.to(self.gang.device, non_blocking=True), self.config.micro_batch_size)
        labels = torch.split(labels_B.to(self.gang.device, non_blocking=True), self.config.micro_batch_size)
        total = torch.zeros((), dtype=torch.float64, device=self.gang.device)
        norm: torch.Tensor | None = None
        with lost_peers():
            for index, (images_bCHW, labels_b) in enumerate(zip(images, labels, strict=True)):
                loss = losses(self.deepspeed(images_bCHW), labels_b, self._recipe).mean()
                self.deepspeed.backward(loss)
                if index == len(images) - 1 and self.config.zero_stage == 0:
                    norm = self._clip()
                self.deepspeed.step()
                total += loss.detach()
        if want_norm and self.config.zero_stage > 0:
            norm = torch.as_tensor(self.deepspeed.get_global_grad_norm())
        return Step(total / len(images), norm)

    def predict(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """float32 (B, C) in the numbers of the training's precision, without gradients; on the device.

        The model must be in eval mode. With ZeRO-3 all ranks must call this equally often.
        """
        with torch.no_grad():
            logits_BC = self.deepspeed(images_BCHW.to(self.gang.device, non_blocking=True))
        return cast(torch.Tensor, logits_BC).float()

    def _clip(self) -> torch.Tensor:
        """Clips the gradients, which are whole and the same on all ranks at stage 0; returns their norm before."""
        parameters = [parameter for group in self._groups for parameter in group["params"]]
        return torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm or math.inf)

    def share_buffers(self) -> None:
        """Give every rank the leader's running statistics, so that all ranks evaluate one and the same model."""
        if self.gang.world_size > 1:
            with lost_peers():
                for buffer in self.module.buffers():
                    torch_distributed.broadcast(buffer, src=0)


@dataclass(frozen=True)
class Step:
    """What one optimizer step tells: this process's mean loss (nats) and the gradient's L2 norm before clipping."""

    loss: torch.Tensor
    grad_norm: torch.Tensor | None


def _has_batch_norm(model: nn.Module) -> bool:
    return any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules())


def _quiet_deepspeed(device_type: str) -> Any:
    """DeepSpeed on this kind of device, connected to the process group that is there, saying only what is wrong.

    Its shared-memory extension for CPUs serves inference only (`inference_all_reduce`), yet it is compiled at the
    first start: 18 s, and a compiler that the machine may lack. Its table of usable extensions is a dict that it
    documents as editable; saying "no" there leaves it out.
    """
    os.environ.setdefault("DS_ACCELERATOR", device_type)
    import deepspeed
    import deepspeed.ops

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    deepspeed.utils.logger.setLevel(logging.WARNING)
    _choose_accelerator(device_type)
    if device_type == "cpu":
        deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
    return deepspeed


def _choose_accelerator(device_type: str) -> None:
    """A fork server imports DeepSpeed before it knows whether a pod has a GPU."""
    from deepspeed.accelerator import get_accelerator, set_accelerator
    from deepspeed.accelerator.cpu_accelerator import CPU_Accelerator

    if device_type == "cpu" and get_accelerator().device_name() != "cpu":
        set_accelerator(CPU_Accelerator())
