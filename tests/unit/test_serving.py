"""What ends an operator process: a signal, a lease that was lost, and a bug in what keeps the lease."""

import asyncio

import pytest

from tepui_operator.cluster.errors import NotLeadingError
from tepui_operator.cluster.serving import until
from virtual_time import run_virtual


class Standby:
    """An operator that waits for the lease for ever, as a replica does whose lease is never won."""

    ended = False

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def _bug() -> None:
    raise KeyError("acquireTime")


async def _lost() -> None:
    return


def test_a_bug_in_what_keeps_the_lease_ends_a_replica_that_waits() -> None:
    """Otherwise it would stand by for ever, alive and ready, and take over from nobody."""

    async def main() -> None:
        standby = Standby()
        with pytest.raises(KeyError, match="acquireTime"):
            await until(asyncio.Event(), standby.run(), asyncio.create_task(_bug()))
        assert standby.ended

    run_virtual(main())


def test_a_lost_lease_ends_the_process() -> None:
    """Also where the loop has not noticed yet."""

    async def main() -> None:
        standby = Standby()
        with pytest.raises(NotLeadingError):
            await until(asyncio.Event(), standby.run(), asyncio.create_task(_lost()))
        assert standby.ended

    run_virtual(main())


def test_a_signal_ends_the_loop_before_the_lease_is_given_back() -> None:
    """The lease is kept until the last write is done."""

    async def main() -> None:
        standby, stop = Standby(), asyncio.Event()
        keeping = asyncio.create_task(asyncio.Event().wait())
        asyncio.get_running_loop().call_later(1, stop.set)
        await until(stop, standby.run(), keeping)
        assert standby.ended
        assert not keeping.done()
        keeping.cancel()

    run_virtual(main())


def test_a_bug_in_the_loop_is_raised() -> None:
    """The kubelet starts the process anew, with the traceback in its log."""

    async def main() -> None:
        with pytest.raises(KeyError):
            await until(asyncio.Event(), _bug(), None)

    run_virtual(main())
