"""What each pod is told: TrainTask, EvaluateTask and AnalyseTask, with URIs that a pod can open as they stand. Pure."""

import os.path
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import JsonValue

from tepui_operator.child import Child
from tepui_operator.resources import resources
from tepui_operator.study import Study
from tepui_spec.base import Section
from tepui_spec.expand import Trial
from tepui_spec.experiment import Experiment
from tepui_spec.trial import AnalyseTask, Destination, EvaluateTask, Placement, TrainTask

TOKEN_VARIABLE = "MLFLOW_TRACKING_TOKEN"
"""Environment variable with the MLflow server's bearer token."""
VOLUME_PATH = PurePosixPath("/results")
"""Where a PersistentVolumeClaim is mounted in every pod."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where pods run, as far as URIs depend on it."""

    folder: Path | None = None
    """On one machine: the folder of the YAML file, which paths without a scheme are taken from. None: a cluster."""
    default_mlflow_uri: str | None = None
    """Where runs are tracked when the spec names no server."""

    def absolute(self, uri: str, field: str) -> str:
        """The URI as a pod can open it. Raises ValueError naming the field for a relative path on a cluster."""
        prefix = next((p for p in ("sqlite:///", "file://") if uri.startswith(p)), "")
        path = uri.removeprefix(prefix)
        if "://" in path:
            return uri
        if self.folder is not None:
            here = self.folder / os.path.expanduser(path)  # noqa: PTH111  pathlib fails where there is no such user
            return f"{prefix}{here}" if prefix else str(here.resolve())
        if not path.startswith("/"):
            raise ValueError(
                f"{field}: {uri}: a relative path works on one machine only; on a cluster give a URI that its pods can "
                "open, such as s3://bucket/folder"
            )
        return uri


def storage_uri(study: Study, site: Site) -> str:
    """The study's storage as its pods see it."""
    storage = study.experiment.spec.storage
    if storage.persistent_volume_claim is not None:
        return str(VOLUME_PATH / storage.persistent_volume_claim.path)
    assert storage.uri is not None  # Storage holds exactly one of the two
    return site.absolute(storage.uri, "spec.storage.uri")


def payload(study: Study, child: Child, site: Site) -> Section:
    """The task of one child."""
    if child.trial is None:
        return AnalyseTask(
            experiment=_without_annotations(study.experiment),
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
        data_uri=site.absolute(trial.config.data.uri, "spec.upstream.data.uri"),
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
        task_uris={task: _task_uri(study, task, site) for task in spec.evaluation.tasks},
        threads=asked.threads,
        gpus=asked.gpus,
        destination=_destination(study, site),
    )


def _task_uri(study: Study, task: str, site: Site) -> str:
    evaluation = study.experiment.spec.evaluation
    listed = any(dataset.name == task for dataset in evaluation.datasets)
    return site.absolute(evaluation.data_of(task).uri, f"spec.evaluation.{'datasets' if listed else 'dataRoot'}")


def _without_annotations(experiment: Experiment) -> Experiment:
    """kubectl keeps a copy of the whole object in one, and no pod reads them."""
    return experiment.model_copy(update={"metadata": experiment.metadata.model_copy(update={"annotations": {}})})


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
    if tracking.mlflow.uri is None:
        return site.default_mlflow_uri
    return site.absolute(tracking.mlflow.uri, "spec.tracking.mlflow.uri")
