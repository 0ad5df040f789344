"""What one pod is told: a frozen payload in its environment (TEPUI_TASK), or in a file (TEPUI_TASK_FILE)."""

from typing import Literal

from pydantic import Field, JsonValue

from tepui_spec.base import Section
from tepui_spec.experiment import CustomModel, Data, Evaluation, Experiment
from tepui_spec.pods import MlflowServer
from tepui_spec.recipes import Recipe
from tepui_spec.sweep import DataFraction, Seed

TASK_VARIABLE = "TEPUI_TASK"
"""Environment variable with the payload as JSON."""
TASK_FILE_VARIABLE = "TEPUI_TASK_FILE"
"""Environment variable with the path of a file that holds the payload, where it is too long for TASK_VARIABLE."""
TERMINATION_LOG_VARIABLE = "TEPUI_TERMINATION_LOG"
"""Environment variable with the path for the PodReport; default /dev/termination-log."""
PROGRESS_VARIABLE = "TEPUI_PROGRESS"
"""Environment variable with the path of the Progress file; absent where nobody watches."""


class TrialConfig(Section):
    """The resolved configuration of a trial: all that shapes its result, and nothing of where it runs.

    Its content hash is the trial's name (`naming.trial_hash`), so a default that changes here, in a recipe or in a
    model's arguments makes new trials.
    """

    model: CustomModel
    recipe: Recipe = Field(description="With the trial's own batch size, epochs, rates and decays filled in.")
    data: Data
    image_size: int
    data_fraction: DataFraction = 1.0
    seed: Seed = 0
    precision: Literal["fp32", "bf16"] = "bf16"


class Placement(Section):
    """How a trial is spread over processes. The result must not depend on it beyond rounding."""

    nodes: int = 1
    processes_per_node: int = 1
    gpus_per_node: int = 0
    zero_stage: Literal[0, 1, 2, 3] = 0
    micro_batch_size: int | None = None
    threads: int = Field(1, ge=1, description="CPU threads of each process.")


class Destination(Section):
    """Where a pod writes: URIs that it can open as they stand."""

    storage_uri: str
    study: str
    namespace: str = "default"
    mlflow: MlflowServer | None = Field(None, description="None: no tracking.")
    mlflow_token_variable: str | None = None


class TrainTask(Section):
    """One attempt at one pre-training trial."""

    trial: str = Field(description="The trial's hash.")
    attempt: int = Field(ge=0)
    config: TrialConfig
    factors: dict[str, JsonValue] = Field(description="What the sweep varied: parameters of the MLflow run.")
    placement: Placement
    checkpoint_every_s: float
    curve_points: int = 20
    data_uri: str = Field(description="config.data.uri, made absolute.")
    destination: Destination


class EvaluateTask(Section):
    """Evaluation of one trained trial on all downstream tasks."""

    trial: str
    attempt: int = Field(ge=0)
    config: TrialConfig
    factors: dict[str, JsonValue]
    evaluation: Evaluation
    task_uris: dict[str, str] = Field(description="Absolute data URI by task name.")
    threads: int = Field(1, ge=1)
    gpus: int = 0
    destination: Destination


class AnalyseTask(Section):
    """Laws and report from the rows of a study. The trials are expanded anew from the experiment."""

    experiment: Experiment
    attempt: int = Field(ge=0)
    final: bool = Field(description="False: an interim look while trials still run.")
    failures: tuple[str, ...] = Field(
        (), max_length=200, description="Failed trials, one sentence each, for the report."
    )
    destination: Destination
