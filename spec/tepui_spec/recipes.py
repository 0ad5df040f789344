"""Training recipes: typed, named, and complete, so that a trial's hash can cover every value that shapes its result.

The literature's recipes are those of "An Image is Worth 16x16 Words" (arXiv 2010.11929, table 3), big_vision's
configurations, "MLP-Mixer" (arXiv 2105.01601, section 3 and table 4) and "Big Transfer" (arXiv 1912.11370).
"""

from typing import Literal

from pydantic import Field

from tepui_spec.base import Name, Section
from tepui_spec.sweep import BatchSize, Decay, Epochs, HeadDecay, HeadLrScale, Rate


class Recipe(Section):
    """Everything about optimisation that is not the model, the data or the machine."""

    name: Name = Field(description="What `recipe` fields name it by.")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's first-moment decay; for sgd the momentum.")
    beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's second-moment decay; unused by sgd.")
    lr_peak: Rate = 1e-3
    weight_decay: Decay = 0.1
    head_weight_decay: HeadDecay = 0.1
    head_lr_scale: HeadLrScale = 1.0
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] = Field(
        "cosine",
        description="After warm-up: to zero by linear or cosine decay, 1/sqrt(step) with cool-down, or flat.",
    )
    warmup_steps: int = Field(10_000, ge=0, le=10_000_000, description="Steps of linear warm-up, at most.")
    warmup_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Warm-up takes at most this share of all steps: min(warmupSteps, share * steps).",
    )
    cooldown_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of all steps of the final linear decay to zero; used by rsqrt only.",
    )
    clip_norm: float = Field(1.0, ge=0, le=1e6, description="Clip gradients to this global L2 norm; 0 turns it off.")
    loss: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="Cross-entropy over classes, or one sigmoid a class."
    )
    head_bias: float = Field(0.0, ge=-100, le=100, description="Initial bias of the head (ViT's sigmoid recipes: -10).")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over all classes; softmax only."
    )
    crop: Literal["none", "pad", "resized"] = Field(
        "resized",
        description="none; pad: shift within a border of an eighth; resized: Inception crop of 5% to 100% of the area.",
    )
    flip: bool = Field(True, description="Mirror half of the images from left to right.")
    batch_size: BatchSize = 4096
    epochs: Epochs = 7


BUILT_IN: tuple[Recipe, ...] = (
    Recipe(
        name="vit-jft",
        lr_peak=8e-4,
        weight_decay=0.1,
        head_weight_decay=0.1,
        schedule="linear",
        loss="sigmoid",
        head_bias=-10,
    ),
    Recipe(
        name="vit-21k",
        lr_peak=1e-3,
        weight_decay=0.03,
        head_weight_decay=0.03,
        schedule="linear",
        loss="sigmoid",
        head_bias=-10,
        epochs=90,
    ),
    Recipe(
        name="vit-1k",
        lr_peak=3e-3,
        weight_decay=0.3,
        head_weight_decay=0.3,
        schedule="cosine",
        epochs=300,
    ),
    Recipe(
        name="mixer-jft",
        lr_peak=1e-3,
        weight_decay=0.03,
        head_weight_decay=0.03,
        schedule="linear",
        loss="sigmoid",
        head_bias=-10,
    ),
    Recipe(
        name="mixer-21k",
        lr_peak=1e-3,
        weight_decay=0.1,
        head_weight_decay=0.1,
        schedule="linear",
        loss="sigmoid",
        head_bias=-10,
        epochs=300,
    ),
    Recipe(
        name="resnet-21k",
        optimizer="sgd",
        beta1=0.9,
        lr_peak=0.48,
        weight_decay=1e-4,
        head_weight_decay=1e-4,
        schedule="cosine",
        warmup_steps=5_000,
        clip_norm=0,
        epochs=90,
    ),
    Recipe(
        name="vit-small",
        beta2=0.95,
        lr_peak=4e-3,
        weight_decay=0.05,
        head_weight_decay=0.05,
        schedule="cosine",
        warmup_fraction=0.15,
        crop="none",
        flip=False,
        batch_size=64,
        epochs=5,
    ),
    Recipe(
        name="mixer-small",
        beta2=0.95,
        lr_peak=1e-2,
        weight_decay=0.05,
        head_weight_decay=0.05,
        schedule="cosine",
        warmup_fraction=0.15,
        crop="none",
        flip=False,
        batch_size=128,
        epochs=5,
    ),
    Recipe(
        name="resnet-small",
        optimizer="sgd",
        beta1=0.9,
        lr_peak=0.1,
        weight_decay=5e-4,
        head_weight_decay=5e-4,
        schedule="cosine",
        warmup_fraction=0.1,
        clip_norm=0,
        crop="pad",
        flip=False,
        batch_size=128,
        epochs=5,
    ),
)
"""`*-jft` and `*-21k` are the literature's (224 px, batch 4096); `*-small` are scaled for images of 32 px."""
