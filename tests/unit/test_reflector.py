"""What a list that follows the cluster does with objects that stop being ours, and when it is told to end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cluster_objects import UID, built, job_object
from tepui_operator.child import Child
from tepui_operator.cluster.errors import UnansweredError
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.projection import job_record
from tepui_operator.cluster.reflector import Reflection, Reflector
from tepui_operator.cluster.store import Store


class Listing:
    """An API server with some Jobs and no news of them."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = list(jobs)
        self.watched = asyncio.Event()

    async def pages(self, _: str, **__: str) -> AsyncIterator[dict[str, Any]]:
        """All in one page."""
        yield {"metadata": {"resourceVersion": "9"}, "items": self.jobs}

    async def watch(self, _: str, **__: str) -> AsyncIterator[list[bytes]]:
        """A watch on which nothing comes."""
        self.watched.set()
        await asyncio.Event().wait()
        yield []


def test_a_job_whose_labels_were_taken_is_dropped() -> None:
    """Its old record would count as a Job at work for ever: the end of it would never be seen."""

    async def main() -> None:
        study = built()
        made = job_object(study, Child("study", "train", study.trials[0], 0), active=1)
        store = Store(lambda _: None)
        store.put_job(job_record(made))  # type: ignore[arg-type]
        del made["metadata"]["labels"]["tepui.dev/attempt"]
        api = Listing(made)
        reflection = Reflection("/apis/batch/v1/jobs", job_record, store.put_job, store.drop_job, store.job_keys)
        task = asyncio.create_task(Reflector(api, reflection, Metrics()).run())  # type: ignore[arg-type]
        await api.watched.wait()
        assert store.jobs_of(UID) == []
        task.cancel()

    asyncio.run(main())


class OutOfTime(Listing):
    """A request whose own time runs out in the moment it is cancelled."""

    async def watch(self, path: str, **options: str) -> AsyncIterator[list[bytes]]:
        """As the HTTP client has it: the time-out hides the cancellation."""
        try:
            async for lines in super().watch(path, **options):
                yield lines
        except asyncio.CancelledError:
            raise UnansweredError("watch: timed out") from None


def test_an_end_that_looks_like_a_time_out_is_an_end() -> None:
    """Otherwise a replica that lost its lease went on reading, and neither acted nor ended."""

    async def main() -> None:
        store, api = Store(lambda _: None), OutOfTime()
        reflection = Reflection("/apis/batch/v1/jobs", job_record, store.put_job, store.drop_job, store.job_keys)
        task = asyncio.create_task(Reflector(api, reflection, Metrics()).run())  # type: ignore[arg-type]
        await api.watched.wait()
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=20)
        assert done

    asyncio.run(main())
