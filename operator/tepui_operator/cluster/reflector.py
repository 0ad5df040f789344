"""A list that follows the cluster: listed once, then watched, each object slimmed as it comes in.

The watch goes on where it ended, by resourceVersion; bookmarks move that on while nothing changes. Where it has expired
(410) everything is listed anew. Whatever fails is tried again after a pause that doubles up to a limit and is jittered,
so that many operators do not come back at once to an API server that has just come up.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tepui_operator.cluster.api import Api
from tepui_operator.cluster.ending import cancelled
from tepui_operator.cluster.errors import ApiError, GoneError, error_of
from tepui_operator.cluster.json_text import parse
from tepui_operator.cluster.metrics import Metrics
from tepui_spec.errors import TransientError

log = logging.getLogger(__name__)

Json = dict[str, Any]
Record = TypeVar("Record")
Key = tuple[str, str]
"""Namespace and name."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
SHORTEST_WATCH_S = 1.0
"""A server that ends watches sooner than this is given time: it goes down, or comes up."""
WATCH_S = (240, 480)
"""A watch is ended by the server after some seconds between these two."""


@dataclass
class Reflection(Generic[Record]):
    """Where the records of a resource go: `put` gets each new or changed one, `drop` the key of one that is gone."""

    path: str
    """Of the collection, such as /apis/batch/v1/jobs."""
    record: Callable[[Json], Record | None]
    """The projection; None for an object that is not ours to look at."""
    put: Callable[[Record], None]
    drop: Callable[[Key], None]
    known: Callable[[], set[Key]]
    """Keys of all that was put and not dropped: what a new list lacks is dropped."""
    query: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The resource, and where in the cluster it is watched."""
        *_, resource = self.path.split("/")
        _, _, where = self.path.partition("/namespaces/")
        return f"{resource} in {where.split('/')[0]}" if where else resource


class Reflector(Generic[Record]):
    """Keeps one reflection true for as long as `run` runs."""

    def __init__(self, api: Api, reflection: Reflection[Record], metrics: Metrics) -> None:
        self._api, self._of, self._metrics = api, reflection, metrics
        self._resource = reflection.path.rsplit("/", 1)[-1]
        self._version: str | None = None
        self._heard_at = self._tried_at = time.monotonic()
        self._failures = 0
        self.synced = asyncio.Event()
        """Set once everything was listed."""
        self.trouble: str | None = None
        """Why nothing comes in; None: all is well."""

    @property
    def name(self) -> str:
        """What is watched."""
        return self._of.name

    @property
    def age_s(self) -> float:
        """Seconds since anything was heard of it, a bookmark or a refusal too."""
        return time.monotonic() - self._heard_at

    @property
    def idle_s(self) -> float:
        """Seconds since anything came of it, were it only that nobody answers."""
        return time.monotonic() - max(self._heard_at, self._tried_at)

    async def run(self) -> None:
        """Until it is cancelled."""
        while not cancelled():
            try:
                if self._version is None:
                    await self._list()
                began = time.monotonic()
                await self._watch(self._version or "")
                self._metrics.watch_restarted(self._resource, "closed")
                if time.monotonic() < began + SHORTEST_WATCH_S:
                    await asyncio.sleep(SHORTEST_WATCH_S * random.uniform(0.5, 1.5))
            except GoneError:
                self._version = None
                self._heard()
                self._metrics.watch_restarted(self._resource, "expired")
            except TransientError as error:
                await self._pause(error)
            except ApiError as error:  # no right to, or no such kind yet: the server answers, so it is heard of
                self._heard_at = time.monotonic()
                await self._pause(error)

    async def _list(self) -> None:
        missing = self._of.known()
        version = ""
        async for page in self._api.pages(self._of.path, **self._of.query):
            for raw in page.get("items") or ():
                missing.discard(self._take_in(raw))
            version = page["metadata"]["resourceVersion"]
            self._heard()
            await asyncio.sleep(0)  # others have their turn between two pages
        for key in missing:
            self._of.drop(key)
        self._version = version
        self.synced.set()

    async def _watch(self, version: str) -> None:
        query = {
            **self._of.query,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_S)),
        }
        async for lines in self._api.watch(self._of.path, **query):
            for line in lines:
                if line:
                    self._hear(parse(line))
            self._heard()

    def _hear(self, event: Json) -> None:
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            code = raw.get("code") or 500
            raise error_of(code, json.dumps(raw).encode(), None, f"watch {self._of.path}")
        if kind == "DELETED":
            self._of.drop(_key(raw))
        elif kind != "BOOKMARK":
            self._take_in(raw)
        self._version = raw["metadata"]["resourceVersion"]

    def _take_in(self, raw: Json) -> Key:
        key, record = _key(raw), self._of.record(raw)
        if record is not None:
            self._of.put(record)
        else:  # it may have been ours before its labels or its owner were taken from it
            self._of.drop(key)
        return key

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self._failures = 0
        self.trouble = None

    async def _pause(self, error: Exception) -> None:
        self._metrics.watch_restarted(self._resource, "failed")
        self._tried_at = time.monotonic()
        limit = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        if str(error) != self.trouble:
            log.warning("cannot watch %s: %s", self.name, error)
        self.trouble = str(error)
        asked_s = getattr(error, "retry_after_s", None) or 0.0
        await asyncio.sleep(max(limit * random.uniform(0.5, 1.0), asked_s))


def _key(raw: Json) -> Key:
    metadata = raw["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])
