"""What each pod is told: TrainTask, EvaluateTask and AnalyseTask, with URIs that a pod can open as they stand. Pure."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from tepui_operator.child import Child
from tepui_operator.resources import resources
from tepui_operator.study import Study
from tepui_spec.base import Section
from tepui_spec.expand import Trial
from tepui_spec.trial import AnalyseTask, Destination, EvaluateTask, Placement, TrainTask

TOKEN_VARIABLE = "MLFLOW_TRACKING_TOKEN"
"""Environment variable with the MLflow server's bearer token."""
VOLUME_PATH = PurePosixPath("/results")
"""Where a PersistentVolumeClaim is mounted in every pod."""
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Site:
    """Where pods run, as far as URIs depend on it."""

    folder: Path | None = None
    """On one machine: the folder of the YAML file, which paths without a scheme are taken from. None: a cluster."""
    default_mlflow_uri: str | None = None
    """Where runs are tracked when the spec names no server."""

    def absolute(self, uri: str) -> str:
        """The URI as a pod can open it. On a cluster it stands as it is."""
        if self.folder is None:
            return uri
        if uri.startswith(_SQLITE):
            return f"{_SQLITE}{self.folder / uri.removeprefix(_SQLITE)}"
        return uri if "://" in uri else str((self.folder / Path(uri).expanduser()).resolve())


def storage_uri(study: Study, site: Site) -> str:
    """The study's storage as its pods see it."""
    storage = study.experiment.spec.storage
    if storage.persistent_volume_claim is not None:
        return str(VOLUME_PATH / storage.persistent_volume_claim.path)
    assert storage.uri is not None  # Storage holds exactly one of the two
    return site.absolute(storage.uri)


def payload(study: Study, child: Child, site: Site) -> Section:
    """The task of one child."""
    if child.trial is None:
        return AnalyseTask(
            experiment=study.experiment,
            attempt=child.attempt,
            final=child.final,
            failures=child.failures,
            destination=_destination(study, site),
        )
    if child.stage == "train":
        return _train(study, child, child.trial, site)
    return _evaluate(study, child, child.trial, site)


def _train(study: Study, child: Child, trial: Trial, site: Site) -> TrainTask:
    spec = study.experiment.spec
    asked = resources(spec.pods, "train")
    return TrainTask(
        trial=trial.hash,
        attempt=child.attempt,
        config=trial.config,
        factors=_factors(trial),
        placement=Placement(
            nodes=asked.pods,
            processes_per_node=asked.processes,
            gpus_per_node=asked.gpus,
            zero_stage=spec.training.deepspeed.zero_stage,
            micro_batch_size=spec.training.micro_batch_size,
            threads=asked.threads,
        ),
        checkpoint_every_s=spec.training.checkpoint_every_s,
        curve_points=spec.training.curve_points,
        data_uri=site.absolute(trial.config.data.uri),
        destination=_destination(study, site),
    )


def _evaluate(study: Study, child: Child, trial: Trial, site: Site) -> EvaluateTask:
    spec = study.experiment.spec
    asked = resources(spec.pods, "evaluate")
    return EvaluateTask(
        trial=trial.hash,
        attempt=child.attempt,
        config=trial.config,
        factors=_factors(trial),
        evaluation=spec.evaluation,
        task_uris={task: site.absolute(spec.evaluation.data_of(task).uri) for task in spec.evaluation.tasks},
        threads=asked.threads,
        gpus=asked.gpus,
        destination=_destination(study, site),
    )


def _factors(trial: Trial) -> dict[str, JsonValue]:
    return trial.factors.model_dump(mode="json", by_alias=True, exclude_none=True)


def _destination(study: Study, site: Site) -> Destination:
    metadata, server = study.experiment.metadata, study.experiment.spec.tracking.mlflow
    uri = mlflow_uri(study, site)
    mlflow = server.model_copy(update={"uri": uri}) if uri is not None else None
    return Destination(
        storage_uri=storage_uri(study, site),
        study=metadata.name,
        namespace=metadata.namespace,
        mlflow=mlflow,
        mlflow_token_variable=TOKEN_VARIABLE if mlflow is not None and server.token_secret is not None else None,
    )


def mlflow_uri(study: Study, site: Site) -> str | None:
    """Where the study's runs are tracked; None: nowhere."""
    tracking = study.experiment.spec.tracking
    if not tracking.enabled:
        return None
    return site.absolute(tracking.mlflow.uri) if tracking.mlflow.uri is not None else site.default_mlflow_uri
