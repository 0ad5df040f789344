"""ExperimentSpec: what a user writes."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from tepui_spec.base import DNS_LABEL, Name, Section, StudyName, Uri, form, refuse_repeats
from tepui_spec.pods import LabelValue, Pods, Retries, Storage, Tracking
from tepui_spec.recipes import BUILT_IN, Recipe
from tepui_spec.sweep import Hyperparameters, Sweep

API_VERSION: Literal["tepui.dev/v1alpha1"] = "tepui.dev/v1alpha1"
KIND: Literal["ExperimentSpec"] = "ExperimentSpec"

DataFormat = Literal["parquet", "imagefolder", "webdataset"]

AnnotationValue = Annotated[str, Field(max_length=10_000, description="Any text.")]


class Data(Section):
    """Labelled images that fsspec can open."""

    uri: Uri = Field(
        description="Folder of the dataset: any URI that fsspec opens (file://, s3://, gs://, hf://). A path without a "
        "scheme is taken from the folder of the YAML file, and works on one machine only."
    )
    format: DataFormat = Field(
        "parquet",
        description="parquet: shards with bytes and label; imagefolder: split/class/file; webdataset: tar shards.",
    )
    content_hash: str | None = Field(
        None,
        max_length=71,
        pattern=form(r"^sha256:[0-9a-f]{64}$", "sha256: and 64 hexadecimal digits"),
        description="Refuse to train on anything but the data with this hash (`tepui data show URI` prints it).",
    )
    train_split: Name = Field("train", description="The split to train on, or to draw support sets from.")
    test_split: Name | None = Field(
        None,
        description="The split to measure on. Default: validation for the upstream data, test for a task.",
    )
    max_corrupt_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Unreadable images are counted and passed over up to this share; more end the trial.",
    )


class Upstream(Section):
    """What models are pre-trained on."""

    data: Data = Field(description="Images with the classes that models are pre-trained to tell apart.")
    image_size: int = Field(
        224,
        ge=8,
        le=4096,
        description="Height and width, in pixels, at which images are trained and evaluated.",
    )


class CustomModel(Section):
    """A model with its own width, depth or other arguments, to be listed by its name."""

    name: Name = Field(description="What the sweep lists the model by.")
    timm: Name = Field(description="The timm model to start from.")
    args: dict[str, JsonValue] = Field(
        default_factory=dict,
        max_length=50,
        description="Keyword arguments for timm.create_model, such as embed_dim and depth.",
    )
    recipe: Name | None = Field(
        None, description="Recipe of this model where a trial's own factors name none; goes before training.recipe."
    )
    family: Name | None = Field(
        None,
        description="Label of related models in plots and intervals; default: the timm name up to its first '_'.",
    )

    @field_validator("args", mode="after")
    @classmethod
    def _whole_numbers_are_integers(cls, args: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return {name: _canonical(value) for name, value in args.items()}


def _canonical(value: JsonValue) -> JsonValue:
    """4.0 as 4, as it comes back from an API server: one file must make the same trials on a cluster as without."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _canonical(entry) for name, entry in value.items()}
    return value


class NamedData(Section):
    """A dataset of a downstream task, to be listed by its name."""

    name: Name = Field(description="What `tasks` lists the dataset by.")
    data: Data = Field(description="Where its images are.")


class DeepSpeed(Section):
    """What of DeepSpeed a study chooses; the rest follows from recipe and pods."""

    zero_stage: Literal[0, 1, 2, 3] = Field(
        0, description="What is divided over GPUs: 1 optimizer, 2 gradients, 3 weights."
    )


class Training(Hyperparameters):
    """How every trial trains, where its own factors say nothing else."""

    precision: Literal["fp32", "bf16"] = Field("bf16", description="Number format of the forward and backward pass.")
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="Images per process and backward pass; default: the whole batch at once.",
    )
    deepspeed: DeepSpeed = Field(default_factory=DeepSpeed, description="How DeepSpeed divides a model over GPUs.")
    checkpoint_every_s: float = Field(
        600,
        gt=0,
        le=86_400,
        description="Seconds between checkpoints: what an interruption can cost at most.",
    )
    curve_points: int = Field(
        20,
        ge=1,
        le=10_000,
        description="How often, evenly over training, the loss and validation error are recorded.",
    )


