"""What liveness is told of a watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from tepui_operator.cluster.errors import UnansweredError
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.reflector import Reflection, Reflector


class Unreachable:
    """An API server that is down."""

    def __init__(self) -> None:
        self.tries = asyncio.Queue[None]()

    async def pages(self, _: str, **__: str) -> AsyncIterator[dict[str, Any]]:
        """Never any."""
        self.tries.put_nowait(None)
        raise UnansweredError("connection refused")
        yield {}  # what makes it a generator


def test_a_watch_that_is_tried_in_vain_is_silent_and_alive() -> None:
    """Its age grows, for alerts; liveness hears of each try, since starting the process anew would not help."""

    async def body() -> None:
        api = Unreachable()
        reflection: Reflection[object] = Reflection(
            "/apis/batch/v1/jobs", lambda _: None, lambda _: None, lambda _: None, set
        )
        reflector = Reflector(api, reflection, Metrics())  # type: ignore[arg-type]
        task = asyncio.create_task(reflector.run())
        for _ in range(3):
            await api.tries.get()
        assert reflector.idle_s < reflector.age_s
        assert reflector.trouble == "connection refused"
        assert not reflector.synced.is_set()
        task.cancel()

    asyncio.run(body())
