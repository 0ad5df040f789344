"""What a study would take: work, memory and hours of its models. Arithmetic, but for reading a dataset's card."""

from collections.abc import Iterable
from dataclasses import dataclass

from tepui_operator.local_data import local_folder, read_card
from tepui_operator.payloads import Site
from tepui_operator.resources import mebibytes
from tepui_operator.study import Study
from tepui_spec import cost
from tepui_spec.cost import GpuBytes, ModelCost
from tepui_spec.expand import Trial

SUSTAINED_FLOPS_PER_S = {"bf16": 125e12, "fp32": 10e12, "cpu": 20e9}
"""Operations per second that one GPU, or one core, is taken to sustain: an A100 at 40% of its bf16 peak and half of
its fp32 peak, and a core of a server. `tepui plan --flops-per-s` says otherwise."""


@dataclass(frozen=True, slots=True)
class UpstreamSize:
    """How large the upstream data are."""

    train_images: int
    num_classes: int


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """All trials of one model. None: not known."""

    name: str
    timm: str
    trials: int
    cost: ModelCost | None
    memory: GpuBytes | None
    """Of the trial that needs most, for each process."""
    memory_limit_bytes: int
    flops: tuple[float, float] | None
    """Of a whole training: the least and the most."""
    total_flops: float | None
    hours: float | None


def upstream_size(site: Site, study: Study) -> UpstreamSize | None:
    """Read from the card of the upstream data where that is a local folder; None elsewhere, and where it is no card."""
    data = study.experiment.spec.upstream.data
    folder = local_folder(site.absolute(data.uri, "spec.upstream.data.uri"))
    try:
        card = read_card(folder) if folder is not None else None
    except ValueError:  # `data_check` tells of it
        return None
    split = card.splits.get(data.train_split) if card is not None else None
    return UpstreamSize(split.images, len(split.images_per_class)) if split is not None else None


def estimates(study: Study, size: UpstreamSize | None, flops_per_s: float | None = None) -> list[ModelEstimate]:
    """One estimate a model, in the order of the sweep."""
    by_model: dict[str, list[Trial]] = {}
    for trial in study.trials:
        by_model.setdefault(trial.config.model.name, []).append(trial)
    return [_model(study, trials, size, flops_per_s or sustained_flops_per_s(study)) for trials in by_model.values()]


def sustained_flops_per_s(study: Study) -> float:
    """What one GPU (without GPUs: one core) is taken to do."""
    spec = study.experiment.spec
    return SUSTAINED_FLOPS_PER_S[spec.training.precision if spec.pods.gpus_per_node else "cpu"]


def _model(study: Study, trials: list[Trial], size: UpstreamSize | None, flops_per_s: float) -> ModelEstimate:
    config, pods = trials[0].config, study.experiment.spec.pods
    classes = size.num_classes if size is not None else 1000
    model_cost = cost.model_cost(config.model, image_size=config.image_size, num_classes=classes)
    flops = [f for f in (_flops(t, size) for t in trials) if f is not None]
    total = sum(flops) if len(flops) == len(trials) else None
    limit = mebibytes(pods.gpu_memory) if pods.gpus_per_node else mebibytes(pods.memory) // pods.processes
    return ModelEstimate(
        name=config.model.name,
        timm=config.model.timm,
        trials=len(trials),
        cost=model_cost,
        memory=_memory(study, trials, model_cost),
        memory_limit_bytes=limit * 2**20,
        flops=(min(flops), max(flops)) if flops else None,
        total_flops=total,
        hours=total / flops_per_s / 3600 if total is not None else None,
    )


def _flops(trial: Trial, size: UpstreamSize | None) -> float | None:
    if size is None:
        return None
    return cost.training_flops(trial.config, train_images=size.train_images, num_classes=size.num_classes)


def _memory(study: Study, trials: Iterable[Trial], model_cost: ModelCost | None) -> GpuBytes | None:
    if model_cost is None:
        return None
    spec = study.experiment.spec
    world_size = spec.pods.world_size
    needs = []
    for trial in trials:
        recipe = trial.config.recipe
        micro_batch_size = cost.micro_batch_of(
            recipe, micro_batch_size=spec.training.micro_batch_size, world_size=world_size
        )
        needs.append(
            cost.gpu_bytes(
                model_cost,
                optimizer=recipe.optimizer,
                precision=trial.config.precision,
                zero_stage=spec.training.deepspeed.zero_stage,
                world_size=world_size,
                micro_batch_size=micro_batch_size,
            )
        )
    return max(needs, key=lambda need: need.total)
