"""Layers of different models by their depth, and which depth is best."""

import numpy as np
import pytest

from report_builders import model_point, simulated_study, with_layers
from tepui_evaluator.layer_depth import layer_profiles, quarter_blocks


@pytest.mark.parametrize(
    ("blocks", "numbers"), [(1, [0, 0, 0, 0]), (2, [0, 0, 1, 1]), (5, [1, 2, 3, 4]), (12, [2, 5, 8, 11])]
)
def test_the_block_in_which_a_quarter_is_reached(blocks: int, numbers: list[int]) -> None:
    """Every model has a block at each quarter, whatever its depth, the last one at the whole."""
    layers = ["pooled", *(f"block-{i:02d}" for i in range(blocks))]
    assert list(quarter_blocks(layers).values()) == [f"block-{i:02d}" for i in numbers]
    assert quarter_blocks(["pooled"]) == {}


def test_an_earlier_layer_is_found_where_it_is_better() -> None:
    """Only textures was made with a better middle block; its gain excludes 0 and the others' does not."""
    profiles = {p.task: p for p in layer_profiles(with_layers(simulated_study()).points)}
    gain = profiles["textures"].gain
    assert profiles["textures"].best == "depth-50"
    assert gain.interval is not None
    assert gain.interval[0] > 0.0
    assert (gain.n, gain.groups) == (36, 6)
    for task in ("mnist", "greek", "digits8x8"):
        found = profiles[task].gain.interval
        assert found is not None
        assert found[0] <= 0.0
    assert layer_profiles(simulated_study().points) == ()


def test_models_of_different_depth_are_compared_by_share() -> None:
    """The mean at half the depth takes block 1 of 4 and block 0 of 2."""
    errors = {"a": [0.5, 0.4, 0.3, 0.2, 0.2], "b": [0.6, 0.1, 0.1]}
    points = [
        model_point(trial, 0.5, error, layer=layer, model=trial)
        for trial, of in errors.items()
        for layer, error in zip([*(f"block-{i:02d}" for i in range(len(of) - 1)), "pooled"], of, strict=True)
    ]
    (profile,) = layer_profiles(points)
    assert profile.error["depth-50"] == pytest.approx(np.mean([0.4, 0.6]))
    assert profile.error["depth-100"] == pytest.approx(np.mean([0.2, 0.1]))
    assert profile.gain.interval is None  # two models
