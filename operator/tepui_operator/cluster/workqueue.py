"""Which studies wait to be brought up to date, and since when they may be.

A key is in the queue once, however often it is added; it is handed to one worker at a time; and it is not handed out
before its time: `done` can set a pause, which bounds what a busy study may cost, and `failed` one that doubles.
"""

import asyncio
import heapq
import random
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 300.0


@dataclass(slots=True)
class _Entry:
    due_at: float | None = None
    """When it may be handed out; None: nothing is to be done for it."""
    not_before: float = 0.0
    failures: int = 0
    taken_at: float | None = None
    """Since when a worker has it."""


class WorkQueue(Generic[Key]):
    """Keys with the earliest time at which each may be worked on. For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._heap: list[tuple[float, int, Key]] = []
        """Times at which to look at keys; an entry may have been overtaken by an earlier one."""
        self._pushed = 0
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        """Of the one worker that waits for the next key; the others wait for their turn."""

    def add(self, key: Key, after_s: float = 0.0) -> None:
        """Have the key worked on in `after_s` seconds, or sooner where that was wanted already."""
        entry = self._entries.setdefault(key, _Entry())
        due_at = self._clock() + after_s
        if entry.due_at is None or due_at < entry.due_at:
            entry.due_at = due_at
            self._push(key, entry)

    async def take(self) -> Key:
        """The next key that is due; it is this worker's until `done` or `failed`."""
        async with self._turn:
            while True:
                self._changed.clear()
                key = self._pop()
                if key is not None:
                    return key
                wait_s = self._heap[0][0] - self._clock() if self._heap else None
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()

    def _pop(self) -> Key | None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is not None and entry.taken_at is None and self._ready(entry, now):
                entry.taken_at, entry.due_at = now, None
                return key
        return None

    def done(self, key: Key, pause_s: float = 0.0) -> None:
        """The key's work is done, and is not begun again for `pause_s` seconds whatever happens."""
        entry = self._entries[key]
        entry.failures = 0
        self._give_back(key, entry, pause_s)
        if entry.due_at is None and not pause_s:  # nothing to remember: studies come and go
            del self._entries[key]

    def failed(self, key: Key, retry_after_s: float | None = None) -> None:
        """The work failed: it is tried again, after a pause that doubles with each failure, and is jittered."""
        entry = self._entries[key]
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(entry.failures, 20)) * random.uniform(0.5, 1.0)
        entry.failures += 1
        self._give_back(key, entry, max(delay_s, retry_after_s or 0.0))
        self.add(key)

    def __len__(self) -> int:
        """How many keys are due now and wait for a worker."""
        now = self._clock()
        return sum(entry.taken_at is None and self._ready(entry, now) for entry in self._entries.values())

    def busy_s(self) -> Mapping[Key, float]:
        """What workers are at work on, and for how many seconds."""
        now = self._clock()
        return {key: now - entry.taken_at for key, entry in self._entries.items() if entry.taken_at is not None}

    def _give_back(self, key: Key, entry: _Entry, pause_s: float) -> None:
        entry.taken_at = None
        entry.not_before = self._clock() + pause_s
        if entry.due_at is not None:
            self._push(key, entry)

    def _push(self, key: Key, entry: _Entry) -> None:
        assert entry.due_at is not None  # only what is wanted is pushed
        if entry.taken_at is None:
            self._pushed += 1
            heapq.heappush(self._heap, (max(entry.due_at, entry.not_before), self._pushed, key))
            self._changed.set()

    @staticmethod
    def _ready(entry: _Entry, now: float) -> bool:
        return entry.due_at is not None and max(entry.due_at, entry.not_before) <= now
