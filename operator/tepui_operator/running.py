"""`tepui run`: a study from its YAML file to its end on this machine, and what is said at the end."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from tepui_operator.effort import efforts
from tepui_operator.folder import EngineFolder, engine_folder, local_storage
from tepui_operator.local import Engine, Pods, RunResult
from tepui_operator.machine import this_machine
from tepui_operator.payloads import Site, storage_uri
from tepui_operator.study import Study
from tepui_operator.summary import summary
from tepui_operator.view import View, default_view
from tepui_spec.expand import expand
from tepui_spec.experiment import Experiment
from tepui_spec.schema import allowed, experiment_schema, node_at
from tepui_spec.source import load_experiment

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell has it."""


def load_study(path: Path, parallelism: int | None = None) -> Study:
    """The study in a YAML file. Raises ValueError as `load_experiment` and `expand` do."""
    experiment = load_experiment(path)
    if parallelism is not None:
        experiment = _with_parallelism(experiment, parallelism)
    trials = expand(experiment.spec)
    return Study.of(experiment, efforts(trials), trials=trials)


def local_site(path: Path, study: Study) -> Site:
    """Where pods run when they run here. Raises ValueError where the study's storage exists on a cluster only."""
    if study.experiment.spec.storage.uri is None:
        raise ValueError(
            "spec.storage.persistentVolumeClaim: exists on a cluster only; on one machine give storage.uri, a folder"
        )
    folder = path.resolve().parent
    root = local_storage(storage_uri(study, Site(folder)))
    return Site(folder, default_mlflow_uri=f"sqlite:///{root}/mlflow.db")


def folder_of(path: Path, study: Study, *, create: bool = False) -> EngineFolder:
    """The engine's own folder of a study."""
    return engine_folder(storage_uri(study, local_site(path, study)), study.name, create=create)


def run_file(
    path: Path,
    *,
    parallelism: int | None = None,
    cpus: float | None = None,
    pods: Pods | None = None,
    open_view: Callable[[], View] = default_view,
) -> tuple[int, RunResult | None]:
    """Run the study in `path`; returns the exit code and, unless it is suspended, how the run went.

    The code is 0 when every trial completed, 1 when any failed for good or there is no analysis, 130 when interrupted.
    """
    study = load_study(path, parallelism)
    if study.experiment.spec.suspend:
        print(f"study {study.name} is suspended (spec.suspend: true in {path}): nothing is run")
        return 0, None
    site = local_site(path, study)
    folder = folder_of(path, study, create=True)
    engine = Engine(
        study,
        site=site,
        machine=this_machine(cpus),
        folder=folder,
        pods=pods or Pods.installed(),
        open_view=open_view,
    )
    result = engine.run()
    print(summary(study, site, folder, result, command=f"tepui run {path}"))
    if result.interrupted:
        return INTERRUPTED, result
    return (0 if result.status.phase == "Complete" and not result.status.trials.failed else 1), result


def _with_parallelism(experiment: Experiment, parallelism: int) -> Experiment:
    """The experiment with another `parallelism`, checked as if it stood in the file."""
    changed = experiment.model_dump()
    changed["spec"]["parallelism"] = parallelism
    try:
        return Experiment.model_validate(changed)
    except ValidationError as error:
        field = node_at(experiment_schema(), ("spec", "parallelism"))
        assert field is not None  # a field of the contract
        raise ValueError(f"--parallelism: {parallelism}: allowed: {allowed(field)}") from error
