"""The queue of studies, on virtual time."""

import asyncio

import pytest

from tepui_operator.cluster.workqueue import FIRST_DELAY_S, LONGEST_DELAY_S, WorkQueue
from virtual_time import run_virtual


def queue() -> WorkQueue[str]:
    """One on the loop's own clock."""
    return WorkQueue(asyncio.get_running_loop().time)


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


def test_a_key_is_in_it_once() -> None:
    """However often it is added before it is taken."""

    async def main() -> None:
        keys = queue()
        for _ in range(3):
            keys.add("a")
        assert len(keys) == 1
        assert await keys.take() == "a"
        assert len(keys) == 0

    run_virtual(main())


def test_a_key_has_one_worker_at_a_time() -> None:
    """Added while it is at work it is handed out again, but only after `done`."""

    async def main() -> None:
        keys = queue()
        keys.add("a")
        assert await keys.take() == "a"
        keys.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keys.take(), 10)
        keys.done("a")
        assert await keys.take() == "a"
        assert set(keys.busy_s()) == {"a"}

    run_virtual(main())


def test_the_earliest_time_counts() -> None:
    """A key that is to be looked at in an hour is looked at now if something happens now."""

    async def main() -> None:
        keys = queue()
        keys.add("a", 3600)
        keys.add("b", 60)
        assert await keys.take() == "b"
        assert now() == 60
        keys.add("a")
        assert await keys.take() == "a"
        assert now() == 60

    run_virtual(main())


def test_a_pause_bounds_what_a_busy_key_costs() -> None:
    """What happens during it is handed out together when it is over; another key is not held up."""

    async def main() -> None:
        keys = queue()
        keys.add("a")
        await keys.take()
        keys.done("a", pause_s=5)
        keys.add("a")
        keys.add("b")
        assert await keys.take() == "b"
        assert await keys.take() == "a"
        assert now() == 5

    run_virtual(main())


def test_failures_are_repeated_with_growing_pauses() -> None:
    """From half a second to five minutes, jittered; a success begins anew; the server's own wish is kept."""

    async def main() -> None:
        keys = queue()
        keys.add("a")
        pauses = []
        for _ in range(12):
            await keys.take()
            began = now()
            keys.failed("a")
            keys.add("a")  # an event does not shorten it
            await keys.take()
            pauses.append(now() - began)
            keys.failed("a")
        assert pauses[0] <= FIRST_DELAY_S < pauses[3]
        assert LONGEST_DELAY_S / 2 <= pauses[-1] <= LONGEST_DELAY_S
        await keys.take()
        keys.done("a")
        keys.add("a")
        await keys.take()
        began = now()
        keys.failed("a", retry_after_s=42)
        await keys.take()
        assert now() - began == 42

    run_virtual(main())


def test_workers_wait_in_turn() -> None:
    """Each key goes to one of many waiting workers; none is lost."""

    async def main() -> None:
        keys = queue()
        taken: list[str] = []

        async def work() -> None:
            while True:
                key = await keys.take()
                taken.append(key)
                await asyncio.sleep(1)
                keys.done(key)

        workers = [asyncio.create_task(work()) for _ in range(4)]
        for number in range(40):
            keys.add(str(number))
        await asyncio.sleep(10.5)
        assert sorted(taken, key=int) == [str(number) for number in range(40)]
        assert now() == 10.5
        for worker in workers:
            worker.cancel()

    run_virtual(main())


def test_a_key_with_nothing_left_to_do_is_forgotten() -> None:
    """Studies come and go for months; what was added during the work is not lost with it."""

    async def main() -> None:
        keys = queue()
        keys.add("a")
        keys.add("b")
        for key in (await keys.take(), await keys.take()):
            if key == "b":
                keys.add("b")
            keys.done(key)
        assert set(keys._entries) == {"b"}
        assert await keys.take() == "b"

    run_virtual(main())
