"""What the contract must know of the installed timm without importing it: names of models, and their arguments.

    python -m tepui_trainer.timm_tables    writes both tables anew, into tepui_spec (about 10 s)

`timm_models.txt` has a model's name a line. `timm_arguments.json` has, for the families whose cost tepui_spec.cost
works out, the arguments that timm builds each model with, and those that its class takes. A test compares both with
the installed timm.
"""

import functools
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import timm
from timm.models import _builder, _registry

FAMILIES = ("VisionTransformer", "VisionTransformerDistilled", "MlpMixer", "ResNet", "ResNetV2")
"""Classes of timm whose cost is known."""

_GIVEN_BY_TRAINER = ("num_classes", "in_chans", "img_size", "device", "dtype")


class _BuiltError(Exception):
    """Ends timm's building of a model where its class and arguments are known and nothing is allocated yet."""

    def __init__(self, model_class: type, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.model_class = model_class
        self.arguments = arguments


def model_names() -> str:
    """All models of the installed timm, a line each."""
    return "".join(f"{name}\n" for name in timm.list_models())


def arguments_table() -> str:
    """The table of arguments, as JSON with a model a line."""
    with _stopped_builder():
        models = {name: built for name in timm.list_models() if (built := _entry(name)) is not None}
        takes = {family: _takes(family, models) for family in FAMILIES}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in models.items())
    classes = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in takes.items())
    return f'{{"classes": {{\n{classes}\n}},\n"models": {{\n{lines}\n}}}}\n'


class _stopped_builder:  # noqa: N801  a context manager, used like a function
    """While it lasts, timm's model functions raise _BuiltError instead of building."""

    def __enter__(self) -> None:
        self._original = _builder.build_model_with_cfg
        self._modules = [
            importlib.import_module(f"timm.models.{name}") for name in sorted(set(_registry._model_to_module.values()))
        ]
        self._modules = [m for m in self._modules if hasattr(m, "build_model_with_cfg")]
        for module in self._modules:
            module.build_model_with_cfg = _stop  # type: ignore[attr-defined]

    def __exit__(self, *error: object) -> None:
        for module in self._modules:
            module.build_model_with_cfg = self._original  # type: ignore[attr-defined]


def _stop(model_cls: type, variant: str, _pretrained: bool, **given: Any) -> None:
    """In the place of timm's build_model_with_cfg: resolve the arguments as it does, and stop."""
    config = _builder.resolve_pretrained_cfg(
        variant, given.pop("pretrained_cfg", None), given.pop("pretrained_cfg_overlay", None)
    )
    own = set(inspect.signature(_builder.build_model_with_cfg).parameters) - {"kwargs"}
    arguments = {name: value for name, value in given.items() if name not in own}
    _builder._update_default_model_kwargs(config.to_dict(), arguments, given.get("kwargs_filter"))
    raise _BuiltError(model_cls, arguments)


def _build(name: str) -> _BuiltError:
    try:
        _registry.model_entrypoint(name)(pretrained=False)
    except _BuiltError as built:
        return built
    raise AssertionError(f"timm builds {name} without build_model_with_cfg")


def _entry(name: str) -> dict[str, Any] | None:
    try:
        built = _build(name)
    except AssertionError:
        return None
    if built.model_class.__name__ not in FAMILIES:
        return None
    arguments = {k: v for k, v in built.arguments.items() if k not in _GIVEN_BY_TRAINER}
    return {
        "class": built.model_class.__name__,
        "arguments": {k: _plain(v) for k, v in sorted(arguments.items())},
    }


def _takes(family: str, models: dict[str, dict[str, Any]]) -> list[str]:
    """Arguments of a family's class, but for those that the trainer gives."""
    example = next(name for name, entry in models.items() if entry["class"] == family)
    parameters = inspect.signature(_build(example).model_class).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return sorted({*_takes("VisionTransformer", models)})
    return sorted(p.name for p in parameters if p.name not in _GIVEN_BY_TRAINER)


def _plain(value: Any) -> Any:
    """A value as JSON; a class or function by its name, with the arguments bound to it."""
    if isinstance(value, functools.partial):
        bound = {k: _plain(v) for k, v in value.keywords.items() if k != "eps"}
        return {"partial": value.func.__name__, **bound} if bound else value.func.__name__
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


def main() -> None:
    """Write both tables into the source tree of tepui_spec."""
    import tepui_spec

    folder = Path(tepui_spec.__path__[0])
    (folder / "timm_models.txt").write_text(model_names())
    (folder / "timm_arguments.json").write_text(arguments_table())


if __name__ == "__main__":
    main()
