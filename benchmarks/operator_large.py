"""Large studies, many studies, start-up and deletion, in a fresh cluster's network. Prints JSON.

    operator_large.py large|deleted|many TRIALS

Trials' Jobs are ended by operator_player.py, without pods. The large study is cut off at nine tenths by SIGKILL: the
operator that starts then finds all of its Jobs.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from operator_once import cost, quantiles
from operator_player import POLICY, Player
from operator_watch import Stopwatch, watching
from operator_work import NAMESPACE, Json, cluster_from_inside, study

from operators import Operator, with_laws
from tepui_operator.cluster.api import Api, configured
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.paths import JOBS, STUDIES, path

LONGEST_S = 1200.0
SMALL_STUDIES, SMALL_TRIALS = 500, 2
DELETED_TRIALS = 500
CUT_OFF = 0.9
LARGE_PARALLELISM = 100
_CREATES_AT_ONCE = 16


@contextmanager
def operator() -> Iterator[Operator]:
    """A fresh process."""
    with (
        TemporaryDirectory(prefix="tepui-bench-") as folder,
        Operator(cluster_from_inside(), Path(folder) / "operator.log", []) as running,
    ):
        yield running


async def played(api: Api) -> None:
    """Wait until the policy is in force: the API server takes some seconds to know it."""
    probe = study_job("probe")
    while "managedBy" not in (await api.create(f"{path(JOBS, NAMESPACE)}?dryRun=All", probe))["spec"]:
        await asyncio.sleep(0.2)


def study_job(name: str) -> Json:
    """A Job that the policy hands over."""
    pod = {"containers": [{"name": "pod", "image": "none"}], "restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"tepui.dev/stage": "train"}},
        "spec": {"template": {"spec": pod}},
    }


async def many(api: Api, stopwatch: Stopwatch) -> Json:
    """Small studies, all at once."""
    slots, where = asyncio.Semaphore(_CREATES_AT_ONCE), path(STUDIES, NAMESPACE)

    async def create(number: int) -> None:
        async with slots:
            await api.create(where, study(f"small-{number}", SMALL_TRIALS))

    with operator() as running:
        cpu_s, began = running.metric("process_cpu_seconds_total"), time.perf_counter()
        await asyncio.gather(*map(create, range(SMALL_STUDIES)))
        await stopwatch.until(lambda: stopwatch.studies.complete(SMALL_STUDIES), LONGEST_S)
        return {
            "seconds": time.perf_counter() - began,
            **cost(running, cpu_s, SMALL_STUDIES * (2 * SMALL_TRIALS + 1)),
            "successions_s": quantiles(stopwatch.jobs.successions_s()),
        }


async def deleted(api: Api, stopwatch: Stopwatch) -> Json:
    """A study is deleted in the middle, and no operator runs."""
    jobs = stopwatch.jobs

    def count(names: Iterable[str]) -> int:
        return sum(name.startswith("deleted-") for name in names)

    with operator():
        await api.create(path(STUDIES, NAMESPACE), study("deleted", DELETED_TRIALS))
        await stopwatch.until(lambda: count(jobs.ended) >= DELETED_TRIALS, LONGEST_S)
    present, began = count(jobs.present), time.perf_counter()
    where = path(STUDIES, NAMESPACE, "deleted")
    await api.delete(where)
    assert await api.get(where) is None
    gone_s = time.perf_counter() - began
    await stopwatch.until(lambda: not count(jobs.present), LONGEST_S)
    return {"study_gone_s": gone_s, "jobs": present, "jobs_gone_s": time.perf_counter() - began}


async def large(api: Api, stopwatch: Stopwatch, trials: int) -> Json:
    """One large study, whose operator dies on the way."""
    jobs = stopwatch.jobs
    with operator() as first:
        cpu_s, began = first.metric("process_cpu_seconds_total"), time.perf_counter()
        await api.create(path(STUDIES, NAMESPACE), study("large", trials, parallelism=LARGE_PARALLELISM))
        await stopwatch.until(lambda: len(jobs.ended) >= 2 * trials * CUT_OFF, LONGEST_S)
        seconds, done = time.perf_counter() - began, len(jobs.ended)
        found = {"jobs_per_s": done / seconds, **cost(first, cpu_s, done)}
        first.kill()
    return {**found, **await restarted(api, stopwatch, trials), "successions_s": quantiles(jobs.successions_s())}


async def restarted(api: Api, stopwatch: Stopwatch, trials: int) -> Json:
    """A new operator finds the Jobs of a study that it has not seen, and completes it."""
    jobs = stopwatch.jobs
    await stopwatch.until(lambda: len(jobs.ended) == len(jobs.created), 60)
    present, began = len(jobs.created), time.perf_counter()
    with operator() as second:
        synced_s = time.perf_counter() - began
        await stopwatch.until(lambda: len(jobs.created) > present, LONGEST_S)
        decided_s = time.perf_counter() - began
        await stopwatch.until(lambda: stopwatch.studies.phase.get("large") == "Complete", LONGEST_S)
        whole = await api.get(path(STUDIES, NAMESPACE, "large"))
        assert whole is not None and whole["status"]["trials"]["completed"] == trials  # noqa: PT018
        return {
            "jobs_present": present,
            "synced_s": synced_s,
            "decided_s": decided_s,
            "peak_mb_after_restart": cost(second, 0.0, 1)["peak_mb"],
            "object_kb": len(json.dumps(whole)) / 1e3,
        }


async def measure(part: str, trials: int) -> Json:
    """One part; `trials` is the size of the large study."""
    cluster = cluster_from_inside()
    cluster.apply(*POLICY)
    with_laws(cluster, NAMESPACE)
    async with Api(await configured(), Metrics()) as api:
        player = Player(api)
        async with watching(api, player.jobs, player.run) as stopwatch:
            await played(api)
            if part == "large":
                return await large(api, stopwatch, trials)
            return await (many if part == "many" else deleted)(api, stopwatch)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
