"""The columns of result rows: the one schema that the trainer writes, the evaluator writes and reads, and users export.

Rows hold what a trial is and what was measured, never how long it took: the same trial gives the same rows on any
machine. Errors are 1 - accuracy, in [0, 1].
"""

from typing import ClassVar

from pydantic import Field

from tepui_spec.base import Section


class Row(Section):
    """One line of a Parquet table. On the wire column names stay snake_case."""

    model_config = Section.model_config | {"alias_generator": None}
    KEY: ClassVar[tuple[str, ...]]
    """Columns that together name a row: a table holds one row a key."""


class TrialRow(Row):
    """A finished pre-training trial."""

    KEY: ClassVar[tuple[str, ...]] = ("trial",)

    trial: str = Field(description="Hash of the resolved configuration: the trial's name.")
    model: str = Field(description="Name of the model as listed in the sweep.")
    timm: str = Field(description="The timm model it is built from.")
    family: str = Field(description="Architecture family.")
    recipe: str = Field(description="Name of the training recipe.")
    upstream_uri: str = Field(description="Upstream data, as written in the spec.")
    upstream_content_hash: str = Field(description="Hash of the upstream data that was read.")
    image_size: int = Field(description="Height and width, pixels.")
    data_fraction: float = Field(description="Share of the upstream training images used.")
    epochs: float = Field(description="Passes over that share.")
    seed: int = Field(description="Seed of the trial.")
    batch_size: int = Field(description="Images per optimizer step.")
    lr_peak: float = Field(description="Peak learning rate.")
    weight_decay: float = Field(description="Weight decay of the body.")
    head_weight_decay: float = Field(description="Weight decay of the head.")
    head_lr_scale: float = Field(description="Learning rate of the head over the body's.")
    precision: str = Field(description="Number format of forward and backward pass.")
    parameters: int = Field(description="Trainable parameters.")
    training_flops: float | None = Field(
        description="Floating-point operations of the whole training; null where not known."
    )
    num_classes: int = Field(description="Upstream classes.")
    train_images: int = Field(description="Different images trained on.")
    steps: int = Field(description="Optimizer steps.")
    examples_seen: int = Field(description="Images seen in training, repeats counted.")
    corrupt_images: int = Field(description="Different unreadable upstream images met.")
    upstream_error: float = Field(
        ge=0, le=1, description="Top-1 error on the upstream validation split, after the last step."
    )
    upstream_n: int = Field(description="Validation images.")
    upstream_error_se: float = Field(description="Binomial standard error of upstream_error.")
    upstream_loss: float = Field(
        description="Mean validation loss, nats (softmax) or nats summed over classes (sigmoid)."
    )


class CurveRow(Row):
    """One recorded point of a training curve."""

    KEY: ClassVar[tuple[str, ...]] = ("trial", "step", "metric")

    trial: str = Field(description="The trial.")
    step: int = Field(description="Optimizer steps done.")
    examples_seen: int = Field(description="Images seen so far, repeats counted.")
    metric: str = Field(description="train_loss, validation_loss, validation_error, lr or grad_norm.")
    value: float = Field(description="The metric's value; losses in nats, lr and grad_norm without unit.")


class EvaluationRow(Row):
    """One few-shot measurement of one checkpoint."""

    KEY: ClassVar[tuple[str, ...]] = ("trial", "step", "protocol", "task", "shots", "seed", "layer")

    trial: str = Field(description="The trial.")
    step: int = Field(description="Optimizer steps of the checkpoint.")
    protocol: str = Field(description="Evaluation protocol with its version, such as few-shot-ridge/1:loo.")
    task: str = Field(description="Downstream task.")
    shots: int = Field(description="Support images per class.")
    seed: int = Field(description="Seed of the support set; support sets of one seed are nested over shots.")
    layer: str = Field(description="Where features come from: pooled (what the head sees), or block-00, block-01, ...")
    error: float = Field(ge=0, le=1, description="Top-1 error on the task's test split.")
    n_test: int = Field(description="Test images.")
    error_se: float = Field(description="Binomial standard error of error.")
    l2: float = Field(description="Ridge penalty that was used.")
    n_support: int = Field(description="Support images.")
    num_classes: int = Field(description="Classes of the task.")
    corrupt_images: int = Field(description="Different unreadable images of the task.")
    task_content_hash: str = Field(description="Hash of the task's data that was read.")
    upstream_error: float = Field(ge=0, le=1, description="Upstream validation error of this checkpoint.")
    upstream_n: int = Field(description="Validation images behind upstream_error.")


TABLES: dict[str, type[Row]] = {"trials": TrialRow, "curves": CurveRow, "evaluations": EvaluationRow}
"""Every table by its name in `tepui results`."""
