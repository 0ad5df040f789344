"""Leader election on virtual time, against an API server in memory whose answers are late, lost or refused."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tepui_operator.cluster.errors import ConflictError, ForbiddenError
from tepui_operator.cluster.lease import LeaderLease, LeaseTiming, identity
from tepui_spec.errors import TransientError
from virtual_time import run_virtual

TIMING = LeaseTiming()
PATH = "/apis/coordination.k8s.io/v1/namespaces/tepui/leases/tepui-operator"


class LeaseServer:
    """One Lease and its resourceVersion, as an API server keeps it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self._versions = itertools.count(1)

    def get(self) -> dict[str, Any] | None:
        return deepcopy(self.lease)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise ConflictError(409, "Conflict", PATH)
        return self._store(body)

    def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.lease is None or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", PATH)
        return self._store(body)

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.lease = deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(next(self._versions))
        return deepcopy(self.lease)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


class Link:
    """One client's way to the server: each request takes `there` seconds, its answer `back` seconds."""

    def __init__(self, server: LeaseServer, delays: Iterator[tuple[float, float]]) -> None:
        self.server = server
        self.delays = delays
        self.cut = False
        self.forbidden = False

    async def get(self, path: str) -> dict[str, Any] | None:
        assert path == PATH
        answer: dict[str, Any] | None = await self._ask(self.server.get)
        return answer

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == PATH.rpartition("/")[0]
        answer: dict[str, Any] = await self._ask(lambda: self.server.create(body))
        return answer

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == PATH
        answer: dict[str, Any] = await self._ask(lambda: self.server.replace(body))
        return answer

    async def _ask(self, do: Callable[[], Any]) -> Any:
        """A client that gives up does not stop a request that is on its way."""
        there, back = next(self.delays)
        if self.forbidden:
            raise ForbiddenError(403, "Forbidden", "leases is forbidden")
        if self.cut:
            await asyncio.sleep(there)
            raise TransientError("connection refused")
        arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(there, _carry_out, do, arrived)
        answer = await asyncio.shield(arrived)
        await asyncio.sleep(back)
        if isinstance(answer, ConflictError):
            raise answer
        return answer


def _carry_out(do: Callable[[], Any], arrived: "asyncio.Future[Any]") -> None:
    try:
        arrived.set_result(do())
    except ConflictError as conflict:
        arrived.set_result(conflict)


