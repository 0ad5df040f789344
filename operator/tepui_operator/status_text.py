"""`tepui status`: where a study stands, from the status that its engine last wrote."""

from tepui_operator.folder import EngineFolder
from tepui_operator.resources import hours_unit
from tepui_operator.study import Study
from tepui_operator.summary import failures_text, law_table
from tepui_operator.text import digits
from tepui_spec.status import ExperimentStatus


def status_text(study: Study, folder: EngineFolder, status: ExperimentStatus) -> str:
    """Phase, counts, laws and failures."""
    counts, unit = status.trials, hours_unit(study.experiment.spec.pods)
    lines = [f"Study {study.name}: {status.phase}"]
    lines += [f"  {c.type}: {c.reason}: {c.message}" for c in status.conditions if c.status == "True"]
    lines += [
        f"Trials: {counts.completed}/{counts.total} completed, {counts.failed} failed, {counts.training} in training, "
        f"{counts.evaluating} in evaluation, {counts.waiting} to come",
        f"Held:   {digits(status.gpu_hours)} {unit}, since {status.start_time}",
    ]
    if status.report is not None:
        lines.append(f"Report: {status.report}")
    parts = ["\n".join(lines), law_table(study, status.laws), failures_text(status, folder)]
    return "\n\n".join(part for part in parts if part) + "\n"
