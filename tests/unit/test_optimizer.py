"""Which parameter decays, by how much, and learns how fast."""

from typing import Any

import pytest
import torch
from torch import nn

from tepui_spec.experiment import CustomModel
from tepui_spec.recipes import Recipe
from tepui_trainer.model import build_model
from tepui_trainer.optimizer import LR_SCALE, build_optimizer, parameter_groups, set_learning_rate

RECIPE = Recipe(name="test", weight_decay=0.1, head_weight_decay=0.7, head_lr_scale=3.0, beta1=0.8, beta2=0.95)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}),
    ("mixer_s16_224", {"patch_size": 8, "embed_dim": 16, "num_blocks": 1}),
    ("resnetv2_18", {"layers": [1, 1, 1], "channels": [16, 32, 64], "stem_chs": 16}),
    ("resnet18", {}),
]


def model_of(timm: str, args: dict[str, Any]) -> nn.Module:
    """A model of 5 classes."""
    return build_model(CustomModel(name="m", timm=timm, args=args), num_classes=5, image_size=32)


def settings(model: nn.Module, recipe: Recipe = RECIPE) -> dict[str, tuple[float, float]]:
    """Weight decay and learning-rate scale of each parameter by name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["weight_decay"], group[LR_SCALE])
        for group in parameter_groups(model, recipe)
        for parameter in group["params"]
    }


@pytest.mark.parametrize(("timm", "args"), CASES, ids=[timm for timm, _ in CASES])
def test_every_parameter_is_in_one_group(timm: str, args: dict[str, Any]) -> None:
    """No parameter is forgotten, and none is optimised twice."""
    model = model_of(timm, args)
    grouped = [id(p) for group in parameter_groups(model, RECIPE) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize(("timm", "args"), CASES, ids=[timm for timm, _ in CASES])
def test_only_matrices_and_kernels_decay(timm: str, args: dict[str, Any]) -> None:
    """Biases and norms do not decay, head weights by the head's decay, all other weights by the body's."""
    model = model_of(timm, args)
    shapes = {name: parameter.ndim for name, parameter in model.named_parameters()}
    for name, (decay, scale) in settings(model).items():
        in_head = name.startswith(("head.", "fc."))
        assert scale == (3.0 if in_head else 1.0), name
        if shapes[name] <= 1 or name in ("pos_embed", "cls_token"):
            assert decay == 0.0, name
        else:
            assert decay == (0.7 if in_head else 0.1), name


def test_position_embeddings_and_tokens_do_not_decay() -> None:
    """What timm's ViT excludes from decay stays excluded though it is no vector."""
    found = settings(model_of(*CASES[0]))
    assert found["pos_embed"] == found["cls_token"] == (0.0, 1.0)


def test_optimizers_of_the_recipes() -> None:
    """AdamW gets both betas, SGD its momentum."""
    model = model_of(*CASES[0])
    adam = build_optimizer(model, RECIPE)
    assert isinstance(adam, torch.optim.AdamW)
    assert adam.defaults["betas"] == (0.8, 0.95)
    sgd = build_optimizer(model, RECIPE.model_copy(update={"optimizer": "sgd"}))
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.defaults["momentum"] == 0.8


def test_head_learns_at_its_own_rate() -> None:
    """The schedule's rate reaches body and head with their scales."""
    optimizer = build_optimizer(model_of(*CASES[0]), RECIPE)
    set_learning_rate(optimizer.param_groups, 0.01)
    assert {group[LR_SCALE]: group["lr"] for group in optimizer.param_groups} == {1.0: 0.01, 3.0: pytest.approx(0.03)}


def test_decay_is_decoupled_from_the_gradient() -> None:
    """Without a gradient AdamW shrinks a decaying weight by lr * decay, and leaves others alone."""
    model = model_of(*CASES[0])
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, RECIPE)
    set_learning_rate(optimizer.param_groups, 0.01)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, (decay, scale) in settings(model).items():
        after = dict(model.named_parameters())[name]
        torch.testing.assert_close(after.detach(), before[name] * (1 - 0.01 * scale * decay), msg=name)
