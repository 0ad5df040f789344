"""The report of a storage's rows, with the study's YAML where it is there, and without it from Parquet alone."""

from pathlib import PurePosixPath

from tepui_evaluator.analysis import (
    analyse,
    read_standing,
    report_data,
    stored_experiment,
    write_experiment,
    write_tables,
)
from tepui_evaluator.report import write_report
from tepui_evaluator.store import Store

CONFIDENCE = 0.95
"""Without an experiment that says otherwise."""


def write_results_report(store: Store, *, confidence: float | None = None) -> str:
    """Fit the laws anew, write tables and report beside the study, and return the report's URI.

    A store without an experiment takes that of its one study; where no study's YAML was kept, the report is of all
    trials in the storage. Raises ValueError for several studies, a damaged file or a confidence that is out of bounds.
    """
    storage = store.storage
    studies = _studies(store)
    if store.experiment is None and any(storage.exists(f"studies/{study}/experiment.yaml") for study in studies):
        store = Store(storage, stored_experiment(storage))
    experiment = store.experiment
    study = experiment.metadata.name if experiment else (studies or [PurePosixPath(storage.root).name or "results"])[0]
    if confidence is None:
        confidence = experiment.spec.analysis.confidence if experiment else CONFIDENCE
    analysis = analyse(store, confidence=confidence)
    if experiment is not None:
        write_experiment(storage, experiment)
    write_tables(storage, study, analysis)
    standing = read_standing(storage, study)
    final = standing.final or len(store.finished) == len(store.planned) or experiment is None
    data = report_data(store, study, analysis, final=final, failures=standing.failures)
    return write_report(storage.root, study, data)


def _studies(store: Store) -> list[str]:
    return sorted({path.split("/")[1] for path in store.storage.list("studies")})