class Evaluation(Section):
    """Few-shot evaluation of the checkpoints on downstream tasks."""

    tasks: tuple[Name, ...] = Field(min_length=1, max_length=200, description="Downstream tasks by name.")
    data_root: Uri | None = Field(
        None, description="A task that is not in `datasets` is the folder of its name below this URI."
    )
    datasets: tuple[NamedData, ...] = Field((), max_length=200, description="Data of tasks that lie elsewhere.")
    shots: tuple[Annotated[int, Field(ge=1, le=10_000, description="Labelled images per class.")], ...] = Field(
        (1, 5, 10, 25),
        min_length=1,
        max_length=20,
        description="Sizes of the support set, in labelled images per class.",
    )
    support_seeds: int = Field(
        3, ge=1, le=100, description="Independent support sets, seeds 0 to n-1; nested over shots."
    )
    layers: Literal["last", "all"] = Field("last", description="Features of the last block only, or of every block.")
    checkpoints: Literal["final"] = Field(
        "final", description="Which checkpoints of a trial are evaluated: the final model."
    )
    l2: Literal["leave-one-out", "fixed"] = Field(
        "leave-one-out",
        description="Ridge penalty: from 2^-10..2^19 by leave-one-out error on the support set, or fixed at 2^10.",
    )

    @model_validator(mode="after")
    def _tasks_have_data_once(self) -> Self:
        refuse_repeats("tasks", self.tasks)
        refuse_repeats("datasets", (d.name for d in self.datasets))
        refuse_repeats("shots", self.shots)
        missing = sorted(set(self.tasks) - {d.name for d in self.datasets})
        if missing and self.data_root is None:
            raise ValueError(f"no data for the tasks {', '.join(missing)}: give dataRoot, or list them under datasets")
        return self

    def data_of(self, task: str) -> Data:
        """Where the images of one of `tasks` are."""
        for dataset in self.datasets:
            if dataset.name == task:
                return dataset.data
        return Data(uri=f"{str(self.data_root).rstrip('/')}/{task}")


class Analysis(Section):
    """How rows become laws."""

    confidence: float = Field(0.95, ge=0.5, le=0.999, description="Coverage of all intervals.")


class Budget(Section):
    """What the study may spend."""

    gpu_hours: float = Field(
        gt=0,
        le=1e9,
        description="No new pod starts once pods have held this many GPU-hours (CPU pods: core-hours).",
    )


class ExperimentSpec(Section):
    """A study: which models to pre-train, on what, how to evaluate them, and where it all runs."""

    upstream: Upstream = Field(description="What models are pre-trained on.")
    models: tuple[CustomModel, ...] = Field((), max_length=1000, description="Models with arguments of their own.")
    recipes: tuple[Recipe, ...] = Field((), max_length=100, description="Recipes beside the built-in ones.")
    sweep: Sweep = Field(description="Which trials to run: exactly one of grid, random, oneFactorAtATime, list.")
    training: Training = Field(
        default_factory=Training, description="How trials train, where the sweep says nothing else."
    )
    evaluation: Evaluation = Field(description="Downstream tasks and the few-shot protocol.")
    analysis: Analysis = Field(default_factory=Analysis, description="How rows become laws.")
    pods: Pods = Field(default_factory=Pods, description="What each pod asks of the machine or cluster.")
    storage: Storage = Field(description="Where checkpoints, rows and reports go.")
    tracking: Tracking = Field(default_factory=Tracking, description="The MLflow server where people watch.")
    parallelism: int = Field(
        8, ge=1, le=1000, description="Training pods (or gangs) of this study at work at the same time."
    )
    suspend: bool = Field(False, description="Stop all pods and start none until this is false again.")
    retries: Retries = Field(default_factory=Retries, description="Further attempts after a failure, by its class.")
    budget: Budget | None = Field(None, description="What the study may spend; default: no limit.")
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=31_536_000,
        description="On a cluster, delete each Job this many seconds (at least 3600) after its end; default: a day.",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        refuse_repeats("models", (m.name for m in self.models))
        refuse_repeats("recipes", (r.name for r in self.recipes))
        shadowed = sorted({r.name for r in self.recipes} & {r.name for r in BUILT_IN})
        if shadowed:
            raise ValueError(f"recipes redefines the built-in {', '.join(shadowed)}: choose another name")
        return self


class Metadata(Section):
    """Who the study is. Other Kubernetes metadata is accepted from the API server, not from a file."""

    name: StudyName
    namespace: Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)] = Field(
        "default", description="Namespace of the study on a cluster."
    )
    labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=100, description="Labels of the object, as Kubernetes takes them."
    )
    annotations: dict[str, AnnotationValue] = Field(
        default_factory=dict, max_length=100, description="Annotations of the object, as Kubernetes takes them."
    )


class Experiment(Section):
    """The whole object, as in a YAML file."""

    api_version: Literal["tepui.dev/v1alpha1"] = Field(API_VERSION, description="Version of this contract.")
    kind: Literal["ExperimentSpec"] = Field(KIND, description="What the object is.")
    metadata: Metadata = Field(description="Who the study is.")
    spec: ExperimentSpec = Field(description="The study: what to train, on what, how to evaluate it, and where.")
