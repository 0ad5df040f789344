"""A finished training as result rows."""

from tepui_spec.cost import flops_of_examples
from tepui_spec.naming import family_of
from tepui_spec.results import CurveRow, TrialRow
from tepui_spec.trial import TrainTask
from tepui_trainer.upstream import Upstream
from tepui_trainer.validation import Validation


def trial_row(
    task: TrainTask, upstream: Upstream, *, parameters: int, steps: int, corrupt_images: int, validation: Validation
) -> TrialRow:
    """The trial's row."""
    config, recipe = task.config, task.config.recipe
    return TrialRow(
        trial=task.trial,
        model=config.model.name,
        timm=config.model.timm,
        family=config.model.family or family_of(config.model.timm),
        recipe=recipe.name,
        upstream_uri=config.data.uri,
        upstream_content_hash=upstream.content_hash,
        image_size=config.image_size,
        data_fraction=config.data_fraction,
        epochs=recipe.epochs,
        seed=config.seed,
        batch_size=recipe.batch_size,
        lr_peak=recipe.lr_peak,
        weight_decay=recipe.weight_decay,
        head_weight_decay=recipe.head_weight_decay,
        head_lr_scale=recipe.head_lr_scale,
        precision=config.precision,
        parameters=parameters,
        training_flops=flops_of_examples(config, examples=steps * recipe.batch_size, num_classes=upstream.num_classes),
        num_classes=upstream.num_classes,
        train_images=len(upstream.train),
        steps=steps,
        examples_seen=steps * recipe.batch_size,
        corrupt_images=corrupt_images,
        upstream_error=validation.error,
        upstream_n=validation.images,
        upstream_error_se=validation.error_se,
        upstream_loss=validation.loss,
    )


def curve_points(trial: str, step: int, examples_seen: int, values: dict[str, float]) -> list[CurveRow]:
    """One point of the curve: a row for every metric."""
    return [
        CurveRow(trial=trial, step=step, examples_seen=examples_seen, metric=metric, value=value)
        for metric, value in values.items()
    ]
