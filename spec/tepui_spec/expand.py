"""From a sweep to trials: pure, ordered, and the same in the operator, the engine and the analysis."""

import itertools
import math
import random
from dataclasses import dataclass
from functools import cached_property

from tepui_spec.experiment import CustomModel, ExperimentSpec
from tepui_spec.naming import trial_hash
from tepui_spec.recipes import BUILT_IN, Recipe
from tepui_spec.sweep import MAX_TRIALS, Axes, Factors, Sweep
from tepui_spec.trial import TrialConfig


@dataclass(frozen=True)
class Trial:
    """One trial of a study."""

    index: int
    """Position in the sweep, from 0."""
    factors: Factors
    """What the sweep set for it."""
    config: TrialConfig

    @cached_property
    def hash(self) -> str:
        """The trial's name."""
        return trial_hash(self.config)


def expand(spec: ExperimentSpec) -> tuple[Trial, ...]:
    """All trials of a spec in sweep order; a setting that resolves to one already listed is left out.

    Raises ValueError where the sweep is larger than MAX_TRIALS or names a model or recipe that does not exist.
    """
    trials: dict[str, Trial] = {}
    for factors in _settings(spec.sweep):
        trial = Trial(len(trials), factors, resolve(spec, factors))
        trials.setdefault(trial.hash, trial)
    return tuple(trials.values())


def resolve(spec: ExperimentSpec, factors: Factors) -> TrialConfig:
    """The complete configuration of one setting: factor, then `training`, then recipe.

    The recipe itself is the factors', else the model's own, else `training`'s.
    """
    training = spec.training

    def chosen(name: str) -> object:
        value = getattr(factors, name)
        return value if value is not None else getattr(training, name)

    model = _model(spec, factors.model)
    recipe = _recipe(spec, factors.recipe or model.recipe or training.recipe)
    overrides = {name: chosen(name) for name in _RECIPE_FIELDS}
    fraction, seed = chosen("data_fraction"), chosen("seed")
    return TrialConfig(
        model=model,
        recipe=recipe.model_copy(update={k: v for k, v in overrides.items() if v is not None}),
        data=spec.upstream.data,
        image_size=spec.upstream.image_size,
        precision=training.precision,
        **{k: v for k, v in (("data_fraction", fraction), ("seed", seed)) if v is not None},
    )


_RECIPE_FIELDS = ("batch_size", "epochs", "lr_peak", "weight_decay", "head_weight_decay", "head_lr_scale")


def _recipe(spec: ExperimentSpec, name: str | None) -> Recipe:
    known = {r.name: r for r in (*BUILT_IN, *spec.recipes)}
    if name is None:
        raise ValueError(f"training.recipe: not set, and the sweep sets none; one of {', '.join(known)}")
    if name not in known:
        raise ValueError(f"recipe: {name!r} is not known; one of {', '.join(known)}")
    return known[name]


def _model(spec: ExperimentSpec, name: str | None) -> CustomModel:
    if name is None:
        raise ValueError("sweep: sets no model; list at least one under `model`")
    for model in spec.models:
        if model.name == name:
            return model
    return CustomModel(name=name, timm=name)


def _settings(sweep: Sweep) -> list[Factors]:
    if sweep.grid is not None:
        _check_size("sweep.grid", combinations(sweep.grid))
        return _product(sweep.grid)
    if sweep.random is not None:
        return _draw(sweep.random.axes, sweep.random.count, sweep.random.seed)
    if sweep.one_factor_at_a_time is not None:
        base = sweep.one_factor_at_a_time.base
        values = sweep.one_factor_at_a_time.axes.values()
        _check_size("sweep.oneFactorAtATime", 1 + sum(map(len, values.values())))
        return [base, *(base.model_copy(update={name: v}) for name, vs in values.items() for v in vs)]
    assert sweep.list is not None  # Sweep holds exactly one of the four
    return list(sweep.list)


def combinations(axes: Axes) -> int:
    """How many trials the full grid of these axes has."""
    return math.prod(map(len, axes.values().values()))


def _check_size(field: str, count: int) -> None:
    if count > MAX_TRIALS:
        raise ValueError(f"{field}: makes {count:,} trials; one study holds at most {MAX_TRIALS:,}")


def _product(axes: Axes) -> list[Factors]:
    values = axes.values()
    return [Factors(**dict(zip(values, point, strict=True))) for point in itertools.product(*values.values())]


def _draw(axes: Axes, count: int, seed: int) -> list[Factors]:
    """`count` different points of the grid, drawn by index: a grid of 10^30 points is as good as a small one."""
    total = combinations(axes)
    if count > total:
        raise ValueError(
            f"sweep.random.count: {count} different trials wanted, but the axes have only {total} combinations"
        )
    values, generator = axes.values(), random.Random(seed)
    chosen: dict[int, None] = {}
    while len(chosen) < count:
        chosen.setdefault(generator.randrange(total))
    settings = []
    for index in chosen:
        point, rest = {}, index
        for name, options in reversed(values.items()):
            rest, position = divmod(rest, len(options))
            point[name] = options[position]
        settings.append(Factors(**point))
    return settings
