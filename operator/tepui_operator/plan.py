"""`plan(study, observed, now) -> Plan`: which children should exist now, and what the status should say.

Pure, frozen and total: all that happens to a study is decided here, for the operator and the embedded engine alike.
Whoever applies a plan creates the children first and writes the status last; if that is cut short anywhere, planning
again from what is then observed decides the rest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from tepui_operator.analyses import AnalysisStep, Coverage, analyses_so_far, next_analysis
from tepui_operator.child import Child
from tepui_operator.observed import Observed
from tepui_operator.reckoning import Reckoning, reckon, status_after
from tepui_operator.standing import Standing, newest_jobs, standing
from tepui_operator.study import Study
from tepui_spec.status import ExperimentStatus, parse_indexes


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now. Nothing in it has to be done twice."""

    status: ExperimentStatus
    create: tuple[Child, ...] = ()
    """Children to create, most urgent first."""
    suspend: tuple[str, ...] = ()
    """Jobs whose pods should stop."""
    resume: tuple[str, ...] = ()
    """Jobs that were suspended and should go on (those of a queue are its own affair)."""
    wake_at: float | None = None
    """When to plan again even if nothing happens, seconds since the epoch."""

    @property
    def finished(self) -> bool:
        """Whether the study has its answer, or will not get one."""
        return self.status.phase in ("Complete", "Failed")


def plan(study: Study, observed: Observed, now: float) -> Plan:
    """Decide from what is observed at `now` (seconds since the epoch)."""
    standings = _standings(study, observed, now)
    fresh = len(study.trials) - len(_settled(observed)) - len(standings)
    known = analyses_so_far(study, observed, now)
    reckoning = reckon(study, observed, standings, known, fresh)
    step = next_analysis(study, observed, known, _coverage(reckoning))
    create = _create(study, observed, standings, reckoning, step, now=now)
    status = status_after(study, observed, reckoning, step, create, now=now)
    if study.experiment.spec.suspend:
        return Plan(status, suspend=_names(observed, suspended=False))
    queued = study.experiment.spec.pods.queue is not None
    return Plan(
        status,
        create=create,
        resume=() if queued else _names(observed, suspended=True),
        wake_at=_wake_at(standings, step, now),
    )


def _create(
    study: Study, observed: Observed, standings: list[Standing], reckoning: Reckoning, step: AnalysisStep, *, now: float
) -> tuple[Child, ...]:
    if study.experiment.spec.suspend:
        return ()
    trials = [] if reckoning.budget_spent else _trial_children(study, observed, standings, now)
    analysis = [step.following] if step.following is not None and step.due_at <= now else []
    return (*analysis, *trials)


def _settled(observed: Observed) -> frozenset[int]:
    """Trials that the status lists as completed or failed: their Jobs may be gone."""
    return parse_indexes(observed.status.completed_trials) | parse_indexes(observed.status.failed_trials)


def _standings(study: Study, observed: Observed, now: float) -> list[Standing]:
    """Trials that have Jobs and are not settled, in the order of submission."""
    settled, place = _settled(observed), study.place
    newest = {trial: job for trial, job in newest_jobs(observed.jobs).items() if trial in place}
    begun = (study.order[place[trial]] for trial in sorted(newest, key=place.__getitem__))
    return [standing(study, trial, newest[trial.hash], now) for trial in begun if trial.index not in settled]


def _fresh(study: Study, observed: Observed, standings: list[Standing]) -> Iterator[Child]:
    """First attempts at trials that have neither Jobs nor an end, cheapest first."""
    begun = _settled(observed) | {s.trial.index for s in standings}
    return (Child(study.name, "train", trial, 0) for trial in study.order if trial.index not in begun)


def _coverage(reckoning: Reckoning) -> Coverage:
    return Coverage(
        completed=len(reckoning.completed),
        total=reckoning.total,
        concluded=reckoning.concluded,
        failures=reckoning.failures,
    )


def _trial_children(study: Study, observed: Observed, standings: list[Standing], now: float) -> list[Child]:
    """Evaluations, then further attempts at training, then new trials: each within the submission window.

    At most `parallelism` training Jobs exist that have not ended, and as many evaluation Jobs: a deep queue would
    make every Job in it wait (DESIGN.md, submission window).
    """
    due = [s.following for s in standings if s.following is not None and s.due_at <= now]
    busy = [s for s in standings if s.following is None]
    window = study.experiment.spec.parallelism
    evaluating = window - sum(s.state == "evaluating" for s in busy)
    training = window - sum(s.state == "training" for s in busy)
    evaluations = (child for child in due if child.stage == "evaluate")
    again = (child for child in due if child.stage == "train")
    trainings = chain(again, _fresh(study, observed, standings))
    return [*islice(evaluations, max(0, evaluating)), *islice(trainings, max(0, training))]


def _wake_at(standings: Iterable[Standing], step: AnalysisStep, now: float) -> float | None:
    due = [s.due_at for s in standings if s.following is not None and s.due_at > now]
    if step.following is not None and step.due_at > now:
        due.append(step.due_at)
    return min(due, default=None)


def _names(observed: Observed, *, suspended: bool) -> tuple[str, ...]:
    return tuple(job.name for job in observed.jobs if not job.ended and job.suspended is suspended)
