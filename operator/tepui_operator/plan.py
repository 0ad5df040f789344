"""`plan(study, observed, now) -> Plan`: which children should exist now, and what the status should say.

Pure, frozen and total: all that happens to a study is decided here, for the operator and the embedded engine alike.
Whoever applies a plan creates the children first and writes the status last; if that is cut short anywhere, planning
again from what is then observed decides the rest.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice

from tepui_operator.analyses import AnalysisStep, Coverage, analyses_so_far, next_analysis
from tepui_operator.child import Child
from tepui_operator.observed import Observed
from tepui_operator.reckoning import Reckoning, reckon, sums_after
from tepui_operator.settled import Settled, first_places
from tepui_operator.standing import Standing, newest_jobs, standing
from tepui_operator.study import Study
from tepui_spec.status import ExperimentStatus


@dataclass(frozen=True)
class Plan:
    """What to do now. Nothing in it has to be done twice."""

    study: Study = field(repr=False, compare=False)
    sums: ExperimentStatus
    """The status without its lists of trials: all of it whose size does not grow with the study."""
    settled: Settled
    create: tuple[Child, ...] = ()
    """Children to create, most urgent first."""
    suspend: tuple[str, ...] = ()
    """Jobs whose pods should stop."""
    resume: tuple[str, ...] = ()
    """Jobs that were suspended and should go on."""
    wake_at: float | None = None
    """When to plan again even if nothing happens, seconds since the epoch."""

    @cached_property
    def status(self) -> ExperimentStatus:
        """The status to write once the rest is done. Made when it is asked for: of a large study it takes milliseconds,
        where the decisions take one."""
        return self.sums.model_copy(update=self.settled.lists(self.study))

    def having_created(self, names: Collection[str]) -> "Plan":
        """The same where, of the children to create, only these could be."""
        missing = sum(child.stage == "train" and child.name not in names for child in self.create)
        trials = self.sums.trials
        counts = trials.model_copy(update={"waiting": trials.waiting + missing, "training": trials.training - missing})
        created = tuple(child for child in self.create if child.name in names)
        return replace(self, create=created, sums=self.sums.model_copy(update={"trials": counts}))

    @property
    def finished(self) -> bool:
        """Whether the study has its answer, or will not get one."""
        return self.sums.phase in ("Complete", "Failed")


def plan(study: Study, observed: Observed, now: float) -> Plan:
    """Decide from what is observed at `now` (seconds since the epoch)."""
    before = observed.settled if observed.settled is not None else Settled.of(study, observed.status)
    standings = _standings(study, observed, before, now)
    known = analyses_so_far(study, observed, now)
    reckoning = reckon(study, observed, before, standings, known)
    step = next_analysis(study, observed, known, _coverage(reckoning))
    create = _create(study, before, standings, reckoning, step, now=now)
    sums = sums_after(study, observed, reckoning, step, create, now=now)
    if study.experiment.spec.suspend:
        return Plan(study, sums, reckoning.settled, suspend=_to_suspend(observed))
    return Plan(
        study,
        sums,
        reckoning.settled,
        create=create,
        resume=_to_resume(observed),
        wake_at=_wake_at(standings, step, now),
    )


def _create(
    study: Study, before: Settled, standings: list[Standing], reckoning: Reckoning, step: AnalysisStep, *, now: float
) -> tuple[Child, ...]:
    if study.experiment.spec.suspend:
        return ()
    trials = [] if reckoning.starts_no_more else _trial_children(study, before, standings, now)
    analysis = [step.following] if step.following is not None and step.due_at <= now else []
    return (*analysis, *trials)


def _standings(study: Study, observed: Observed, before: Settled, now: float) -> list[Standing]:
    """Trials that have Jobs and are not settled, in the order of submission."""
    place = study.place
    newest = {place[trial]: job for trial, job in newest_jobs(observed.jobs).items() if trial in place}
    begun = (at for at in sorted(newest) if not before.holds(at))
    return [standing(study, study.order[at], newest[at], now) for at in begun]


def _fresh(study: Study, before: Settled, standings: list[Standing]) -> Iterator[Child]:
    """First attempts at trials that have neither Jobs nor an end, cheapest first."""
    begun = before.completed | before.failed
    for one in standings:
        begun |= 1 << study.place[one.trial.hash]
    return (Child(study.name, "train", study.order[at], 0) for at in first_places(study.all_places & ~begun))


def _coverage(reckoning: Reckoning) -> Coverage:
    return Coverage(
        completed=reckoning.counts.completed,
        total=reckoning.counts.total,
        concluded=reckoning.concluded,
        failures=reckoning.failures,
    )


def _trial_children(study: Study, before: Settled, standings: list[Standing], now: float) -> list[Child]:
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
    trainings = chain(again, _fresh(study, before, standings)) if training > 0 else iter(())
    return [*islice(evaluations, max(0, evaluating)), *islice(trainings, max(0, training))]


def _wake_at(standings: Iterable[Standing], step: AnalysisStep, now: float) -> float | None:
    due = [s.due_at for s in standings if s.following is not None and s.due_at > now]
    if step.following is not None and step.due_at > now:
        due.append(step.due_at)
    return min(due, default=None)


def _to_suspend(observed: Observed) -> tuple[str, ...]:
    """Jobs with pods; of those in a queue, when the study has just been suspended, the waiting ones too."""
    new = observed.status.phase != "Suspended"
    return tuple(job.name for job in observed.jobs if not job.ended and (not job.suspended or (job.queued and new)))


def _to_resume(observed: Observed) -> tuple[str, ...]:
    """Suspended Jobs; of those in a queue only when the study was: otherwise it is the queue's own affair."""
    back = observed.status.phase == "Suspended"
    return tuple(job.name for job in observed.jobs if not job.ended and job.suspended and (back or not job.queued))
