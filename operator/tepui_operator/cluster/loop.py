"""The operator: watches feed the queue, workers take studies from it and bring them up to date.

A look that fails is repeated with a growing pause, and no other study notices. What is not an expected failure is a
bug: it is logged with its traceback and repeated like the rest, so that one study that meets it never stops the others.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tepui_operator.cluster.api import Api
from tepui_operator.cluster.ending import cancelled
from tepui_operator.cluster.errors import ApiError, NotLeadingError
from tepui_operator.cluster.leadership import Leadership
from tepui_operator.cluster.logs import about
from tepui_operator.cluster.metrics import Gauges, Metrics
from tepui_operator.cluster.paths import JOBS, STUDIES, path
from tepui_operator.cluster.projection import job_record, spec_record
from tepui_operator.cluster.reconcile import Reconciler
from tepui_operator.cluster.reflector import Reflection, Reflector
from tepui_operator.cluster.store import Key, Store
from tepui_operator.cluster.workqueue import WorkQueue
from tepui_operator.cluster.writer import Writer
from tepui_operator.payloads import Site
from tepui_spec.errors import TransientError

log = logging.getLogger(__name__)

WORKERS = 16
"""Studies looked at at the same time: most of a look is waiting for the API server."""
OURS = {"labelSelector": "app.kubernetes.io/managed-by=tepui"}
LEADER_LOOKS_S = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """What one operator is told."""

    namespaces: tuple[str, ...] = ()
    """Where it works; empty: everywhere."""
    site: Site = field(default_factory=Site)
    instance: str = "tepui-operator"
    """This replica's name in events."""


class Operator:
    """One replica. `run` may be called once."""

    def __init__(self, api: Api, leadership: Leadership, metrics: Metrics, settings: Settings) -> None:
        self._leadership, self._metrics = leadership, metrics
        self._queue: WorkQueue[Key] = WorkQueue()
        store = Store(self._queue.add)
        writer = Writer(api, leadership)
        self._reconciler = Reconciler(store, writer, metrics, settings.site, settings.instance)
        self._reflectors = _reflectors(api, store, metrics, settings.namespaces)
        metrics.show(Gauges(leadership.holds, lambda: len(self._queue), self.watch_ages_s, self._reconciler.facts))

    def watch_ages_s(self) -> Mapping[str, float]:
        """By what is watched, seconds since anything was heard of it."""
        return {reflector.name: reflector.age_s for reflector in self._reflectors}

    def watch_idle_s(self) -> Mapping[str, float]:
        """The same, where a try that was not answered counts too."""
        return {reflector.name: reflector.idle_s for reflector in self._reflectors}

    def busy_s(self) -> Mapping[str, float]:
        """By study that a worker is at work on, for how many seconds."""
        return {"/".join(key): busy_s for key, busy_s in self._queue.busy_s().items()}

    def unready(self) -> str | None:
        """What of the cluster is not known yet; None once everything was listed."""
        missing = [reflector for reflector in self._reflectors if not reflector.synced.is_set()]
        told = "; ".join(f"{r.name}: {r.trouble or 'being listed'}" for r in missing)
        return told or None

    async def run(self) -> None:
        """Follow the cluster, and act on it while this replica leads.

        Raises NotLeadingError when it led and does no longer: what it remembers may be behind what another has done.
        """
        lost = False
        try:
            async with asyncio.TaskGroup() as tasks:
                for reflector in self._reflectors:
                    tasks.create_task(reflector.run())
                await self._lead(tasks)
        except* NotLeadingError:
            lost = True  # raised in here it would be wrapped in a group
        if lost:
            raise NotLeadingError("the lease was lost: another replica may act")

    async def _lead(self, tasks: asyncio.TaskGroup) -> None:
        for reflector in self._reflectors:
            await reflector.synced.wait()
        while not self._leadership.holds():
            await asyncio.sleep(LEADER_LOOKS_S)
        log.info("acting on %s", ", ".join(reflector.name for reflector in self._reflectors))
        for _ in range(WORKERS):
            tasks.create_task(self._work())
        while self._leadership.holds():
            await asyncio.sleep(LEADER_LOOKS_S)
        raise NotLeadingError

    async def _work(self) -> None:
        while not cancelled():
            key = await self._queue.take()
            with about(study="/".join(key)):
                await self._look(key)

    async def _look(self, key: Key) -> None:
        began = time.perf_counter()
        try:
            looked = await self._reconciler.look(key)
        except TransientError as error:
            log.info("tried again later: %s", error)
            self._queue.failed(key, getattr(error, "retry_after_s", None))
            self._metrics.reconciled("retried", time.perf_counter() - began)
        except ApiError as error:
            log.warning("refused, tried again later: %s", error)
            self._queue.failed(key)
            self._metrics.reconciled("failed", time.perf_counter() - began)
        except Exception:
            log.exception("a bug met by this study; tried again later")
            self._queue.failed(key)
            self._metrics.reconciled("failed", time.perf_counter() - began)
        else:
            self._queue.done(key, looked.rest_s)
            if looked.again_s is not None:
                self._queue.add(key, looked.again_s)
            self._metrics.reconciled(looked.result, time.perf_counter() - began)


def _reflectors(api: Api, store: Store, metrics: Metrics, namespaces: Sequence[str]) -> tuple[Reflector[Any], ...]:
    """Those of studies and of Jobs, in each namespace or in all at once."""
    made: list[Reflector[Any]] = []
    for where in namespaces or (None,):
        known = partial(_keys_in, where, store.spec_keys)
        studies = Reflection(path(STUDIES, where), spec_record, store.put_spec, store.drop_spec, known)
        known = partial(_keys_in, where, store.job_keys)
        jobs = Reflection(path(JOBS, where), job_record, store.put_job, store.drop_job, known, OURS)
        made += [Reflector(api, studies, metrics), Reflector(api, jobs, metrics)]
    return tuple(made)


def _keys_in(namespace: str | None, keys: Callable[[], set[Key]]) -> set[Key]:
    return keys() if namespace is None else {key for key in keys() if key[0] == namespace}
