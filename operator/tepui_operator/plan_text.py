"""`tepui plan`: what a study would run, before anything does."""

import json
from pathlib import Path

from tepui_operator.child import Child
from tepui_operator.estimate import ModelEstimate, UpstreamSize, estimates, sustained_flops_per_s, upstream_size
from tepui_operator.manifests import objects
from tepui_operator.payloads import Site
from tepui_operator.resources import hours_unit
from tepui_operator.study import Study
from tepui_operator.tasks import check_tasks
from tepui_operator.text import si, size, table
from tepui_spec.cost import GpuBytes

UNKNOWN = "not known"
ADVICE = (
    "To make it fit: a smaller training.microBatchSize (activations), a higher training.deepspeed.zeroStage or more "
    "GPUs (optimizer, then gradients, then weights)."
)


def plan_text(study: Study, file: Path, *, given: UpstreamSize | None = None, flops_per_s: float | None = None) -> str:
    """Trials, cost of each model, memory against what there is, hours, and objects to be created.

    Raises ValueError where the study cannot run at all: what its pods would be told is too long.
    """
    site = Site(file.resolve().parent)
    check_tasks(study, site)
    upstream = given or upstream_size(site, study)
    found = estimates(study, upstream, flops_per_s)
    rate = flops_per_s or sustained_flops_per_s(study)
    parts = [_head(study, upstream), _models(found), _memory(study, found), _hours(study, found, rate), _objects(study)]
    return "\n\n".join(parts) + "\n"


def objects_text(study: Study) -> str:
    """The Kubernetes objects of all first attempts, in the order of submission: JSON documents, which are YAML."""
    children = [Child(study.name, stage, trial, 0) for trial in study.order for stage in ("train", "evaluate")]
    children.append(Child(study.name, "analyse", None, 1, final=True, covers=len(study.trials)))
    made = (manifest for child in children for manifest in objects(study, child, Site()))
    return "".join(f"---\n{json.dumps(manifest, indent=2)}\n" for manifest in made)


def _head(study: Study, upstream: UpstreamSize | None) -> str:
    spec = study.experiment.spec
    data = spec.upstream.data.uri
    known = (
        f"{upstream.train_images:,} training images, {upstream.num_classes:,} classes"
        if upstream is not None
        else "its card is not readable from here: give --images and --classes to estimate work and hours"
    )
    budget = f", budget {spec.budget.gpu_hours:g} {hours_unit(spec.pods)}" if spec.budget is not None else ""
    return (
        f"Study {study.name}: {len(study.trials):,} trials, at most {spec.parallelism} training at a time{budget}\n"
        f"Upstream {data} ({known}), {spec.upstream.image_size} px\n"
        f"Downstream {', '.join(spec.evaluation.tasks)}; shots {', '.join(map(str, spec.evaluation.shots))}; "
        f"{spec.evaluation.support_seeds} support sets"
    )


def _models(found: list[ModelEstimate]) -> str:
    rows = [("model", "timm", "trials", "parameters", "FLOPs/image", "FLOPs of a training")]
    for model in found:
        parameters = si(model.cost.parameters) if model.cost is not None else UNKNOWN
        forward = si(model.cost.forward_flops) if model.cost is not None else UNKNOWN
        rows.append((model.name, model.timm, f"{model.trials:,}", parameters, forward, _span(model.flops)))
    return table(rows, right=frozenset({2, 3, 4, 5}))


def _span(flops: tuple[float, float] | None) -> str:
    if flops is None:
        return UNKNOWN
    low, high = f"{flops[0]:.2g}", f"{flops[1]:.2g}"
    return low if low == high else f"{low} to {high}"


def _memory(study: Study, found: list[ModelEstimate]) -> str:
    spec = study.experiment.spec
    what = f"GPU ({spec.pods.gpu_memory})" if spec.pods.gpus_per_node else f"process ({spec.pods.memory} a pod)"
    title = (
        f"Memory of each {what}: {spec.training.precision}, ZeRO stage {spec.training.deepspeed.zero_stage}, "
        f"processes per trial: {spec.pods.world_size}"
    )
    rows = [("model", "weights", "gradients", "optimizer", "activations", "sum", "")]
    rows += [(model.name, *_parts(model.memory), _verdict(model)) for model in found]
    too_large = any(m.memory is not None and m.memory.total > m.memory_limit_bytes for m in found)
    advice = f"\n{ADVICE}" if too_large else ""
    return f"{title}\n{table(rows, right=frozenset({1, 2, 3, 4, 5}))}{advice}"


def _parts(memory: GpuBytes | None) -> tuple[str, str, str, str, str]:
    if memory is None:
        return (UNKNOWN,) * 5
    return (
        size(memory.weights),
        size(memory.gradients),
        size(memory.optimizer),
        size(memory.activations),
        size(memory.total),
    )


def _verdict(model: ModelEstimate) -> str:
    if model.memory is None:
        return ""
    share = model.memory.total / model.memory_limit_bytes
    if share < 0.01:
        return "<1%"
    return f"{share:.0%}" if share <= 1 else f"{share:.0%}: DOES NOT FIT"


def _hours(study: Study, found: list[ModelEstimate], rate: float) -> str:
    pods = study.experiment.spec.pods
    unit, one = hours_unit(pods), "GPU" if pods.gpus_per_node else "core"
    hours = [model.hours for model in found if model.hours is not None]
    assumed = f"if each {one} sustains {si(rate, 'FLOP/s')} (--flops-per-s says otherwise)"
    if not hours:
        return f"Training: {unit} {UNKNOWN}"
    unknown = f", and {len(found) - len(hours)} models whose cost is {UNKNOWN}" if len(hours) < len(found) else ""
    return f"Training: about {_amount(sum(hours))} {unit}{unknown}, {assumed}"


def _objects(study: Study) -> str:
    pods, policy, trials = study.experiment.spec.pods, study.policy, len(study.trials)
    interim = len(policy.interim_shares) if trials >= policy.interim_min_trials else 0
    gang = f" (Indexed, {pods.nodes} pods each) with {trials:,} headless Services" if pods.nodes > 1 else ""
    return (
        f"Objects: {trials:,} training Jobs{gang}, {trials:,} evaluation Jobs, {interim + 1} analysis Jobs; "
        f"a failed attempt adds one (`--objects` prints them)"
    )


def _amount(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 99.5 else f"{hours:.2g}"
