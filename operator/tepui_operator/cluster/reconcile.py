"""One look at one study: observe, plan, apply. Children first, then one status write, then events."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tepui_operator.cluster import children, status_write
from tepui_operator.cluster.building import build
from tepui_operator.cluster.errors import ApiError, ConflictError
from tepui_operator.cluster.metrics import Metrics, Result, StudyFacts
from tepui_operator.cluster.news import News, news, retries
from tepui_operator.cluster.paths import PODS, STUDIES, path
from tepui_operator.cluster.projection import JobRecord, PodRecord, SpecRecord, pod_record, spec_record
from tepui_operator.cluster.store import Key, Store
from tepui_operator.cluster.study_state import StudyState
from tepui_operator.cluster.telling import tell
from tepui_operator.cluster.trouble import PATIENCE_S, Trouble, refused, why_waiting, with_trouble
from tepui_operator.cluster.writer import Writer
from tepui_operator.observed import Observed
from tepui_operator.payloads import Site
from tepui_operator.plan import Plan, plan
from tepui_spec.errors import TransientError
from tepui_spec.status import ExperimentStatus

log = logging.getLogger(__name__)

CREATES_AT_ONCE = 64
"""Of one look: what has ended meanwhile is looked at before the rest is created."""
JOBS_ASKED_AT_ONCE = 20
"""Whose pods are asked for in one request."""
LOOK_AGAIN_S = 300.0
"""However quiet it is, a study that has not ended is looked at this often."""
TROUBLE_AGAIN_S = 20.0
"""Between two questions why pods of a study do not begin."""
DUTY = 50.0
"""A study rests this many times as long as planning took: planning takes two per cent of a core at most."""
LONGEST_REST_S = 1.0


@dataclass(frozen=True, slots=True)
class Looked:
    """How a look at a study ended, and when to look again though nothing happens."""

    result: Result = "done"
    again_s: float | None = None
    rest_s: float = 0.0


@dataclass
class Pace:
    """Status writes that are in no hurry, of all studies together: two a second."""

    slot_s: float = 0.5
    _next: float = float("-inf")

    def reserve(self, earliest: float) -> float:
        """The time of the next free slot that is not before `earliest`."""
        self._next = max(earliest, self._next + self.slot_s)
        return self._next


@dataclass
class Reconciler:
    """Brings studies up to date, one at a time each."""

    store: Store
    writer: Writer
    metrics: Metrics
    site: Site
    instance: str
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    _states: dict[Key, StudyState] = field(default_factory=dict)
    _pace: Pace = field(default_factory=Pace)

    def facts(self) -> list[StudyFacts]:
        """Every study, for metrics."""
        sums = {key: state.sums for key, state in self._states.items()}
        return [StudyFacts(key[0], status.phase, status.trials) for key, status in sums.items()]

    async def look(self, key: Key) -> Looked:
        """Bring one study up to date. Raises TransientError where the world does not let it be."""
        record = self.store.specs.get(key)
        if record is None or record.deleting:  # what it owns goes after it
            gone = self._states.pop(key, None)
            if gone is not None:
                self.store.let_go(gone.uid)
            return Looked()
        state = self._states.get(key)
        if state is None or state.uid != record.uid:
            if state is not None:
                self.store.let_go(state.uid)
            state = self._states[key] = StudyState.of(record)
        if state.generation != record.generation:
            if state.generation == -1 and _over(state.sums, record.generation):
                self.store.let_go(record.uid)
                return Looked()
            if (why := await self._begin(state, record)) is not None:
                return await self._refuse(state, record, why)
        return await self._bring_up_to_date(state, record)

    async def _begin(self, state: StudyState, record: SpecRecord) -> str | None:
        """Take a spec in that is new or was edited; returns what is wrong with it."""
        try:
            study = await asyncio.to_thread(build, record, self.site)
        except ValueError as error:
            return str(error)
        state.begin(study, record.generation)
        return None

    async def _refuse(self, state: StudyState, record: SpecRecord, why: str) -> Looked:
        status = refused(state.current(), why, record.generation, self.now())
        await self._write(state, record, status, parallelism=0, more=[])
        state.sums, state.study, state.settled, state.generation = status, None, None, record.generation
        return Looked("invalid")

    async def _bring_up_to_date(self, state: StudyState, record: SpecRecord) -> Looked:
        if state.study is None:
            return Looked("invalid")
        jobs = self.store.jobs_of(record.uid)
        await self._ask_pods(state, jobs)
        trouble = await self._waiting(state, jobs)
        began = time.perf_counter()
        observed = state.observed(jobs)
        made = plan(state.study, observed, self.now())
        rest_s = min(LONGEST_REST_S, DUTY * (time.perf_counter() - began))
        created = await self._create(state, record, made, observed)
        unserved = await self._serve(state, (*jobs, *created.jobs))
        kept = await self._suspend_and_resume(made, jobs)
        if created.later is not None:
            raise created.later
        more = len(made.create) > CREATES_AT_ONCE and bool(created.jobs)
        if more or created.trouble is not None:
            made = made.having_created({job.name for job in created.jobs})
        self.store.let_go(record.uid, state.take(made, jobs))
        state.trouble = created.trouble or unserved or kept or trouble
        state.sums = with_trouble(state.sums, state.trouble, self.now())
        again_s = await self._say(state, record, made)
        if made.finished:
            return self._finish(state, record)
        if more:  # what ended was put down all the same: where Jobs end as fast as they are created, more is the rule
            return Looked(again_s=0.0)
        return Looked(again_s=self._again_s(made, state, again_s), rest_s=rest_s)

    async def _ask_pods(self, state: StudyState, jobs: Sequence[JobRecord]) -> None:
        """Have Jobs that ended told by their pods."""
        untold = state.untold(jobs)
        for first in range(0, len(untold), JOBS_ASKED_AT_ONCE):
            asked = untold[first : first + JOBS_ASKED_AT_ONCE]
            pods = await self._pods_of(asked)
            for job in asked:
                ended = [pod for pod in pods if pod.job == job.name and pod.phase in ("Succeeded", "Failed")]
                state.tell(job, ended)

    async def _pods_of(self, jobs: Sequence[JobRecord]) -> list[PodRecord]:
        selector = f"batch.kubernetes.io/job-name in ({','.join(job.name for job in jobs)})"
        found = await self.writer.api.items(path(PODS, jobs[0].namespace), labelSelector=selector)
        return [pod_record(raw) for raw in found]

    async def _waiting(self, state: StudyState, jobs: Sequence[JobRecord]) -> Trouble | None:
        """Why nothing of a study begins, asked now and then for one Job that has waited long enough.

        Where some of its pods run, others may wait for room: that mends itself.
        """
        before = self.now() - PATIENCE_S
        late = [job for job in jobs if job.waiting and job.waiting_since < before and (job.queued or not job.suspended)]
        at_work = any(job.end is None and not job.waiting for job in jobs)
        if not late or at_work:
            return None
        if self.clock() < state.waiting_checked_at + TROUBLE_AGAIN_S:
            return state.trouble
        state.waiting_checked_at = self.clock()
        job = min(late, key=lambda job: (job.suspended, job.waiting_since))
        if job.suspended:
            return await children.why_queued(self.writer, job)
        return why_waiting(job.name, await self._pods_of([job]))

    async def _create(self, state: StudyState, record: SpecRecord, made: Plan, observed: Observed) -> children.Created:
        assert state.study is not None  # the caller's case
        wanted = made.create[:CREATES_AT_ONCE]
        created = await children.create(self.writer, state.study, wanted, self.site, record)
        now = self.now()
        ended = {job.trial: job.ended_at for job in observed.jobs if job.trial is not None and job.ended_at is not None}
        for job in created.jobs:
            self.store.put_created(job)
            if job.trial in ended:
                self.metrics.followed(job.stage, max(0.0, now - ended[job.trial]))
        return created

    async def _serve(self, state: StudyState, jobs: Sequence[JobRecord]) -> Trouble | None:
        """See to it that every gang has its Service."""
        assert state.study is not None  # the caller's case
        if state.study.experiment.spec.pods.nodes == 1:
            return None
        state.served &= {job.uid for job in jobs}
        trouble = None
        for job in jobs:
            if job.stage != "train" or job.end is not None or job.uid in state.served:
                continue
            if job.trial not in state.study.by_hash:  # its label was written by somebody else
                continue
            try:
                await children.serve(self.writer, state.study, job)
                state.served.add(job.uid)
            except children.ForeignError as error:
                trouble = Trouble("NameTaken", str(error))
            except ApiError as error:
                trouble = Trouble("CreateRefused", f"Service {job.name}: {error}")
        return trouble

    async def _suspend_and_resume(self, made: Plan, jobs: Sequence[JobRecord]) -> Trouble | None:
        trouble = None
        for names, suspended in ((made.suspend, True), (made.resume, False)):
            wanted = set(names)
            told = [job for job in jobs if job.name in wanted]
            trouble = await children.set_suspended(self.writer, told, suspended) or trouble
        return trouble

    async def _say(self, state: StudyState, record: SpecRecord, made: Plan) -> float | None:
        """Write the status if it is time to; returns in how many seconds it will be, if it is to be written then."""
        now, before, after = self.clock(), state.written, state.sums
        told = retries(made.create, state.retries_told)
        state.retries_told += sum(child.trial is not None and child.attempt > 0 for child in made.create)
        if not status_write.urgent(before, after):
            due_at = self._due_at(state)
            if now < due_at:
                await tell(self.writer, record, told, self.instance)
                return due_at - now
        assert state.study is not None  # the caller's case
        await self._write(state, record, state.current(), state.study.experiment.spec.parallelism, told)
        return None

    def _due_at(self, state: StudyState) -> float:
        """When a status that is in no hurry is written."""
        if not status_write.changed(state.written, state.sums):
            held = state.sums.gpu_hours != state.written.gpu_hours
            return state.written_at + status_write.HOURS_EVERY_S if held else float("inf")
        if state.due_at is None:
            state.due_at = self._pace.reserve(max(self.clock(), state.written_at + status_write.EVERY_S))
        return state.due_at

    async def _write(
        self, state: StudyState, record: SpecRecord, status: ExperimentStatus, parallelism: int, more: list[News]
    ) -> None:
        version = max(record.version, state.version, key=_order)
        where = path(STUDIES, record.namespace, record.name, "status")
        try:
            raw = await self.writer.patch(where, status_write.patch(status, version))
        except ConflictError as conflict:
            fresh = await self.writer.api.get(path(STUDIES, record.namespace, record.name))
            if fresh is not None and (known := spec_record(fresh)) is not None:
                self.store.put_spec(known)
                state.version = known.version  # lower than what is remembered where etcd was restored from a copy
            raise TransientError(f"the status is written again: {conflict}") from conflict
        if raw is None:
            return
        before, state.written = state.written, status
        state.version = raw["metadata"]["resourceVersion"]
        state.written_at, state.due_at = self.clock(), None
        await tell(self.writer, record, [*more, *news(before, status, parallelism)], self.instance)

    def _finish(self, state: StudyState, record: SpecRecord) -> Looked:
        """Nothing more is done for it until its spec changes: its trials need no memory."""
        self._states[record.key] = StudyState(
            record.uid, state.written, state.version, state.written, retries_told=state.retries_told
        )
        return Looked()

    def _again_s(self, made: Plan, state: StudyState, status_s: float | None) -> float:
        wake_s = made.wake_at - self.now() if made.wake_at is not None else LOOK_AGAIN_S
        late = any(job.waiting and (job.queued or not job.suspended) for job in self.store.jobs_of(state.uid))
        waiting_s = PATIENCE_S + 1 if late or state.trouble is not None else LOOK_AGAIN_S
        return max(0.0, min(wake_s, waiting_s, status_s if status_s is not None else LOOK_AGAIN_S))


def _over(status: ExperimentStatus, generation: int) -> bool:
    return status.phase in ("Complete", "Failed") and status.observed_generation == generation


def _order(version: str) -> int:
    """resourceVersions of one resource ascend."""
    return int(version) if version.isdecimal() else 0