def candidate(
    server: LeaseServer,
    name: str,
    *,
    delays: Iterator[tuple[float, float]] | None = None,
    rate: float = 1.0,
    offset_s: float = 0.0,
) -> tuple[LeaderLease, Link]:
    """A candidate whose clock begins at `offset_s` and goes `rate` times as fast as it should."""
    link = Link(server, delays or itertools.repeat((0.01, 0.01)))

    def clock() -> float:
        return offset_s + rate * asyncio.get_running_loop().time()

    lease = LeaderLease(link, namespace="tepui", name="tepui-operator", identity=name, timing=TIMING, clock=clock)
    return lease, link


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def held_within(lease: LeaderLease, limit_s: float) -> float:
    """Seconds until the lease is held."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not lease.holds():
        assert loop.time() - begun < limit_s, "not held in time"
        await asyncio.sleep(0.05)
    return loop.time() - begun


def scenario(body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await body()

    run_virtual(main())


def test_the_first_candidate_makes_the_lease_and_renews_it() -> None:
    """It holds without a gap for as long as the server answers, under one acquireTime and no transition."""

    async def body() -> None:
        server = LeaseServer()
        lease, _ = candidate(server, "a")
        task = asyncio.create_task(lease.run())
        await held_within(lease, 1)
        assert server.lease is not None
        acquired, version = server.lease["spec"]["acquireTime"], server.lease["metadata"]["resourceVersion"]
        for _ in range(1000):
            await asyncio.sleep(0.1)
            assert lease.holds()
        assert server.lease["spec"]["acquireTime"] == acquired
        assert server.lease["metadata"]["resourceVersion"] != version
        assert server.lease["spec"]["leaseTransitions"] == 0
        await ended(task)

    scenario(body)


def test_a_leader_that_dies_is_followed_after_the_lease_and_not_before() -> None:
    """The next waits for the whole lease from its own last look at a changed record, then takes over at once."""

    async def body() -> None:
        server = LeaseServer()
        (first, link), (second, _) = candidate(server, "a"), candidate(server, "b", offset_s=1e6)
        one = asyncio.create_task(first.run())
        await held_within(first, 1)
        two = asyncio.create_task(second.run())
        await asyncio.sleep(30)
        link.cut = True
        lost_at = asyncio.get_running_loop().time()
        took = await held_within(second, 60)
        assert TIMING.lease_s - 2 * TIMING.retry_s < took < TIMING.lease_s + 2 * TIMING.retry_s
        assert not first.holds()
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 1
        assert asyncio.get_running_loop().time() > lost_at
        await ended(one)
        await ended(two)

    scenario(body)


def test_a_lease_that_is_given_back_is_taken_at_the_next_look() -> None:
    """A clean end costs the next no waiting; the one that ended holds nothing from the moment it was told to end."""

    async def body() -> None:
        server = LeaseServer()
        (first, _), (second, _) = candidate(server, "a"), candidate(server, "b")
        one, two = asyncio.create_task(first.run()), asyncio.create_task(second.run())
        await asyncio.sleep(20)
        holder, waiting, task = (first, second, one) if first.holds() else (second, first, two)
        await ended(task)
        assert not holder.holds()
        assert server.holder == ""
        assert await held_within(waiting, 10) < 2 * TIMING.retry_s
        await ended(two if task is one else one)

    scenario(body)


def test_whoever_lost_it_does_not_get_it_back() -> None:
    """`run` returns, and the lease is not given back: a write of the last moment may be under way."""

    async def body() -> None:
        server = LeaseServer()
        lease, link = candidate(server, "a")
        task = asyncio.create_task(lease.run())
        await lease.acquire()
        assert lease.holds()
        link.cut = True
        while lease.holds():
            await asyncio.sleep(0.01)
        link.cut = False
        await task
        assert not lease.holds()
        assert server.holder == "a"

    scenario(body)


def test_a_cut_connection_ends_the_hold_by_the_clock_alone() -> None:
    """`holds()` turns false at the renewal deadline though nothing runs, and the lease is won again afterwards."""

    async def body() -> None:
        server = LeaseServer()
        lease, link = candidate(server, "a")
        assert await lease.attempt()
        await asyncio.sleep(TIMING.renew_deadline_s - 0.1)
        assert lease.holds()
        await asyncio.sleep(0.1)
        assert not lease.holds()
        link.cut = True
        assert not await lease.attempt()
        link.cut = False
        assert await lease.attempt()

    scenario(body)


def test_the_hold_counts_from_when_the_renewal_was_sent() -> None:
    """An answer that comes late does not lengthen it: others count from the moment the server wrote it."""

    async def body() -> None:
        lease, _ = candidate(LeaseServer(), "a", delays=iter([(0, 0), (0, 2.5)]))
        assert await lease.attempt()
        await asyncio.sleep(TIMING.renew_deadline_s - 2.5 - 0.1)
        assert lease.holds()
        await asyncio.sleep(0.1)
        assert not lease.holds()

    scenario(body)


def test_a_renewal_that_was_given_up_and_still_arrived_costs_one_look() -> None:
    """The conflict with its own write is seen for what it is, within the deadline."""

    async def body() -> None:
        late = (2.9, 60.0)
        delays = itertools.chain([(0, 0), (0, 0), late], itertools.repeat((0.01, 0.01)))
        lease, _ = candidate(LeaseServer(), "a", delays=delays)
        assert await lease.attempt()
        await lease.attempt()  # no answer in time
        await asyncio.sleep(1)
        await lease.attempt()  # conflicts
        assert await lease.attempt()
        assert lease.holds()

    scenario(body)


def test_a_lease_made_by_hand_without_a_holder_is_free() -> None:
    """`kubectl create` of an empty Lease does not block the operator for ever."""

    async def body() -> None:
        server = LeaseServer()
        server.create({"metadata": {"name": "tepui-operator"}})
        lease, _ = candidate(server, "a")
        assert await lease.attempt()

    scenario(body)


def test_a_right_that_is_given_late_is_taken() -> None:
    """Without the right to write leases it waits, and says so in its log, until it has it."""

    async def body() -> None:
        server = LeaseServer()
        lease, link = candidate(server, "a")
        link.forbidden = True
        assert not await lease.attempt()
        link.forbidden = False
        assert await lease.attempt()

    scenario(body)


def test_times_that_could_not_be_safe_are_refused() -> None:
    """A holder must stop before the others may begin."""
    with pytest.raises(ValueError, match="renew_deadline_s < lease_s"):
        LeaseTiming(lease_s=5, renew_deadline_s=5.0)
    assert TIMING.write_timeout_s == 4


def test_no_two_processes_have_one_identity() -> None:
    """A container that starts anew under the same host name and process id is another candidate."""
    assert identity() != identity()


DELAY = st.sampled_from([0.0, 0.01, 0.5, 1.4, 2.9, 4.0, 7.0, 12.0, 25.0])
CANDIDATE = st.tuples(
    st.lists(st.tuples(DELAY, DELAY), min_size=1, max_size=40),
    st.sampled_from([0.8, 0.95, 1.0, 1.05, 1.2]),
    st.floats(-1e9, 1e9),
    st.lists(st.floats(0, 120), max_size=4),
)


@settings(deadline=None, max_examples=60)
@given(candidates=st.lists(CANDIDATE, min_size=2, max_size=3))
def test_no_two_ever_hold_it(candidates: list[tuple[Any, float, float, list[float]]]) -> None:
    """Whatever is late or lost, whichever clock is fast, slow or wrong, and whoever loses its connection."""

    async def body() -> None:
        server, loop = LeaseServer(), asyncio.get_running_loop()
        leases, tasks = [], []
        for number, (delays, rate, offset_s, cuts) in enumerate(candidates):
            lease, link = candidate(server, f"c{number}", delays=itertools.cycle(delays), rate=rate, offset_s=offset_s)
            leases.append(lease)
            tasks.append(asyncio.create_task(lease.run()))
            for at in cuts:
                loop.call_later(at, _toggle, link)
        for _ in range(600):
            await asyncio.sleep(0.2)
            assert sum(lease.holds() for lease in leases) <= 1
        for task in tasks:
            await ended(task)

    scenario(body)


def _toggle(link: Link) -> None:
    link.cut = not link.cut
