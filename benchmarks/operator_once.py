"""One side of a pair, once, in a fresh cluster's network: the operator, or a plain script. Prints JSON.

    operator_once.py operator|script TRIALS

Both make the same Jobs (tepui_operator.manifests), a training and an evaluation one for each trial, and the clock stops
when the watch has seen the last of them end. The script makes all of them at once, with as many requests at a time as
the operator; the operator's clock runs from the creation of the study, and an evaluation waits for its training.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from operator_watch import Stopwatch, watching
from operator_work import NAMESPACE, Json, cluster_from_inside, study

from operators import Operator, with_laws
from tepui_operator.child import Child
from tepui_operator.cluster.api import Api, configured
from tepui_operator.cluster.building import build
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.cluster.paths import JOBS, STUDIES, path
from tepui_operator.cluster.projection import spec_record
from tepui_operator.cluster.writer import WRITES_AT_ONCE
from tepui_operator.manifests import objects
from tepui_operator.payloads import Site

LONGEST_S = 1800.0
_WRITES = ("create", "update", "patch", "delete")


def manifests(raw: Json) -> list[Json]:
    """All Jobs of a study's trials, as the operator makes them, owned by nobody."""
    record = spec_record({**raw, "metadata": {**raw["metadata"], "uid": "none"}})
    assert record is not None
    made = build(record, Site())
    children = [Child(made.name, stage, trial, 0) for trial in made.order for stage in ("train", "evaluate")]
    return [objects(made, child, Site())[-1] for child in children]


async def create_all(api: Api, jobs: list[Json]) -> None:
    """The plain script."""
    slots = asyncio.Semaphore(WRITES_AT_ONCE)

    async def create(job: Json) -> None:
        async with slots:
            await api.create(path(JOBS, NAMESPACE), job)

    await asyncio.gather(*map(create, jobs))


async def warm_up(api: Api, stopwatch: Stopwatch) -> None:
    """Some Jobs from beginning to end: everything of the cluster is at work when the clock starts."""
    jobs = manifests(study("warm-up", 10))
    await create_all(api, jobs)
    await stopwatch.until(lambda: len(stopwatch.jobs.ended) == len(jobs), 120)
    stopwatch.jobs.created.clear()
    stopwatch.jobs.ended.clear()


async def by_script(api: Api, stopwatch: Stopwatch, trials: int) -> Json:
    """The bare Job controller."""
    jobs = manifests(study("bench", trials))
    began = time.perf_counter()
    await create_all(api, jobs)
    await stopwatch.until(lambda: len(stopwatch.jobs.ended) == len(jobs), LONGEST_S)
    return {"jobs": len(jobs), "seconds": max(stopwatch.jobs.ended.values()) - began}


async def by_operator(api: Api, stopwatch: Stopwatch, trials: int, operator: Operator) -> Json:
    """The operator, from the study's creation to its last trial's end; its cost until the study is complete."""
    cpu_s = operator.metric("process_cpu_seconds_total")
    jobs = 2 * trials
    began = time.perf_counter()
    await api.create(path(STUDIES, NAMESPACE), study("bench", trials))
    await stopwatch.until(lambda: len(stopwatch.jobs.ended) == jobs, LONGEST_S)
    seconds = max(stopwatch.jobs.ended.values()) - began
    await stopwatch.until(lambda: stopwatch.studies.complete(1), 300)
    return {
        "jobs": jobs,
        "seconds": seconds,
        **cost(operator, cpu_s, jobs),
        "successions_s": quantiles(stopwatch.jobs.successions_s()),
    }


def cost(operator: Operator, cpu_before_s: float, jobs: int) -> Json:
    """What the operator has used for so many Jobs of trials."""
    requests = "tepui_api_request_seconds_count"
    writes = sum(operator.metric(f'{requests}{{verb="{verb}"') for verb in _WRITES)
    created = operator.metric(f'{requests}{{verb="create",resource="jobs"')
    return {
        "cpu_ms_per_job": (operator.metric("process_cpu_seconds_total") - cpu_before_s) * 1000 / jobs,
        "peak_mb": peak_mb(operator.pid),
        "further_writes_per_job": (writes - created) / jobs,
    }


def peak_mb(pid: int) -> float:
    """The most memory that a process has held so far, in 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def quantiles(ascending: list[float]) -> Json:
    """Median and 99th percentile."""
    return {p: ascending[min(len(ascending) - 1, int(len(ascending) * int(p) / 100))] for p in ("50", "99")}


async def measure(side: str, trials: int) -> Json:
    """One run."""
    async with Api(await configured(), Metrics()) as api, watching(api) as stopwatch:
        await warm_up(api, stopwatch)
        if side == "script":
            return await by_script(api, stopwatch, trials)
        cluster = cluster_from_inside()
        with_laws(cluster, NAMESPACE)
        with (
            TemporaryDirectory(prefix="tepui-bench-") as folder,
            Operator(cluster, Path(folder) / "operator.log", []) as operator,
        ):
            return await by_operator(api, stopwatch, trials, operator)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
