"""What holds for every sweep."""

import itertools
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import experiment, experiment_dict
from tepui_spec.expand import Trial, combinations, expand
from tepui_spec.experiment import Experiment
from tepui_spec.naming import trial_hash
from tepui_spec.sweep import Axes
from tepui_spec.trial import TrialConfig

VALUES: dict[str, tuple[Any, ...]] = {
    "model": ("tiny", "resnet18", "mixer_s16_224"),
    "recipe": ("vit-small", "resnet-small"),
    "dataFraction": (0.1, 0.5, 1.0),
    "epochs": (0.5, 1, 7),
    "seed": (0, 1, 2),
    "batchSize": (32, 128),
    "lrPeak": (1e-3, 1e-2),
    "weightDecay": (0.0, 0.1),
    "headWeightDecay": (0.0, 0.1),
    "headLrScale": (0.5, 1.0),
}
"""Values of every factor, few enough that sweeps meet."""


QUICK = settings(deadline=None, max_examples=50)


def some(values: tuple[Any, ...]) -> st.SearchStrategy[list[Any]]:
    """A list of one or two different values."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


def axes_of(*, required: tuple[str, ...] = ("model",)) -> st.SearchStrategy[dict[str, list[Any]]]:
    """Axes of the required factors and of up to three others."""
    others = st.lists(st.sampled_from([n for n in VALUES if n not in required]), max_size=3, unique=True)
    names = others.map(lambda chosen: [*required, *chosen])
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: some(VALUES[name]) for name in chosen}))


FACTORS = st.fixed_dictionaries(
    {"model": st.sampled_from(VALUES["model"])},
    optional={name: st.sampled_from(values) for name, values in VALUES.items() if name != "model"},
)


def trials(sweep: dict[str, Any]) -> tuple[Trial, ...]:
    return expand(experiment(sweep=sweep).spec)


def identities(found: tuple[Trial, ...]) -> set[str]:
    return {trial.hash for trial in found}


@QUICK
@given(axes=axes_of())
def test_a_grid_has_every_combination_once(axes: dict[str, list[Any]]) -> None:
    """As many trials as the product of the axes, less those that resolve alike; numbered without gaps."""
    found = trials({"grid": axes})
    assert len(found) <= combinations(Axes.model_validate(axes))
    assert [trial.index for trial in found] == list(range(len(found)))
    assert len(identities(found)) == len(found)
    listed = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    assert identities(found) == identities(trials({"list": listed}))


@QUICK
@given(axes=axes_of(), extra=FACTORS)
def test_a_wider_grid_holds_the_narrower(axes: dict[str, list[Any]], extra: dict[str, Any]) -> None:
    """To extend a study, apply a wider one: all of its trials are among the new ones, by name."""
    wider = {name: list(dict.fromkeys([*values, extra.get(name, values[0])])) for name, values in axes.items()}
    assert identities(trials({"grid": axes})) <= identities(trials({"grid": wider}))


@QUICK
@given(axes=axes_of(), seed=st.integers(0, 2**31 - 1), data=st.data())
def test_a_random_sweep_is_a_part_of_the_grid(axes: dict[str, list[Any]], seed: int, data: st.DataObject) -> None:
    """So many different points of it, the same for the same seed, and a longer draw begins with the shorter."""
    total = combinations(Axes.model_validate(axes))
    count = data.draw(st.integers(1, min(total, 40)))
    sweep = {"random": {"count": count, "seed": seed, "axes": axes}}
    found = trials(sweep)
    assert [t.factors for t in found] == [t.factors for t in trials(sweep)]
    assert identities(found) <= identities(trials({"grid": axes}))
    if count < total:
        longer = trials({"random": {"count": count + 1, "seed": seed, "axes": axes}})
        assert [t.factors for t in longer][: len(found)] == [t.factors for t in found]


@QUICK
@given(base=FACTORS, axes=axes_of(required=("epochs",)))
def test_one_factor_at_a_time_differs_from_the_base_in_one_factor(base: dict[str, Any], axes: dict[str, Any]) -> None:
    """The base comes first, every other trial differs in one factor, and all values of all axes appear."""
    found = trials({"oneFactorAtATime": {"base": base, "axes": axes}})
    first = found[0].factors
    assert first == trials({"list": [base]})[0].factors
    for trial in found[1:]:
        names = type(first).model_fields
        assert sum(getattr(trial.factors, name) != getattr(first, name) for name in names) == 1
    each = [base, *(base | {name: value} for name, values in axes.items() for value in values)]
    assert identities(found) == identities(trials({"list": each}))


@QUICK
@given(factors=st.lists(FACTORS, min_size=1, max_size=12), shuffle=st.randoms(use_true_random=False))
def test_the_order_of_a_list_changes_no_name(factors: list[dict[str, Any]], shuffle: random.Random) -> None:
    """A trial's name depends on its setting alone."""
    shuffled = shuffle.sample(factors, len(factors))
    assert identities(trials({"list": factors})) == identities(trials({"list": shuffled}))


def identity(config: TrialConfig) -> object:
    """What a trial is: its configuration without labels."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"name": "_", "family": None, "recipe": None}),
            "recipe": config.recipe.model_copy(update={"name": "_"}),
        }
    )


@settings(deadline=None, max_examples=200)
@given(one=FACTORS, other=FACTORS)
def test_hashes_are_equal_exactly_where_identities_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Neither do two trainings share a name, nor has one training two."""
    a, b = (trials({"list": [factors]})[0].config for factors in (one, other))
    assert (trial_hash(a) == trial_hash(b)) == (identity(a) == identity(b))


@QUICK
@given(axes=axes_of())
def test_names_survive_the_wire(axes: dict[str, list[Any]]) -> None:
    """The analysis expands an experiment that went through JSON, and meets the same trials."""
    study = Experiment.model_validate(experiment_dict(sweep={"grid": axes}))
    returned = Experiment.model_validate_json(study.model_dump_json(by_alias=True))
    assert [t.hash for t in expand(returned.spec)] == [t.hash for t in expand(study.spec)]
