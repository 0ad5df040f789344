"""The analysis pod: laws and report from the rows of a study, and the last of its tracking sent on."""

import logging
from collections.abc import Iterable

from tepui_evaluator.analysis import (
    Analysis,
    Standing,
    analyse,
    laws_path,
    points_path,
    report_data,
    write_experiment,
    write_standing,
    write_tables,
)
from tepui_evaluator.store import Store
from tepui_spec import layout
from tepui_spec.headline import headlines
from tepui_spec.law import Law
from tepui_spec.outcome import Outcome, PodReport, Progress
from tepui_spec.trial import AnalyseTask
from tepui_trainer.runtime import PodContext, run_pod
from tepui_trainer.storage import Storage
from tepui_trainer.tracking import Tracker, replay_spools

_log = logging.getLogger(__name__)
_STEPS = 3
TRACKING_TIMEOUT_S = 60.0
"""Nobody comes after the last analysis to send what it told, so it waits longer than other pods."""


def main() -> int:
    """Entry point `analyse` of the group `tepui.pods`; returns the exit code."""
    return run_pod(AnalyseTask, run)


def run(task: AnalyseTask, context: PodContext) -> PodReport:
    """Fit, write, report, replay. An interim look with too few points says so and succeeds.

    Raises ValueError naming a damaged file, and TransientError.
    """
    from tepui_evaluator.report import write_report

    experiment, study = task.experiment, task.experiment.metadata.name
    storage = Storage(task.destination.storage_uri)
    store = Store(storage, experiment)
    context.progress(Progress(stage="analyse", step=0, steps=_STEPS, note="laws"))
    analysis = analyse(store, confidence=experiment.spec.analysis.confidence)
    write_experiment(storage, experiment)
    write_tables(storage, study, analysis)
    write_standing(storage, study, Standing(final=task.final, failures=task.failures))
    context.check_stop()
    context.progress(Progress(stage="analyse", step=1, steps=_STEPS, note="report"))
    data = report_data(store, study, analysis, final=task.final, failures=task.failures)
    report = write_report(task.destination.storage_uri, study, data)
    context.progress(Progress(stage="analyse", step=2, steps=_STEPS, note="tracking"))
    _track(task, analysis, storage, report)
    waiting = replay_spools(storage, task.destination)
    context.progress(Progress(stage="analyse", step=_STEPS, steps=_STEPS))
    return PodReport(
        outcome=Outcome.SUCCEEDED,
        message=_message(store, analysis, waiting),
        laws=headlines(analysis.fitted.laws),
        report=report,
    )


def law_metrics(laws: Iterable[Law]) -> dict[str, float]:
    """Estimates and interval ends, named as mnist/25_shot/frontier/e_ir_high; what was not estimated is absent."""
    metrics: dict[str, float] = {}
    for law in laws:
        prefix = f"{law.by['task']}/{law.by['shots']}_shot/{law.law}"
        values = {"e_ir": law.e_ir, "k": law.k, "alpha": law.alpha}
        for name, interval in (("e_ir", law.interval.e_ir), ("k", law.interval.k), ("alpha", law.interval.alpha)):
            values |= dict(zip((f"{name}_low", f"{name}_high"), interval or (None, None), strict=True))
        metrics |= {f"{prefix}/{name}": value for name, value in values.items() if value is not None}
    return metrics


def _track(task: AnalyseTask, analysis: Analysis, storage: Storage, report: str) -> None:
    """Laws over the number of finished trials, so that MLflow draws how they settle; tables, report and figures."""
    study = task.experiment.metadata.name
    tracker = Tracker(
        task.destination,
        trial=f"study-{study}",
        stage="analyse",
        run_name="laws",
        tags={"tepui.study": study},
    )
    tracker.metrics(law_metrics(analysis.fitted.laws), analysis.trials.num_rows)
    for path in (laws_path(study), points_path(study), report.removeprefix(f"{storage.uri()}/")):
        tracker.artifact(path)
    for path in storage.list(layout.figures_dir(study)):
        tracker.artifact(path, "figures")
    if task.final:
        tracker.end(Outcome.SUCCEEDED)
    tracker.close(TRACKING_TIMEOUT_S)


def _message(store: Store, analysis: Analysis, waiting: int) -> str:
    """How far the study is, which laws could not be fitted and why, and whether tracking waits."""
    parts = [f"{len(store.finished)} of {len(store.planned)} trials"]
    average = [law for law in analysis.fitted.laws if law.law == "average"]
    if not average:
        parts.append("no downstream results yet")
    else:
        fitted = sum(law.e_ir is not None for law in average)
        parts.append(f"laws for {fitted} of {len(average)} pairs of task and shots")
    reasons: dict[str, list[str]] = {}
    for law in average:
        if law.e_ir is None:
            reasons.setdefault(law.reason, []).append(f"{law.by['task']} at {law.by['shots']}")
    parts += [f"not fitted ({', '.join(pairs)}): {reason}" for reason, pairs in reasons.items()]
    if waiting:
        parts.append(f"{waiting} tracking spools wait for MLflow; run again to send them")
    return "; ".join(parts)[:1500]
