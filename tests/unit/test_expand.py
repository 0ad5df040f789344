"""From a sweep to trials."""

from typing import Any

import pytest

from builders import experiment
from tepui_spec.expand import Trial, expand
from tepui_spec.sweep import MAX_TRIALS

OWN = {"name": "own", "batchSize": 128}


def trials(**spec: Any) -> tuple[Trial, ...]:
    own = {"recipes": [OWN], "training": {"recipe": "own", "precision": "fp32"}}
    return expand(experiment(**(own | spec)).spec)


def test_a_grid_is_every_combination_in_the_order_of_the_axes() -> None:
    """The last axis varies fastest, and indexes count up from 0."""
    found = trials(sweep={"grid": {"model": ["tiny", "resnet18"], "epochs": [1, 2], "seed": [0, 1]}})
    settings = [(t.factors.model, t.factors.epochs, t.factors.seed) for t in found]
    assert settings == [(m, e, s) for m in ("tiny", "resnet18") for e in (1, 2) for s in (0, 1)]
    assert [t.index for t in found] == list(range(8))


def test_factors_go_before_training_and_training_before_the_recipe() -> None:
    """Each value comes from the nearest place that sets it."""
    (trial,) = trials(
        sweep={"list": [{"model": "tiny", "lrPeak": 0.5}]},
        training={"recipe": "own", "lrPeak": 0.25, "epochs": 3, "precision": "fp32"},
    )
    recipe = trial.config.recipe
    assert (recipe.lr_peak, recipe.epochs, recipe.batch_size) == (0.5, 3, 128)
    assert (trial.config.seed, trial.config.data_fraction) == (0, 1.0)


def test_a_models_own_recipe_goes_before_training_and_after_the_factors() -> None:
    """A ResNet and a ViT may stand in one grid, each with the recipe that suits it."""
    models = [{"name": "r", "timm": "resnet18", "recipe": "resnet-small"}]
    found = trials(models=models, sweep={"grid": {"model": ["r", "vit_tiny_patch16_224"]}})
    assert [t.config.recipe.name for t in found] == ["resnet-small", "own"]
    (named,) = trials(models=models, sweep={"list": [{"model": "r", "recipe": "mixer-small"}]})
    assert named.config.recipe.name == "mixer-small"


def test_one_factor_at_a_time_is_the_base_and_its_neighbours() -> None:
    """The base's own values on an axis are not run twice."""
    found = trials(
        sweep={
            "oneFactorAtATime": {
                "base": {"model": "tiny", "epochs": 2, "dataFraction": 1},
                "axes": {"epochs": [1, 2, 4], "dataFraction": [0.1, 1]},
            }
        }
    )
    settings = [(t.factors.epochs, t.factors.data_fraction) for t in found]
    assert settings == [(2, 1), (2, 0.1), (1, 1), (4, 1)]


def test_settings_that_resolve_alike_are_one_trial() -> None:
    """A value that only repeats the recipe's, and a second name for the same model, add nothing."""
    models = [{"name": "a", "timm": "resnet18"}, {"name": "b", "timm": "resnet18"}]
    found = trials(models=models, sweep={"list": [{"model": "a"}, {"model": "b"}, {"model": "a", "batchSize": 128}]})
    assert [t.factors.model for t in found] == ["a"]


def test_a_random_sweep_is_the_same_for_the_same_seed() -> None:
    """Pinned: another draw would be another study under the same file."""
    axes = {"model": ["tiny"], "epochs": list(range(1, 101)), "seed": list(range(100))}
    found = trials(sweep={"random": {"count": 4, "seed": 7, "axes": axes}})
    assert [(t.factors.epochs, t.factors.seed) for t in found] == [(54, 5), (25, 71), (65, 68), (8, 91)]


def test_a_random_sweep_of_axes_beyond_any_grid() -> None:
    """10^24 combinations are drawn from without being counted out."""
    many = list(range(1, 1001))
    axes = {
        "model": ["tiny"],
        "epochs": many,
        "seed": many,
        "batchSize": many,
        **{name: [n / 1000 for n in many] for name in ("lrPeak", "dataFraction", "weightDecay", "headWeightDecay")},
        "headLrScale": many,
    }
    assert len(trials(sweep={"random": {"count": 50, "axes": axes}})) == 50


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"sweep": {"grid": {"seed": [0]}}}, "sets no model"),
        ({"training": {}}, "training.recipe: not set"),
        ({"training": {"recipe": "vit-large"}}, "recipe: 'vit-large' is not known; one of vit-jft"),
        (
            {"sweep": {"grid": {"model": ["tiny"], "seed": list(range(1000)), "epochs": list(range(1, 17))}}},
            f"sweep.grid: makes 16,000 trials; one study holds at most {MAX_TRIALS:,}",
        ),
        (
            {"sweep": {"random": {"count": 3, "axes": {"model": ["tiny"], "seed": [0, 1]}}}},
            "sweep.random.count: 3 different trials wanted, but the axes have only 2 combinations",
        ),
    ],
)
def test_what_cannot_be_expanded_is_the_users_mistake(spec: dict[str, Any], message: str) -> None:
    """A ValueError that names the field and the value."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        trials(**spec)
