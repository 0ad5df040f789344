"""How much work each trial is, relative to the others: for the order of submission and for the time that is left."""

from collections.abc import Callable, Iterable

from tepui_spec.cost import model_cost
from tepui_spec.expand import Trial

_CLASSES = 1000
"""The head's share of the work is small: its true size is known only to the data."""


def efforts(trials: Iterable[Trial]) -> Callable[[Trial], float]:
    """The relative cost of training: operations per image, times images. Pure.

    A model whose family `tepui_spec.cost` does not know counts as the most costly one that it does.
    """
    per_image: dict[str, float | None] = {}
    for trial in trials:
        key = _key(trial)
        if key not in per_image:
            config = trial.config
            cost = model_cost(config.model, image_size=config.image_size, num_classes=_CLASSES)
            per_image[key] = float(cost.forward_flops) if cost is not None else None
    dearest = max((value for value in per_image.values() if value is not None), default=1.0)

    def effort(trial: Trial) -> float:
        known = per_image[_key(trial)]
        return (known if known is not None else dearest) * trial.config.data_fraction * trial.config.recipe.epochs

    return effort


def _key(trial: Trial) -> str:
    return f"{trial.config.model.model_dump_json()} {trial.config.image_size}"
