"""A stopwatch beside the operator: when Jobs are created and end, and how studies stand, as their watches tell."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Protocol

from operator_work import NAMESPACE

from tepui_operator.cluster.api import Api
from tepui_operator.cluster.paths import JOBS, STUDIES, path

_NAME = re.compile(rb'"metadata":\{"name":"([^"]+)"')
_COMPLETE, _FAILED = b'"type":"Complete","status":"True"', b'"type":"Failed","status":"True"'
_TRIAL = re.compile(r"-[te]\d+$")
"""How names of trials' Jobs end; those of analyses do not."""


class Taker(Protocol):
    """What is fed with the lines of a watch."""

    def take(self, line: bytes, now: float) -> None:
        """One event, which came at `now` (s, time.perf_counter)."""


class Jobs:
    """Trials' Jobs by name with the time at which each was seen created, and seen to have ended.

    Only the bytes that matter are looked at: what this costs must not be seen in what is measured.
    """

    def __init__(self, on_created: Callable[[str, bytes], None] | None = None) -> None:
        self.created: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.present: set[str] = set()
        self._on_created = on_created

    def take(self, line: bytes, now: float) -> None:
        """See Taker. Raises RuntimeError where a Job failed: none should."""
        added, complete = line.startswith(b'{"type":"ADDED"'), _COMPLETE in line
        if _FAILED in line:
            raise RuntimeError(f"a Job failed: {_name(line)}")
        name = _name(line) if added or complete else ""
        if added and name not in self.created and _TRIAL.search(name):
            self.created[name] = now
            self.present.add(name)
            if self._on_created is not None:
                self._on_created(name, line)
        if complete and _TRIAL.search(name):
            self.ended.setdefault(name, now)
        if line.startswith(b'{"type":"DELETED"'):
            self.present.discard(_name(line))

    def successions_s(self) -> list[float]:
        """From the end of each training Job to the creation of its evaluation, both as this watch saw them; ascending.

        Below zero where the operator's own watch was ahead of this one.
        """
        pairs = ((at, self.created.get(name.removesuffix("-t0") + "-e0")) for name, at in self.ended.items())
        return sorted(created - at for at, created in pairs if created is not None and created != at)


class Studies:
    """Studies by name with their phase."""

    def __init__(self) -> None:
        self.phase: dict[str, str] = {}

    def take(self, line: bytes, now: float) -> None:  # noqa: ARG002  when it came does not matter here
        """See Taker."""
        found = json.loads(line)["object"]
        self.phase[found["metadata"]["name"]] = found.get("status", {}).get("phase", "")

    def complete(self, wanted: int) -> bool:
        """Whether so many are. Raises RuntimeError where one failed."""
        failed = [name for name, phase in self.phase.items() if phase == "Failed"]
        if failed:
            raise RuntimeError(f"failed: {failed[:5]}")
        return sum(phase == "Complete" for phase in self.phase.values()) >= wanted


class Stopwatch:
    """The two watches, and waiting for what they tell."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs, self.studies = jobs, Studies()
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def follow(self, api: Api, where: str, taker: Taker) -> None:
        """For ever. A watch of studies ends some seconds after their definition was written, and is begun anew."""
        while True:
            async for lines in api.watch(where, timeoutSeconds="7200"):
                now = time.perf_counter()
                for line in lines:
                    taker.take(line, now)
                self._news.set()


@asynccontextmanager
async def watching(
    api: Api, jobs: Jobs | None = None, *beside: Callable[[], Coroutine[None, None, None]]
) -> AsyncIterator[Stopwatch]:
    """Watch the namespace's Jobs and studies, and run others beside that."""
    stopwatch = Stopwatch(jobs or Jobs())
    async with asyncio.TaskGroup() as tasks:
        running = [
            *(tasks.create_task(other()) for other in beside),
            tasks.create_task(stopwatch.follow(api, path(JOBS, NAMESPACE), stopwatch.jobs)),
            tasks.create_task(stopwatch.follow(api, path(STUDIES, NAMESPACE), stopwatch.studies)),
        ]
        yield stopwatch
        for task in running:
            task.cancel()


def _name(line: bytes) -> str:
    found = _NAME.search(line)
    return found[1].decode() if found is not None else ""
