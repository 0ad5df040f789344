"""`tepui run`: a study from its YAML file to its end on this machine, and what is said at the end."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from tepui_operator.as_run import AsRun, nothing_to_do
from tepui_operator.data_check import check_data
from tepui_operator.effort import efforts
from tepui_operator.folder import EngineFolder, engine_folder, local_storage
from tepui_operator.local import Engine, Pods, RunResult
from tepui_operator.local_data import local_folder
from tepui_operator.machine import this_machine
from tepui_operator.payloads import Site, storage_uri
from tepui_operator.study import Study
from tepui_operator.summary import complete_already, summary
from tepui_operator.view import View, default_view
from tepui_spec.expand import expand
from tepui_spec.experiment import Experiment
from tepui_spec.schema import allowed, experiment_schema, node_at
from tepui_spec.source import load_experiment, refusal
from tepui_spec.status import ExperimentStatus

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
    again: bool = False,
) -> tuple[int, RunResult | None]:
    """Run the study in `path`; returns the exit code and, where pods ran, how the run went.

    The code is 0 when every trial completed, 1 when any failed for good or there is no analysis, 130 when interrupted.
    Nothing runs where the study is suspended, nor, unless `again`, where it is complete as it is.
    """
    study = load_study(path, parallelism)
    if study.experiment.spec.suspend:
        print(f"study {study.name} is suspended (spec.suspend: true in {path}): nothing is run")
        return 0, None
    site = local_site(path, study)
    checked = check_data(study.experiment.spec, site)
    if checked.problems:
        raise refusal(path, checked.problems)
    folder = folder_of(path, study, create=True)
    as_run = AsRun.of(study, checked.content_hashes)
    status = folder.read_status()
    if not again and status is not None and _is_done(study, site, folder, status, as_run):
        names = ("upstream", *study.experiment.spec.evaluation.tasks)
        unseen = [name for name in names if name not in checked.content_hashes]
        print(complete_already(study, site, status, file=str(path), unseen=unseen))
        return 0, None
    print(*(f"note: {note}" for note in checked.notes), sep="\n", end="\n" if checked.notes else "", flush=True)
    engine = Engine(
        study,
        site=site,
        machine=this_machine(cpus),
        folder=folder,
        pods=pods or Pods.installed(),
        as_run=as_run,
        open_view=open_view,
    )
    result = engine.run()
    print(summary(study, site, folder, result, command=f"tepui run {path}"))
    if result.interrupted:
        return INTERRUPTED, result
    return (0 if result.status.phase == "Complete" and not result.status.trials.failed else 1), result


def _is_done(study: Study, site: Site, folder: EngineFolder, status: ExperimentStatus, now: AsRun) -> bool:
    """Whether all results are there; those of a storage that is not on this machine are left to the pods to find."""
    storage = local_folder(storage_uri(study, site))
    return storage is not None and nothing_to_do(AsRun.read(folder.as_run), now, study, status, storage)


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
