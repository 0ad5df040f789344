"""What a model costs, by arithmetic alone: parameters, floating-point operations, bytes of a GPU.

A model whose family is not known costs None, never a guess. Counts of parameters are timm's exactly; operations are
those of matrix products and convolutions, two a multiply-add, as torch.utils.flop_counter counts them.
"""

from typing import Literal

from pydantic import Field

from tepui_spec.architectures import count
from tepui_spec.base import Section
from tepui_spec.experiment import CustomModel
from tepui_spec.recipes import Recipe
from tepui_spec.tally import UnknownArchitectureError
from tepui_spec.trial import TrialConfig

Precision = Literal["fp32", "bf16"]

BACKWARD_FACTOR = 3
"""Forward and backward pass over the forward pass alone (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)."""


class ModelCost(Section):
    """What one model costs per image."""

    parameters: int = Field(description="Trainable parameters, the head included.")
    forward_flops: int = Field(description="Floating-point operations of one image's forward pass.")
    activation_bytes: int = Field(description="Bytes kept for the backward pass in fp32, per image.")
    activation_bytes_bf16: int = Field(description="Bytes kept under bf16 autocast on a GPU, per image.")

    def activation_bytes_in(self, precision: Precision) -> int:
        """Bytes kept for the backward pass, per image."""
        return self.activation_bytes_bf16 if precision == "bf16" else self.activation_bytes


def model_cost(model: CustomModel, *, image_size: int, num_classes: int) -> ModelCost | None:
    """What a model costs on square RGB images of `image_size` pixels; None where its family is not known."""
    try:
        tally = count(model.timm, dict(model.args), image_size=image_size, num_classes=num_classes)
    except UnknownArchitectureError:
        return None
    return ModelCost(
        parameters=tally.parameters,
        forward_flops=2 * tally.multiply_adds,
        activation_bytes=4 * (tally.kept + tally.kept_wide) + 8 * tally.kept_indices,
        activation_bytes_bf16=2 * (tally.kept + tally.kept_copies) + 4 * tally.kept_wide + 8 * tally.kept_indices,
    )


def training_steps(config: TrialConfig, *, train_images: int) -> int:
    """Optimizer steps of a trial on a dataset of `train_images` training images: at least one."""
    images = max(1, round(train_images * config.data_fraction))
    return max(1, round(images * config.recipe.epochs / config.recipe.batch_size))


def training_flops(config: TrialConfig, *, train_images: int, num_classes: int) -> float | None:
    """Floating-point operations of a whole training, validation aside; None where the family is not known.

    Three forward passes for every image seen, with `train_images` images in the whole training split.
    """
    seen = training_steps(config, train_images=train_images) * config.recipe.batch_size
    return flops_of_examples(config, examples=seen, num_classes=num_classes)


def flops_of_examples(config: TrialConfig, *, examples: int, num_classes: int) -> float | None:
    """The same for a training that sees `examples` images, repeats counted."""
    cost = model_cost(config.model, image_size=config.image_size, num_classes=num_classes)
    return None if cost is None else float(BACKWARD_FACTOR * cost.forward_flops * examples)


class GpuBytes(Section):
    """Memory that training takes of each GPU, in bytes. Not counted: the CUDA context, buckets and fragments."""

    weights: int = Field(description="fp32 weights, and the bf16 copies that autocast makes of them.")
    gradients: int = Field(description="fp32 gradients, and ZeRO's flat copy of its share.")
    optimizer: int = Field(description="The optimizer's state, and ZeRO's flat copy of its share of the weights.")
    activations: int = Field(description="What one micro-batch keeps for its backward pass.")

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations


def gpu_bytes(
    cost: ModelCost,
    *,
    optimizer: Literal["adamw", "sgd"],
    precision: Precision,
    zero_stage: int,
    world_size: int,
    micro_batch_size: int,
) -> GpuBytes:
    """Memory of each GPU as the trainer sets up DeepSpeed 0.19: fp32 weights, with bf16 by autocast.

    Stage 1 divides the optimizer's state over the GPUs, 2 the gradients too, 3 the weights too ("ZeRO", arXiv
    1910.02054, section 5). From stage 1 on the optimizer works on flat copies of its share of weights and gradients.
    """
    numbers = 4 * cost.parameters

    def share(total: int, from_stage: int) -> int:
        return -(-total // world_size) if zero_stage >= from_stage else total

    flat = share(numbers, 1) if zero_stage > 0 else 0
    return GpuBytes(
        weights=share(numbers + (numbers // 2 if precision == "bf16" else 0), 3),
        gradients=share(numbers, 2) + flat,
        optimizer=share(numbers * (2 if optimizer == "adamw" else 1), 1) + flat,
        activations=micro_batch_size * cost.activation_bytes_in(precision),
    )


def micro_batch_of(recipe: Recipe, *, micro_batch_size: int | None, world_size: int) -> int:
    """Images of one backward pass of one process."""
    return micro_batch_size or max(1, recipe.batch_size // world_size)
