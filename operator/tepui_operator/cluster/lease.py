"""One operator acts at a time: a Lease (coordination.k8s.io/v1), as Kubernetes' own controllers hold it.

Clocks of two machines are never compared. Whoever waits measures on its own clock for how long the record has not
changed, and takes over after `lease_s`. Whoever holds it stops `renew_deadline_s` after it *sent* its last renewal
that succeeded, which is earlier: between the two lies the longest time that a write may be under way. `holds()` reads
the clock, so it is false in a process that was paused as soon as it goes on, before any renewal or message.

What no client can fence is a write between the question and the socket. Such a write is harmless: children have names
that follow from what they are, and a status is only replaced at the resourceVersion that it was made from.
"""

import asyncio
import logging
import math
import os
import random
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from tepui_operator.cluster.errors import ApiError, ConflictError
from tepui_spec.errors import TransientError

log = logging.getLogger(__name__)

Lease = dict[str, Any]


class LeaseApi(Protocol):
    """What is needed of an API client. Every method raises TransientError where the API server does not answer."""

    async def get(self, path: str) -> dict[str, Any] | None:
        """The object; None where there is none."""

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object as created; raises ConflictError where it exists."""

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object as replaced; raises ConflictError where its resourceVersion is not the body's."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How soon another takes over, in seconds."""

    lease_s: int = 10
    """Others take the lease when it has not changed for this long."""
    renew_deadline_s: float = 6.0
    """The holder stops when its last renewal is this old."""
    retry_s: float = 1.5
    """Between two renewals, and between two looks of those who wait."""

    def __post_init__(self) -> None:
        if not 0 < self.retry_s < self.renew_deadline_s < self.lease_s:
            raise ValueError(f"a lease needs 0 < retry_s < renew_deadline_s < lease_s; it has {self}")

    @property
    def write_timeout_s(self) -> float:
        """The longest that a write of the holder may take: begun while it holds, it ends before another takes over."""
        return self.lease_s - self.renew_deadline_s


def boot_clock() -> float:
    """Seconds that never jump, and that pass while the machine sleeps too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def identity() -> str:
    """This process among all that ever wait for a lease: a container that starts anew is another one."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"


class LeaderLease:
    """One candidate for one Lease."""

    def __init__(
        self,
        api: LeaseApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: LeaseTiming | None = None,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self.identity = identity
        self.timing = timing or LeaseTiming()
        self._api = api
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._clock = clock
        self._won_once = asyncio.Event()
        self._holds_until = -math.inf
        self._seen: Lease | None = None
        self._seen_at = 0.0
        """When the record that was last seen was seen first, by this clock."""

    def holds(self) -> bool:
        """Whether this process may write now."""
        return self._clock() < self._holds_until

    async def acquire(self) -> None:
        """Return once `run` has won the lease."""
        await self._won_once.wait()

    async def run(self) -> None:
        """Win the lease and keep it; returns when it was lost: whoever lost it ends and starts anew.

        When cancelled, gives it back: cancel it after the last write is done. A lease that was lost is not given back,
        because writes may be under way.
        """
        try:
            while not self._won_once.is_set() or self.holds():
                await self.attempt()
                await asyncio.sleep(self.timing.retry_s * random.uniform(0.9, 1.1))
        except asyncio.CancelledError:
            await self._release()
            raise
        log.error("lost the lease %s: not renewed for %g s", self._name, self.timing.renew_deadline_s)

    async def attempt(self) -> bool:
        """Try once to win or renew the lease, for half of `renew_deadline_s` at most; whether it is held then."""
        try:
            async with asyncio.timeout(self.timing.renew_deadline_s / 2):
                await self._step()
        except ConflictError:  # another wrote it, or a renewal of ours arrived after we had given it up
            self._seen = None
        except (TransientError, TimeoutError, ApiError) as error:  # rights, too, may be given while this waits
            log.warning("the lease could not be read or written: %s", str(error) or "no answer in time")
        return self.holds()

    async def _step(self) -> None:
        if self._seen is None or not self.holds():
            self._see(await self._api.get(self._path))
        sent_at = self._clock()
        if self._seen is None:
            self._won(await self._api.create(self._collection, self._record()), sent_at)
        elif self._mine(self._seen) or self._free(self._seen, sent_at):
            self._won(await self._api.replace(self._path, self._record(self._seen)), sent_at)

    def _see(self, lease: Lease | None) -> None:
        if lease is None or self._seen is None or _spec(lease) != _spec(self._seen):
            self._seen_at = self._clock()
        self._seen = lease

    def _won(self, lease: Lease, sent_at: float) -> None:
        self._seen, self._seen_at = lease, sent_at
        self._holds_until = sent_at + self.timing.renew_deadline_s
        if not self._won_once.is_set() and self.holds():
            log.info("won the lease %s", self._name)
            self._won_once.set()

    def _mine(self, lease: Lease) -> bool:
        return bool(_spec(lease).get("holderIdentity") == self.identity)

    def _free(self, lease: Lease, now: float) -> bool:
        """Given back, or not renewed for as long as its holder promised to renew it."""
        spec = _spec(lease)
        return not spec.get("holderIdentity") or now >= self._seen_at + spec.get("leaseDurationSeconds", 0)

    def _record(self, before: Lease | None = None) -> Lease:
        """The lease with this process as its holder, at the resourceVersion of `before`."""
        now = _micro_time()
        old = _spec(before) if before is not None else {}
        mine = before is not None and self._mine(before)
        spec = {
            **old,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.timing.lease_s,
            "acquireTime": old["acquireTime"] if mine else now,
            "renewTime": now,
            "leaseTransitions": old.get("leaseTransitions", 0) + (before is not None and not mine),
        }
        return self._lease(spec, before)

    def _lease(self, spec: dict[str, Any], before: Lease | None) -> Lease:
        metadata = before["metadata"] if before is not None else {"name": self._name}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    async def _release(self) -> None:
        """Give the lease back, so that the next need not wait; where that fails, it waits."""
        self._holds_until = -math.inf
        with suppress(TransientError, TimeoutError, ApiError):
            async with asyncio.timeout(self.timing.write_timeout_s):
                lease = await self._api.get(self._path)
                if lease is not None and self._mine(lease):
                    given_back = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
                    await self._api.replace(self._path, self._lease(_spec(lease) | given_back, lease))

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"


def _spec(lease: Lease) -> dict[str, Any]:
    spec: dict[str, Any] = lease.get("spec") or {}
    return spec


def _micro_time() -> str:
    """Now, as a Kubernetes MicroTime. For people: no candidate reads another's clock."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
