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

from tepui_spec.experiment import CustomModel

IN_CHANS = 3
"""Every model takes RGB, so that features of a model trained on grey images exist for colour tasks too."""
RESERVED = {
    "num_classes": "it follows from the upstream data",
    "in_chans": "models always take RGB",
    "img_size": "it is upstream.imageSize",
    **dict.fromkeys(
        ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
        "trials start from random weights",
    ),
    **dict.fromkeys(("features_only", "scriptable", "exportable", "device", "dtype"), "the trainer sets it"),
}


def build_model(model: CustomModel, *, num_classes: int, image_size: int) -> nn.Module:
    """The model, initialised from torch's global generator: (B, 3, image_size, image_size) to (B, num_classes).

    `image_size` goes to models that take one (ViT, Mixer, Swin); others take any. A ResNet keeps timm's stem, which
    divides height and width by 4, unless its arguments ask for another (`stem_type`, `stem_chs`).

    Raises:
        ValueError: for a name that timm does not know (with the nearest ones), an argument that is not the model's,
            or arguments that do not fit each other or the image size.
    """
    require_known(model.timm)
    for name, reason in RESERVED.items():
        if name in model.args:
            raise ValueError(f"model {model.name}: args.{name} cannot be set: {reason}")
    try:
        module = _create(model.timm, model.args, num_classes=num_classes, image_size=image_size)
        _check_forward(module, num_classes=num_classes, image_size=image_size)
    except Exception as error:  # the user's arguments run timm's code: any exception there is theirs
        raise ValueError(_explained(model, image_size, error)) from error
    return module


def require_known(timm_name: str) -> None:
    """Raises ValueError for a name that timm does not know, with the nearest ones."""
    if not timm.is_model(timm_name):
        nearest = difflib.get_close_matches(timm_name, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
        raise ValueError(f"model {timm_name!r} is not a timm {timm.__version__} model{hint}")


def classifier(model: nn.Module) -> nn.Module:
    """The layer that turns features into logits. Raises ValueError for a model without a single one."""
    head = cast(Any, model).get_classifier()
    if not isinstance(head, nn.Linear | nn.Conv2d):
        raise ValueError(  # noqa: TRY004  the user chose this model
            f"{type(model).__name__} has no single linear classifier, but {type(head).__name__}"
        )
    return head


def set_head_bias(model: nn.Module, value: float) -> None:
    """Fill the classifier's bias. Raises ValueError if there is none and the value is not 0."""
    if value == 0:
        return
    bias = classifier(model).bias
    if not isinstance(bias, torch.Tensor):
        raise ValueError(  # noqa: TRY004  the user chose this model
            f"recipe.headBias is {value}, but the classifier of {type(model).__name__} has no bias"
        )
    with torch.no_grad():
        bias.fill_(value)


def _create(timm_name: str, args: Mapping[str, Any], *, num_classes: int, image_size: int) -> nn.Module:
    entry = model_entrypoint(timm_name)
    sizes = {"num_classes": num_classes, "in_chans": IN_CHANS}
    fixed: dict[str, Any] = {}
    with _with_arguments(entry.__module__, fixed):
        try:
            return _with_img_size(timm_name, image_size, sizes | dict(args))
        except TypeError as error:
            if "multiple values for keyword argument" not in str(error):
                raise
        # timm's entry points of Mixer and some others fix what tells their variants apart
        fixed.update(args)
        return _with_img_size(timm_name, image_size, sizes)


def _with_img_size(timm_name: str, image_size: int, kwargs: Mapping[str, Any]) -> nn.Module:
    try:
        return cast(nn.Module, timm.create_model(timm_name, pretrained=False, img_size=image_size, **kwargs))
    except TypeError as error:
        if "unexpected keyword argument 'img_size'" not in str(error):
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
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown:
        return f"model {model.name}: args.{unknown[1]} is not an argument of timm's {model.timm}"
    return (
        f"model {model.name}: timm's {model.timm} cannot be built with args {model.args} for images of "
        f"{image_size} px: {error or type(error).__name__}"
    )
