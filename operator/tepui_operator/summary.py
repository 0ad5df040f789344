"""What is printed when a run ends: the laws, what failed, where the report is, and how to look further."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tepui_operator.folder import EngineFolder
from tepui_operator.local import RunResult
from tepui_operator.payloads import Site, mlflow_uri
from tepui_operator.study import Study
from tepui_operator.text import duration, table
from tepui_spec.headline import Estimate, Headline
from tepui_spec.status import ExperimentStatus

NOT_IDENTIFIED = "not identified"
_HEADINGS = ("task", "shots", "law", "k", "alpha", "e_IR", "models", "why no more")


def summary(study: Study, site: Site, folder: EngineFolder, result: RunResult, *, command: str) -> str:
    """Everything a user reads at the end of `tepui run`."""
    status = result.status
    parts = [
        _outcome(study, result, command),
        law_table(status.laws, _confidence(study)),
        failures_text(status, folder),
    ]
    parts += _where(study, site, status) if not result.interrupted else [_report(status)]
    return "\n\n".join(part for part in parts if part)


def complete_already(
    study: Study, site: Site, status: ExperimentStatus, *, file: str, unseen: Sequence[str] = ()
) -> str:
    """The same of a study that is complete as it stands, for which nothing was run; `unseen` data have no card here."""
    whether = f"; whether the data of {', '.join(unseen)} are the same was not looked at" if unseen else ""
    head = (
        f"Study {study.name} is complete: all {status.trials.completed} trials, as the file says now{whether}. "
        f"Nothing was run.\n"
        f"`tepui report {file}` fits the laws anew; `tepui run --again {file}` looks at every trial first."
    )
    return "\n\n".join([head, law_table(status.laws, _confidence(study)), *_where(study, site, status)])


def law_table(laws: tuple[Headline, ...], confidence: float) -> str:
    """The laws, a line each: values with their intervals, or that the data do not identify them, and why.

    A weakly identified e_IR has its interval only: no point is claimed.
    """
    if not laws:
        return ""
    rows = [_HEADINGS, *(_row(law) for law in laws)]
    title = (
        f"e_DS = k * e_US^alpha + e_IR, {confidence:.0%} intervals in brackets. Laws: frontier, what the best models "
        "reach;\nwhere the data tell only that, average, what models reach on average. The report says in full why no "
        "more\nis known, and what would help."
    )
    return f"{title}\n\n{table(rows)}"


def _row(law: Headline) -> tuple[str, ...]:
    if law.identified == "no":
        cells = (NOT_IDENTIFIED,) * 3
    elif law.identified == "at_most":
        high = law.e_ir[2]
        cells = (NOT_IDENTIFIED, NOT_IDENTIFIED, NOT_IDENTIFIED if high is None else f"at most {high:.3f}")
    else:
        cells = (_cell(law.k), _cell(law.alpha), _cell(law.e_ir if law.identified == "yes" else (None, *law.e_ir[1:])))
    return (law.task, str(law.shots), law.law, *cells, str(law.n), _why(law))


def _why(law: Headline) -> str:
    """What keeps a law from being identified, in a few words; the report says it in full and what would help."""
    high = law.e_ir[2]
    if law.identified == "no":
        return "no interval for e_IR" if high is None else f"0 to {high:.3g} all fit"
    if law.identified == "at_most":
        return "e_IR may be 0"
    if law.identified == "weak":
        return "alpha unbounded" if law.alpha[2] is None else "wide or in doubt"
    return ""


def _cell(estimate: Estimate) -> str:
    """`0.123 [0.081, 0.150]`; an open upper end has no bound."""
    value, low, high = estimate
    if low is None and high is None:
        return NOT_IDENTIFIED
    interval = f"[{'-' if low is None else f'{low:.3g}'}, {'unbounded' if high is None else f'{high:.3g}'}]"
    return interval if value is None else f"{value:.3g} {interval}"


def _outcome(study: Study, result: RunResult, command: str) -> str:
    status, trials = result.status, result.status.trials
    took = duration(result.wall_s)
    if result.interrupted:
        return (
            f"Study {study.name} stopped after {took} with {trials.completed} of {trials.total} trials completed in "
            f"this run. Nothing is lost: to go on where it stopped, run the same command again:\n  {command}"
        )
    held = next((c for c in status.conditions if c.status == "True"), None)
    reason = f": {held.message}" if held is not None else ""
    return f"Study {study.name} {status.phase.lower()} after {took}{reason}."


def failures_text(status: ExperimentStatus, folder: EngineFolder) -> str:
    """Trials that were given up, each with its reason and its logs."""
    if not status.failures:
        return ""
    told = len(status.failures)
    more = f" (the last {told} of {status.trials.failed})" if told < status.trials.failed else ""
    lines = [f"Failed for good{more}; to try them again, run the same command:"]
    for failure in status.failures:
        lines.append(f"  {failure.trial}  {failure.stage}  {failure.outcome}: {failure.message or 'no message'}")
        lines.extend(f"      log: {log}" for log in folder.logs_of(failure.job))
    return "\n".join(lines)


def _where(study: Study, site: Site, status: ExperimentStatus) -> list[str]:
    uri = mlflow_uri(study, site)
    runs = f"Runs:   {_mlflow_command(uri)}\n        (the runs are on its page under 'Model training')" if uri else ""
    return [part for part in (_report(status), runs) if part]


def _report(status: ExperimentStatus) -> str:
    return f"Report: {status.report}" if status.report is not None else ""


def _confidence(study: Study) -> float:
    return study.experiment.spec.analysis.confidence


def _mlflow_command(uri: str) -> str:
    if uri.startswith(("http://", "https://")):
        return uri
    return f"{shlex.quote(str(Path(sys.executable).with_name('mlflow')))} ui --backend-store-uri {shlex.quote(uri)}"
