"""What the watches have brought in: studies, and the Jobs of each that still matter."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from tepui_operator.cluster.projection import JobRecord, SpecRecord

Key = tuple[str, str]
"""Namespace and name."""


class Store:
    """Records by key. `on_change` gets the key of a study that should be looked at again."""

    def __init__(self, on_change: Callable[[Key], None]) -> None:
        self.specs: dict[Key, SpecRecord] = {}
        self._jobs: dict[str, dict[str, JobRecord]] = {}
        """By the UID of the study, then by name: a Job is adopted by nothing else."""
        self._owners: dict[Key, str] = {}
        self._on_change = on_change

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
        jobs[record.name] = record
        self._owners[record.namespace, record.name] = record.owner
        if before is None or _matters(before, record):
            self._on_change((record.namespace, record.study))

    def put_created(self, record: JobRecord) -> None:
        """A Job as it was when it was created: what the watch has brought in meanwhile is newer."""
        if record.name not in self._jobs.setdefault(record.owner, {}):
            self._jobs[record.owner][record.name] = record
            self._owners[record.namespace, record.name] = record.owner

    def drop_job(self, key: Key) -> None:
        """A Job is gone."""
        owner = self._owners.pop(key, None)
        gone = self._jobs.get(owner, {}).pop(key[1], None) if owner is not None else None
        if gone is not None:
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
    return replace(before, started_at=None, waiting=False) != replace(after, started_at=None, waiting=False)
