"""`tepui status`: where a study stands, from the status that its engine last wrote."""

from tepui_operator.as_run import AsRun, differences
from tepui_operator.folder import EngineFolder
from tepui_operator.resources import hours_unit
from tepui_operator.study import Study
from tepui_operator.summary import failures_text, law_table
from tepui_operator.text import digits
from tepui_spec.status import ExperimentStatus


def status_text(study: Study, folder: EngineFolder, status: ExperimentStatus, as_run: AsRun | None = None) -> str:
    """Phase, counts, laws and failures of the study as it was run, and how its file differs from that now."""
    ran = as_run.experiment if as_run is not None else study.experiment
    counts, unit = status.trials, hours_unit(ran.spec.pods)
    lines = [f"Study {study.name}: {status.phase}"]
    lines += [f"  {c.type}: {c.reason}: {c.message}" for c in status.conditions if c.status == "True"]
    lines += [
        f"Trials: {counts.completed}/{counts.total} completed, {counts.failed} failed, {counts.training} in training, "
        f"{counts.evaluating} in evaluation, {counts.waiting} to come",
        f"Held:   {digits(status.gpu_hours)} {unit}, since {status.start_time}",
    ]
    if status.report is not None:
        lines.append(f"Report: {status.report}")
    changed = _changed(study, differences(ran, study.experiment))
    confidence = ran.spec.analysis.confidence
    parts = ["\n".join(lines), changed, law_table(status.laws, confidence), failures_text(status, folder)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _changed(study: Study, changes: list[str]) -> str:
    if not changes:
        return ""
    head = f"The file has changed since, to {len(study.trials):,} trials; all else here is of the study as it was run:"
    return "\n".join([head, *(f"  {change}" for change in changes), "`tepui run` goes on with the file as it is now."])
