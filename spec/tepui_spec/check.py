"""What must hold between the fields of a spec, and between it and what is known of timm: pure, and by field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tepui_spec.errors import Problem
from tepui_spec.expand import combinations
from tepui_spec.experiment import CustomModel, Data, Experiment, ExperimentSpec
from tepui_spec.nearest import did_you_mean
from tepui_spec.recipes import BUILT_IN, Recipe
from tepui_spec.sweep import MAX_TRIALS, Axes, Factors, Sweep
from tepui_spec.timm_knowledge import arguments_of, construction, model_names

Path = tuple[str | int, ...]
Listed = tuple[tuple[Path, str], ...]

RESERVED_ARGUMENTS = {
    "num_classes": "it follows from the upstream data",
    "in_chans": "models always take RGB",
    "img_size": "it is upstream.imageSize",
    **dict.fromkeys(
        ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
        "trials start from random weights",
    ),
    **dict.fromkeys(("features_only", "scriptable", "exportable", "device", "dtype"), "the trainer sets it"),
}
"""Arguments of timm.create_model that a study cannot set, each with the reason."""


def check(experiment: Experiment) -> list[Problem]:
    """Everything wrong with a spec whose fields are each valid; what is repeated in a sweep once for each value."""
    spec = experiment.spec
    found = [*_data(spec), *_tracking(spec), *_custom_models(spec), *_size(spec.sweep)]
    for setting in _settings(spec.sweep):
        found += _models(spec, setting)
        found += _recipes(spec, setting)
    first: dict[tuple[str, str | None], Problem] = {}
    for problem in found:
        first.setdefault((problem.what, problem.shown), problem)
    return list(first.values())


def _data(spec: ExperimentSpec) -> Iterator[Problem]:
    named = (("spec", "evaluation", "datasets", i, "data") for i in range(len(spec.evaluation.datasets)))
    all_data: list[tuple[Path, Data]] = [(("spec", "upstream", "data"), spec.upstream.data)]
    all_data += zip(named, (d.data for d in spec.evaluation.datasets), strict=True)
    for path, data in all_data:
        if data.train_split == data.test_split:
            what = "is trainSplit too; measuring needs images that were not trained on"
            yield Problem((*path, "testSplit"), what, str(data.test_split))


def _tracking(spec: ExperimentSpec) -> Iterator[Problem]:
    uri = spec.tracking.mlflow.uri
    if uri is not None and not uri.startswith(("http://", "https://", "sqlite:///")):
        what = "not a tracking server; allowed: http://, https:// or sqlite:/// and what follows"
        yield Problem(("spec", "tracking", "mlflow", "uri"), what, uri)


def _custom_models(spec: ExperimentSpec) -> Iterator[Problem]:
    for i, model in enumerate(spec.models):
        path: Path = ("spec", "models", i)
        unknown = _unknown_timm((*path, "timm"), model.timm)
        if unknown is not None:
            yield unknown
            continue
        if model.recipe is not None and model.recipe not in _known_recipes(spec):
            yield _unknown_recipe(spec, (*path, "recipe"), model.recipe)
        yield from _arguments((*path, "args"), model, spec.upstream.image_size)


def _arguments(path: Path, model: CustomModel, image_size: int) -> Iterator[Problem]:
    built = construction(model.timm)
    known = None if built is None else arguments_of(built.family)
    for name in model.args:
        if name in RESERVED_ARGUMENTS:
            yield Problem((*path, name), f"cannot be set: {RESERVED_ARGUMENTS[name]}")
        elif known is not None and name not in known:
            what = f"not an argument of timm's {model.timm}; {did_you_mean(name, known)}it takes {', '.join(known)}"
            yield Problem((*path, name), what)
    if built is not None and {"embed_dim", "num_heads", "patch_size"} & set(model.args):
        yield from _shape(path, model, built.arguments, image_size)


def _shape(path: Path, model: CustomModel, defaults: dict[str, object], image_size: int) -> Iterator[Problem]:
    """What timm would refuse only when the pod builds the model."""
    arguments = defaults | model.args
    wide, heads, patch = (arguments.get(name) for name in ("embed_dim", "num_heads", "patch_size"))
    if isinstance(wide, int) and isinstance(heads, int) and heads > 0 and wide % heads:
        yield Problem(path, f"embed_dim {wide} is not divisible by num_heads {heads}")
    if isinstance(patch, int) and patch > image_size:
        yield Problem((*path, "patch_size"), f"larger than upstream.imageSize, {image_size}", str(patch))


def _size(sweep: Sweep) -> Iterator[Problem]:
    if sweep.grid is not None and (trials := combinations(sweep.grid)) > MAX_TRIALS:
        yield Problem(("spec", "sweep", "grid"), f"makes {trials:,} trials; one study holds at most {MAX_TRIALS:,}")
    if sweep.random is not None and sweep.random.count > (trials := combinations(sweep.random.axes)):
        what = f"more than the {trials:,} different combinations of the axes"
        yield Problem(("spec", "sweep", "random", "count"), what, str(sweep.random.count))


@dataclass(frozen=True)
class _Setting:
    """Part of a sweep in which every model meets every recipe and batch size: by path, empty where inherited."""

    path: Path
    models: Listed
    recipes: Listed
    batch_sizes: tuple[tuple[Path, int], ...]


def _settings(sweep: Sweep) -> Iterator[_Setting]:
    if sweep.grid is not None:
        yield _of_axes(("spec", "sweep", "grid"), sweep.grid)
    if sweep.random is not None:
        yield _of_axes(("spec", "sweep", "random", "axes"), sweep.random.axes)
    if sweep.one_factor_at_a_time is not None:
        way: Path = ("spec", "sweep", "oneFactorAtATime")
        base = _of_factors((*way, "base"), sweep.one_factor_at_a_time.base)
        axes = _of_axes((*way, "axes"), sweep.one_factor_at_a_time.axes)
        yield base
        for name in ("models", "recipes", "batch_sizes"):
            if getattr(axes, name):
                yield replace(base, **{name: getattr(axes, name)})
    for i, factors in enumerate(sweep.list or ()):
        yield _of_factors(("spec", "sweep", "list", i), factors)


def _of_axes(path: Path, axes: Axes) -> _Setting:
    def listed(name: str, values: Iterable[str | int] | None) -> tuple[tuple[Path, str | int], ...]:
        return tuple(((*path, name, i), value) for i, value in enumerate(values or ()))

    batch_sizes = listed("batchSize", axes.batch_size)
    return _Setting(path, listed("model", axes.model), listed("recipe", axes.recipe), batch_sizes)  # type: ignore[arg-type]


def _of_factors(path: Path, factors: Factors) -> _Setting:
    return _Setting(
        path,
        () if factors.model is None else (((*path, "model"), factors.model),),
        () if factors.recipe is None else (((*path, "recipe"), factors.recipe),),
        () if factors.batch_size is None else (((*path, "batchSize"), factors.batch_size),),
    )


def _models(spec: ExperimentSpec, setting: _Setting) -> Iterator[Problem]:
    if not setting.models:
        yield Problem(setting.path, "sets no model; give at least one under `model`")
    custom = {m.name for m in spec.models}
    for path, name in setting.models:
        if name not in custom and (problem := _unknown_timm(path, name, tuple(sorted(custom)))) is not None:
            yield problem


def _unknown_timm(path: Path, name: str, custom: tuple[str, ...] = ()) -> Problem | None:
    if name in model_names():
        return None
    base, _, tag = name.partition(".")
    if base in model_names():
        return Problem(path, f"names the weights {tag!r}, but trials start from random weights; write {base}", name)
    known = f"{'a name from spec.models, or ' if custom else ''}a model of timm (`tepui models` lists them)"
    return Problem(path, f"unknown model; {did_you_mean(name, (*custom, *model_names()))}allowed: {known}", name)


def _recipes(spec: ExperimentSpec, setting: _Setting) -> Iterator[Problem]:
    known, training = _known_recipes(spec), spec.training
    used: list[tuple[Path, str]] = list(setting.recipes)
    if not used:
        own = {m.name: m.recipe for m in spec.models}
        without = [name for _, name in setting.models if own.get(name) is None]
        if without and training.recipe is None:
            what = f"no recipe is set for {', '.join(without)}: set one here; allowed: {', '.join(known)}"
            yield Problem(("spec", "training", "recipe"), what)
        elif without:
            used.append((("spec", "training", "recipe"), str(training.recipe)))
        used += [(path, str(own[name])) for path, name in setting.models if own.get(name) is not None]
    for path, name in used:
        if name not in known:
            yield _unknown_recipe(spec, path, name)
    inherited = [(path, known[name].batch_size) for path, name in used if name in known]
    if training.batch_size is not None:
        inherited = [(("spec", "training", "batchSize"), training.batch_size)]
    for path, size in setting.batch_sizes or inherited:
        yield from _batch_size(spec, path, size)


def _known_recipes(spec: ExperimentSpec) -> dict[str, Recipe]:
    return {r.name: r for r in (*BUILT_IN, *spec.recipes)}


def _unknown_recipe(spec: ExperimentSpec, path: Path, name: str) -> Problem:
    known = list(_known_recipes(spec))
    return Problem(path, f"unknown recipe; {did_you_mean(name, known)}allowed: {', '.join(known)}", name)


def _batch_size(spec: ExperimentSpec, path: Path, size: int) -> Iterator[Problem]:
    world, micro = spec.pods.world_size, spec.training.micro_batch_size
    unit = world * (micro or 1)
    if size % unit:
        of = f"{world} processes (pods.nodes x {'gpusPerNode' if spec.pods.gpus_per_node else 'processesPerNode'})"
        if micro is not None:
            of += f" x {micro} images (training.microBatchSize)"
        near = [n for n in (size // unit * unit, (size // unit + 1) * unit) if n]
        what = f"a batch of {size} is not a multiple of {of}; nearest: {' and '.join(map(str, near))}"
        yield Problem(path, what)
