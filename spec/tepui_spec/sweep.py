"""What a study varies: the factors of one trial, and four ways to choose many trials."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from tepui_spec.base import Name, Section, refuse_repeats

MAX_TRIALS = 15_000
"""Trials of one study; one Kubernetes object must hold the status of all (DESIGN.md, constant-size status)."""

DataFraction = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="Share of the upstream training images. A smaller share is a subset of a larger one.",
    ),
]
Epochs = Annotated[
    float,
    Field(gt=0, le=10_000, description="Passes over the chosen share of the upstream images; may be fractional."),
]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of initialisation, order and augmentation.")]
BatchSize = Annotated[int, Field(ge=1, le=1_048_576, description="Images per optimizer step, over all processes.")]
Rate = Annotated[float, Field(gt=0, le=100, description="Peak learning rate, after warm-up.")]
Decay = Annotated[float, Field(ge=0, le=100, description="Decoupled weight decay of the body (not biases and norms).")]
HeadDecay = Annotated[float, Field(ge=0, le=100, description="Decoupled weight decay of the classification head.")]
HeadLrScale = Annotated[
    float, Field(gt=0, le=1000, description="Learning rate of the head as a multiple of the body's.")
]


class Hyperparameters(Section):
    """Values a trial may set over its recipe's. A field left out keeps the recipe's value."""

    recipe: Name | None = Field(None, description="A recipe's name: built in (`tepui recipes`) or from spec.recipes.")
    data_fraction: DataFraction | None = None
    epochs: Epochs | None = None
    seed: Seed | None = None
    batch_size: BatchSize | None = None
    lr_peak: Rate | None = None
    weight_decay: Decay | None = None
    head_weight_decay: HeadDecay | None = None
    head_lr_scale: HeadLrScale | None = None


class Factors(Hyperparameters):
    """The setting of one trial: what a sweep chose for it."""

    model: Name | None = Field(None, description="A timm model's name, or a name from spec.models.")


class Axes(Section):
    """The values that each factor takes. A factor left out keeps the value of `training`."""

    model: tuple[Name, ...] | None = Field(None, min_length=1, max_length=1000, description="Models to train.")
    recipe: tuple[Name, ...] | None = Field(None, min_length=1, max_length=1000, description="Recipes to compare.")
    data_fraction: tuple[DataFraction, ...] | None = Field(
        None, min_length=1, max_length=1000, description="Shares of the upstream training images."
    )
    epochs: tuple[Epochs, ...] | None = Field(None, min_length=1, max_length=1000, description="Lengths of training.")
    seed: tuple[Seed, ...] | None = Field(None, min_length=1, max_length=1000, description="Seeds: repeats of a trial.")
    batch_size: tuple[BatchSize, ...] | None = Field(
        None, min_length=1, max_length=1000, description="Images per optimizer step."
    )
    lr_peak: tuple[Rate, ...] | None = Field(None, min_length=1, max_length=1000, description="Peak learning rates.")
    weight_decay: tuple[Decay, ...] | None = Field(
        None, min_length=1, max_length=1000, description="Weight decays of the body."
    )
    head_weight_decay: tuple[HeadDecay, ...] | None = Field(
        None, min_length=1, max_length=1000, description="Weight decays of the head."
    )
    head_lr_scale: tuple[HeadLrScale, ...] | None = Field(
        None, min_length=1, max_length=1000, description="Learning rates of the head over the body's."
    )

    @model_validator(mode="after")
    def _some_axis_without_repeats(self) -> Self:
        chosen = self.values()
        if not chosen:
            raise ValueError(
                "names no factor: give at least one list of values, for example model: [vit_tiny_patch16_224]"
            )
        for name, values in chosen.items():
            refuse_repeats(to_camel(name), values)
        return self

    def values(self) -> dict[str, tuple[str | int | float, ...]]:
        """The axes that were given, in the order of the fields, by field name."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: values for name, values in given if values is not None}


class RandomSweep(Section):
    """Independent uniform draws from each axis, without repeating a trial."""

    count: int = Field(ge=1, le=MAX_TRIALS, description="How many different trials to draw.")
    seed: Seed = Field(0, description="Seed of the draw: the same seed gives the same trials.")
    axes: Axes = Field(description="The values to draw from.")


class OneFactorSweep(Section):
    """Controlled scaling: the base trial, and for each axis its values with everything else as in the base."""

    base: Factors = Field(description="The trial that all others differ from in one factor.")
    axes: Axes = Field(description="The values of each factor, tried one factor at a time.")


class Sweep(Section):
    """Exactly one way to choose the trials."""

    grid: Axes | None = Field(None, description="Every combination of the values of all axes.")
    random: RandomSweep | None = Field(None, description="A number of random combinations.")
    one_factor_at_a_time: OneFactorSweep | None = Field(
        None, description="A base trial and its neighbours along each axis (the paper's controlled scaling)."
    )
    list: tuple[Factors, ...] | None = Field(
        None, min_length=1, max_length=MAX_TRIALS, description="Trials one by one."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        ways = {
            "grid": self.grid,
            "random": self.random,
            "oneFactorAtATime": self.one_factor_at_a_time,
            "list": self.list,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(ways)}; it has {' and '.join(given) or 'none'}")
        return self
