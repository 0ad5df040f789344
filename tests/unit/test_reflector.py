"""What a list that follows the cluster does with objects that stop being ours."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cluster_objects import UID, built, job_object
from tepui_operator.child import Child
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
