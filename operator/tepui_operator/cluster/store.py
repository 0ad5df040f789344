"""What the watches have brought in: studies, and the Jobs of each that still matter."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from tepui_operator.cluster.projection import JobRecord, SpecRecord

Key = tuple[str, str]
"""Namespace and name."""


class Store:
    """Records by key. `on_change` gets the key of a study that should be looked at again."""

    def __init__(self, on_change: Callable[[Key], None], now: Callable[[], float] = time.time) -> None:
        self.specs: dict[Key, SpecRecord] = {}
        self._jobs: dict[str, dict[str, JobRecord]] = {}
        """By the UID of the study, then by name: a Job is adopted by nothing else."""
        self._owners: dict[Key, str] = {}
        self._on_change = on_change
        self._now = now

    def put_spec(self, record: SpecRecord) -> None:
        """A study as the API server has it. A change of its status alone is our own doing."""
        before = self.specs.get(record.key)
        self.specs[record.key] = record
        if before is None or (before.uid, before.generation, before.deleting) != (
            record.uid,
            record.generation,
            record.deleting,
        ):
            self._on_change(record.key)

    def drop_spec(self, key: Key) -> None:
        """The study is gone; its Jobs go after it."""
        self.specs.pop(key, None)
        self._on_change(key)

    def put_job(self, record: JobRecord) -> None:
        """A Job as the API server has it."""
        jobs = self._jobs.setdefault(record.owner, {})
        before = jobs.get(record.name)
        if before is not None and before.uid == record.uid:
            record = _with_times(before, record, self._now())
        jobs[record.name] = record
        self._owners[record.namespace, record.name] = record.owner
        if before is None or _matters(before, record):
            self._on_change((record.namespace, record.study))

    def put_created(self, record: JobRecord) -> None:
        """A Job as it was when it was created, or found: what the watch has brought in meanwhile is newer."""
        if record.name not in self._jobs.setdefault(record.owner, {}):
            self._jobs[record.owner][record.name] = record
            self._owners[record.namespace, record.name] = record.owner
            if record.end is not None:  # no further news of it will come
                self._on_change((record.namespace, record.study))

    def drop_job(self, key: Key) -> None:
        """A Job is gone."""
        owner = self._owners.pop(key, None)
        gone = self._jobs.get(owner, {}).get(key[1]) if owner is not None else None
        if gone is not None:
            self.let_go(gone.owner, [gone.name])
            self._on_change((gone.namespace, gone.study))

    def jobs_of(self, uid: str) -> list[JobRecord]:
        """Jobs of a study that were not let go."""
        return list(self._jobs.get(uid, {}).values())

    def let_go(self, uid: str, names: Iterable[str] | None = None) -> None:
        """Jobs whose outcome is known, and held elsewhere; None: all of the study."""
        jobs = self._jobs.get(uid, {})
        for name in list(jobs) if names is None else names:
            gone = jobs.pop(name, None)
            if gone is not None:
                self._owners.pop((gone.namespace, name), None)
        if not jobs:
            self._jobs.pop(uid, None)

    def spec_keys(self) -> set[Key]:
        """Keys of all studies."""
        return set(self.specs)

    def job_keys(self) -> set[Key]:
        """Keys of all Jobs that are held."""
        return set(self._owners)


def _matters(before: JobRecord, after: JobRecord) -> bool:
    """Whether a plan could be another one: that pods have begun, or are ready, changes none."""
    return _without_times(before) != _without_times(after)


def _without_times(record: JobRecord) -> tuple[object, ...]:
    return (record.uid, record.end, record.suspended, record.deleting, record.queued, record.history)


def _with_times(before: JobRecord, after: JobRecord, now: float) -> JobRecord:
    """What only a watcher knows of a Job: since when its pods hold resources, and how long they did before."""
    began_at, held_s = before.began_at, before.held_s
    if began_at is None and not before.waiting:  # it was met as ready: a node that falls silent is no new beginning
        began_at = before.started_at
    if after.suspended and began_at is not None:
        held_s += now - began_at
        began_at = None
    elif before.waiting and not after.waiting and after.end is None and not after.suspended:
        began_at = began_at or now
    if began_at is None and not held_s:
        return after
    return replace(after, began_at=began_at, held_s=held_s)
