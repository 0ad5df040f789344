"""AdamW or SGD over four groups of parameters: body and head, with and without weight decay."""

from typing import Any

import torch
from torch import nn

from tepui_spec.recipes import Recipe
from tepui_trainer.model import classifiers

LR_SCALE = "lr_scale"
"""Key of a parameter group: its learning rate as a multiple of the schedule's."""


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups for a torch optimizer, empty ones left out, each with its weight decay and `lr_scale`.

    Biases, norms and whatever the model itself excludes (position embeddings, class token) do not decay. Head
    parameters take `head_weight_decay` and `head_lr_scale` (Abnar et al. 2022, arXiv 2110.02095, section 4).
    """
    head = {id(parameter) for layer in classifiers(model) for parameter in layer.parameters()}
    excluded = _never_decayed(model)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {
        (in_head, decays): [] for in_head in (False, True) for decays in (True, False)
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and name not in excluded
            groups[id(parameter) in head, decays].append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": (recipe.head_weight_decay if in_head else recipe.weight_decay) if decays else 0.0,
            LR_SCALE: recipe.head_lr_scale if in_head else 1.0,
        }
        for (in_head, decays), parameters in groups.items()
        if parameters
    ]


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with decoupled decay (arXiv 1711.05101), or SGD with momentum and L2 decay in the gradient.

    The latter is what ResNet recipes mean by weight decay (Big Transfer, arXiv 1912.11370). The learning rate is
    set at every step by `set_learning_rate`.
    """
    groups = parameter_groups(model, recipe)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr_peak, betas=(recipe.beta1, recipe.beta2), fused=True)
    return torch.optim.SGD(groups, lr=recipe.lr_peak, momentum=recipe.beta1, fused=True)


def set_learning_rate(groups: list[dict[str, Any]], lr: float) -> None:
    """Give every group its multiple of the schedule's learning rate."""
    for group in groups:
        group["lr"] = lr * group[LR_SCALE]


def _never_decayed(model: nn.Module) -> set[str]:
    """Names that timm's models list themselves, and position embeddings and tokens of those that list none."""
    listed = getattr(model, "no_weight_decay", None)
    names = set(listed()) if callable(listed) else set()
    last = ("pos_embed", "cls_token", "dist_token", "reg_token")
    return names | {name for name, _ in model.named_parameters() if name.rsplit(".", 1)[-1] in last}
