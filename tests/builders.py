"""Small valid specs for tests: each takes what a test wants to differ."""

from typing import Any

from tepui_spec.experiment import Experiment


def experiment_dict(name: str = "study", **spec: Any) -> dict[str, Any]:
    """A minimal valid experiment as plain data; keyword arguments replace whole sections of the spec."""
    base: dict[str, Any] = {
        "upstream": {"data": {"uri": "data/fonts"}, "imageSize": 32},
        "models": [
            {
                "name": "tiny",
                "timm": "vit_tiny_patch16_224",
                "args": {"patch_size": 8, "embed_dim": 32, "num_heads": 2, "depth": 1},
            }
        ],
        "sweep": {"grid": {"model": ["tiny"], "epochs": [1, 2], "seed": [0, 1]}},
        "training": {"recipe": "vit-small", "precision": "fp32"},
        "evaluation": {"tasks": ["mnist"], "dataRoot": "data"},
        "storage": {"uri": "results"},
    }
    return {
        "apiVersion": "tepui.dev/v1alpha1",
        "kind": "ExperimentSpec",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def experiment(name: str = "study", **spec: Any) -> Experiment:
    """The same, validated."""
    return Experiment.model_validate(experiment_dict(name, **spec))
