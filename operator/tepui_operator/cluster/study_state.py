"""What one operator remembers of a study between two looks at it. All of it can be had again from the cluster."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tepui_operator.cluster.observe import needs_pods, observed_job
from tepui_operator.cluster.projection import JobRecord, PodRecord, SpecRecord, status_of
from tepui_operator.cluster.trouble import Trouble
from tepui_operator.observed import Observed, ObservedJob
from tepui_operator.plan import Plan
from tepui_operator.settled import Settled
from tepui_operator.standing import newest_jobs
from tepui_operator.study import Study
from tepui_spec.status import ExperimentStatus


@dataclass
class StudyState:
    """One ExperimentSpec, by UID."""

    uid: str
    written: ExperimentStatus
    """The status as the API server has it."""
    version: str
    """The resourceVersion that the next status replaces."""
    sums: ExperimentStatus
    """The status as last planned."""
    study: Study | None = None
    generation: int = -1
    """Of the spec that `study` was made from, or that was refused."""
    settled: Settled | None = None
    trouble: Trouble | None = None
    written_at: float = float("-inf")
    due_at: float | None = None
    """When a status that is worth no hurry is to be written; by the queue's clock, as `written_at`."""
    waiting_checked_at: float = float("-inf")
    retries_told: int = 0
    served: set[str] = field(default_factory=set)
    """UIDs of gangs' Jobs that have their Service."""
    _pods: dict[str, tuple[PodRecord, ...]] = field(default_factory=dict)
    """Pods that ended, of Jobs that need them to be told, by the Job's UID."""
    _seen: dict[str, tuple[JobRecord, ObservedJob]] = field(default_factory=dict)

    @staticmethod
    def of(record: SpecRecord) -> "StudyState":
        """A study that is looked at for the first time."""
        status = status_of(record)
        return StudyState(record.uid, written=status, version=record.version, sums=status)

    def begin(self, study: Study, generation: int) -> None:
        """Plan from this study from now on. Places of trials change with the order of submission."""
        self.sums = self.current()
        self.study, self.generation = study, generation
        self.settled = Settled.of(study, self.sums)

    def current(self) -> ExperimentStatus:
        """The status as last planned, with its lists of trials."""
        if self.study is None or self.settled is None:
            return self.sums
        return self.sums.model_copy(update=self.settled.lists(self.study))

    def untold(self, jobs: Iterable[JobRecord]) -> list[JobRecord]:
        """Jobs that ended, matter, and of which only their pods can tell how."""
        return [job for job in jobs if needs_pods(job) and job.uid not in self._pods and self._matters(job)]

    def tell(self, job: JobRecord, pods: Sequence[PodRecord]) -> None:
        """These are the pods of a Job that ended."""
        self._pods[job.uid] = tuple(pods)
        self._seen.pop(job.name, None)

    def observed(self, jobs: Sequence[JobRecord]) -> Observed:
        """What the planner may know."""
        assert self.settled is not None  # since `begin`
        return Observed(tuple(map(self._observe, jobs)), self.sums, self.generation, self.settled)

    def take(self, made: Plan, jobs: Sequence[JobRecord]) -> set[str]:
        """Remember a plan; returns the names of Jobs that no later plan needs."""
        self.sums, self.settled = made.sums, made.settled
        observed = [self._observe(job) for job in jobs]
        newest = {job.name for job in newest_jobs(observed).values()}
        gone = {
            job.name
            for job, seen in zip(jobs, observed, strict=True)
            if seen.ended and ((job.trial is not None and job.name not in newest) or not self._matters(job))
        }
        kept = [job for job in jobs if job.name not in gone]
        self._seen = {job.name: self._seen[job.name] for job in kept}
        self._pods = {job.uid: self._pods[job.uid] for job in kept if job.uid in self._pods}
        return gone

    def _matters(self, job: JobRecord) -> bool:
        """Whether its end is not part of the sums yet."""
        assert self.study is not None and self.settled is not None  # noqa: PT018  since `begin`
        if job.trial is None:
            return job.attempt >= self.sums.analysis.number
        place = self.study.place.get(job.trial)
        return place is not None and not self.settled.holds(place)

    def _observe(self, job: JobRecord) -> ObservedJob:
        known = self._seen.get(job.name)
        if known is None or known[0] is not job:
            known = (job, observed_job(job, self._pods.get(job.uid)))
            self._seen[job.name] = known
        return known[1]
