"""Any timm image model by name, with arguments of its own, sized for the classes and images of a trial."""

import difflib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import timm
import torch
from timm.models import model_entrypoint
from torch import nn

from tepui_spec.check import RESERVED_ARGUMENTS
from tepui_spec.experiment import CustomModel
from tepui_spec.outcome import Outcome
from tepui_trainer.failures import classify

IN_CHANS = 3
"""Every model takes RGB, so that features of a model trained on grey images exist for colour tasks too."""


def build_model(model: CustomModel, *, num_classes: int, image_size: int) -> nn.Module:
    """The model, initialised from torch's global generator: (B, 3, image_size, image_size) to (B, num_classes).

    `image_size` goes to models that take one (ViT, Mixer, Swin); others take any. A ResNet keeps timm's stem, which
    divides height and width by 4, unless its arguments ask for another (`stem_type`, `stem_chs`).

    Raises:
        ValueError: for a name that timm does not know (with the nearest ones), an argument that is not the model's,
            or arguments that do not fit each other or the image size.
        MemoryError, RuntimeError: if the model does not fit into memory.
    """
    require_known(model.timm)
    for name, reason in RESERVED_ARGUMENTS.items():
        if name in model.args:
            raise ValueError(f"model {model.name}: args.{name} cannot be set: {reason}")
    try:
        module = _create(model.timm, model.args, num_classes=num_classes, image_size=image_size)
        _check_forward(module, num_classes=num_classes, image_size=image_size)
    except Exception as error:  # the user's arguments run timm's code: any other exception there is theirs
        if classify(error) is Outcome.OUT_OF_MEMORY:
            raise
        raise ValueError(_explained(model, image_size, error)) from error
    return module


def require_known(timm_name: str) -> None:
    """Raises ValueError for a name that timm does not know, with the nearest ones."""
    if not timm.is_model(timm_name):
        nearest = difflib.get_close_matches(timm_name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        raise ValueError(f"model {timm_name!r} is not a timm {timm.__version__} model{hint}")


def classifiers(model: nn.Module) -> tuple[nn.Linear | nn.Conv2d, ...]:
    """The layers that turn features into logits: one, or one a head (distilled models).

    Raises ValueError for a model without any.
    """
    heads = cast(Any, model).get_classifier()
    roots = heads if isinstance(heads, tuple | list) else (heads,)
    layers = (layer for root in roots for layer in root.modules())
    found = tuple(layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d))
    if not found:
        raise ValueError(f"{type(model).__name__} has no linear classifier, but {type(heads).__name__}")
    return found


def set_head_bias(model: nn.Module, value: float) -> None:
    """Fill the classifiers' biases. Raises ValueError if one has none and the value is not 0."""
    if value == 0:
        return
    for layer in classifiers(model):
        if layer.bias is None:
            raise ValueError(f"recipe.headBias is {value}, but the classifier of {type(model).__name__} has no bias")
        with torch.no_grad():
            layer.bias.fill_(value)


def _create(timm_name: str, args: Mapping[str, Any], *, num_classes: int, image_size: int) -> nn.Module:
    sizes = {"num_classes": num_classes, "in_chans": IN_CHANS}
    try:
        return _with_img_size(timm_name, image_size, sizes | dict(args))
    except TypeError as error:
        if "multiple values for keyword argument" not in str(error):
            raise
    # timm's entry points of Mixer and some others fix what tells their variants apart
    with _with_arguments(model_entrypoint(timm_name).__module__, args):
        return _with_img_size(timm_name, image_size, sizes)


def _with_img_size(timm_name: str, image_size: int, kwargs: Mapping[str, Any]) -> nn.Module:
    try:
        return cast(nn.Module, timm.create_model(timm_name, pretrained=False, img_size=image_size, **kwargs))
    except TypeError as error:
        if _unknown_argument(error) != "img_size":
            raise
    return cast(nn.Module, timm.create_model(timm_name, pretrained=False, **kwargs))


@contextmanager
def _with_arguments(module_name: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Lets `arguments` win over those that the entry points of one of timm's modules build their models with."""
    module = cast(Any, sys.modules[module_name])
    build = module.build_model_with_cfg

    def build_with(model_class: Any, variant: str, pretrained: bool, **kwargs: Any) -> nn.Module:
        return cast(nn.Module, build(model_class, variant, pretrained, **(kwargs | dict(arguments))))

    module.build_model_with_cfg = build_with
    try:
        yield
    finally:
        module.build_model_with_cfg = build


def _check_forward(model: nn.Module, *, num_classes: int, image_size: int) -> None:
    """One blank image through the model: what timm checks only then (window sizes, strides) shows here."""
    training = model.training
    with torch.no_grad():
        logits_BC = model.eval()(torch.zeros(1, IN_CHANS, image_size, image_size))
    model.train(training)
    if not isinstance(logits_BC, torch.Tensor) or logits_BC.shape != (1, num_classes):
        raise ValueError(f"it gives no logits of {num_classes} classes")


def _explained(model: CustomModel, image_size: int, error: Exception) -> str:
    unknown = _unknown_argument(error)
    if unknown:
        return f"model {model.name}: args.{unknown} is not an argument of timm's {model.timm}"
    return (
        f"model {model.name}: timm's {model.timm} cannot be built with args {model.args} for images of "
        f"{image_size} px: {error or type(error).__name__}"
    )


def _unknown_argument(error: Exception) -> str | None:
    """The argument that a constructor refused, in Python's words or in those of timm's newer models."""
    found = re.search(r"unexpected keyword argument(?:\(s\): \[)? ?'(\w+)'", str(error))
    return found[1] if found else None
