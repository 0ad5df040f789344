"""CPU that tracking costs a pod, with MLflow preloaded as in the embedded engine's fork server.

    .venv/bin/python benchmarks/tracking_cost.py [--trials 12] [--at-once 2]

Each pod is a forked process: a training pod (20 points of 6 metrics) and an evaluation pod (28 metrics), on one
SQLite file. Printed: CPU seconds per pod, of preparing the file, and of importing MLflow. About 20 s on 2 cores.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from tepui_spec.outcome import Outcome
from tepui_spec.pods import MlflowServer
from tepui_spec.trial import Destination
from tepui_trainer.tracking import Tracker, prepare

METRICS = ("train_loss", "lr", "grad_norm", "validation_loss", "validation_error", "images_per_s")


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def train(destination: Destination, trial: str) -> None:
    params = {f"setting{i}": i for i in range(30)}
    tracker = Tracker(destination, trial=trial, stage="train", run_name=trial, params=params)
    for step in range(20):
        tracker.metrics(dict.fromkeys(METRICS, 1 / (step + 1)), step)
    tracker.end(Outcome.SUCCEEDED)
    tracker.close(60)


def evaluate(destination: Destination, trial: str) -> None:
    tracker = Tracker(destination, trial=trial, stage="evaluate", run_name=trial, params={})
    for task in range(7):
        tracker.metrics({f"task{task}.shots{shots}.error": 0.5 for shots in (1, 5, 10, 25)})
    tracker.end(Outcome.SUCCEEDED)
    tracker.close(60)


def in_children(work: list[tuple[object, str]], destination: Destination, at_once: int) -> tuple[float, float]:
    """Mean CPU seconds a pod, and wall seconds of all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    running: set[int] = set()
    for stage, trial in work:
        if len(running) == at_once:
            running.remove(os.wait()[0])
        pid = os.fork()
        if pid == 0:
            stage(destination, trial)  # type: ignore[operator]
            os._exit(0)
        running.add(pid)
    while running:
        running.remove(os.wait()[0])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / len(work), time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    start = cpu_s()
    from tepui_trainer import mlflow_client  # noqa: F401 (what is measured)

    print(f"import of MLflow           {cpu_s() - start:6.2f} s CPU, once in the fork server")
    with tempfile.TemporaryDirectory() as folder:
        destination = Destination(storage_uri=str(Path(folder)), study="benchmark", mlflow=MlflowServer())
        pid = os.fork()
        if pid == 0:
            start = cpu_s()
            prepare(destination)
            print(f"creating mlflow.db         {cpu_s() - start:6.2f} s CPU, once a study", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        for name, stage in (("training", train), ("evaluation", evaluate)):
            work = [(stage, f"trial{i}") for i in range(options.trials)]
            each, wall = in_children(work, destination, options.at_once)
            print(f"{name:<12} pod           {each:6.2f} s CPU each, {options.trials} pods in {wall:.1f} s")


if __name__ == "__main__":
    main()
