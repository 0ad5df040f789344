"""Training pods as real processes forked from a server that has imported torch, timm and DeepSpeed once."""

import dataclasses
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

from data_builders import images, recipe
from tepui_spec import layout
from tepui_spec.experiment import CustomModel, Data
from tepui_spec.naming import trial_hash
from tepui_spec.outcome import PodReport
from tepui_spec.recipes import Recipe
from tepui_spec.trial import (
    TASK_VARIABLE,
    TERMINATION_LOG_VARIABLE,
    AnalyseTask,
    Destination,
    EvaluateTask,
    Placement,
    TrainTask,
    TrialConfig,
)
from tepui_trainer.datasets.recipe import LabelledImages
from tepui_trainer.datasets.shards import write_dataset

TINY = CustomModel(
    name="tiny",
    timm="vit_tiny_patch16_224",
    args={"patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "drop_rate": 0.1},
)
RECIPE = Recipe(name="test", batch_size=16, epochs=25, lr_peak=1e-2, crop="pad", warmup_fraction=0.1)
DEADLINE_S = 120.0
EVERY_STEP_S = 1e-9
"""For `checkpoint_every_s`: a checkpoint after every step, so that the n-th one depends on no clock."""
STAGES = {TrainTask: "train", EvaluateTask: "evaluate", AnalyseTask: "analyse"}
_context = multiprocessing.get_context("forkserver")
# ZeRO's optimizers import the compiler, 4 s of CPU, at their first use
_context.set_forkserver_preload(["tepui_trainer.preload", "deepspeed.runtime.zero.muon.muon_optimizer"])


@dataclass(frozen=True)
class Died:
    """Where a pod kills itself: just before the n-th write of a file whose path holds `part`."""

    part: str
    occurrence: int = 1


@dataclass(frozen=True)
class Filled:
    """Where a pod's disk becomes full: just before the n-th write of a file whose path holds `part`."""

    part: str
    filler: Path
    """A file that then takes all that is left of its file system."""
    occurrence: int = 1


@dataclass(frozen=True)
class ToldToStop:
    """A pod that gets SIGTERM during its first step, before it looks for one."""


Fault = Died | Filled | ToldToStop


def train_task(
    data: Path,
    storage: Path,
    *,
    model: CustomModel = TINY,
    placement: Placement | None = None,
    checkpoint_every_s: float = 0.05,
    format_: Any = "parquet",
    precision: Any = "fp32",
    max_corrupt_share: float = 0.01,
    **changes: Any,
) -> TrainTask:
    """A trial on 8 px images: 96 training images, 150 steps unless the recipe says otherwise."""
    config = TrialConfig(
        model=model,
        recipe=RECIPE.model_copy(update=changes),
        data=Data(uri=str(data), format=format_, test_split="test", max_corrupt_share=max_corrupt_share),
        image_size=8,
        precision=precision,
    )
    return TrainTask(
        trial=trial_hash(config),
        attempt=0,
        config=config,
        factors={},
        placement=placement or Placement(),
        checkpoint_every_s=checkpoint_every_s,
        curve_points=5,
        data_uri=str(data),
        destination=Destination(storage_uri=str(storage), study="test"),
    )


def stripes(folder: Path, num_train: int = 96, num_test: int = 24) -> None:
    """A dataset that can be learnt: noise, and a bright row whose place is the class."""

    def split(count: int) -> LabelledImages:
        labelled = images(count)
        labelled.images_NSS[np.arange(count), 2 + 2 * labelled.labels_N] = 255
        return labelled

    learnable = dataclasses.replace(
        recipe(num_train, num_test), draw=lambda: {"train": split(num_train), "test": split(num_test)}
    )
    write_dataset(str(folder), learnable)


class Pod:
    """A running pod (or one rank of it), of the stage that its task is for."""

    def __init__(
        self,
        task: TrainTask | EvaluateTask | AnalyseTask,
        folder: Path,
        *,
        died: Fault | None = None,
        dies_after: int | None = None,
        **environ: Any,
    ) -> None:
        if isinstance(died, Died | Filled) and isinstance(task, TrainTask):
            task = saving_every_step(task)
        folder.mkdir(parents=True, exist_ok=True)
        self.report_path = folder / "report.json"
        self.report_path.unlink(missing_ok=True)
        self.log = folder / "log.txt"
        variables = {
            TASK_VARIABLE: task.model_dump_json(),
            TERMINATION_LOG_VARIABLE: str(self.report_path),
            "OMP_NUM_THREADS": "1",
        }
        self.process: ForkServerProcess = _context.Process(
            target=_pod, args=(STAGES[type(task)], variables | environ, str(self.log), died, dies_after)
        )
        self.process.start()

    def wait(self) -> int:
        """Exit code; negative for the signal that killed it."""
        self.process.join(DEADLINE_S)
        assert self.process.exitcode is not None, self.log.read_text()
        return self.process.exitcode

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, which)

    @property
    def report(self) -> PodReport:
        """Its last words."""
        return PodReport.model_validate_json(self.report_path.read_bytes())


def run(
    task: TrainTask | EvaluateTask | AnalyseTask, folder: Path, *, died: Fault | None = None, **environ: Any
) -> tuple[int, Pod]:
    """Run a pod to its end."""
    pod = Pod(task, folder, died=died, **environ)
    return pod.wait(), pod


def ranks(task: TrainTask, folder: Path, world_size: int, *, dies_after: int | None = None) -> list[Pod]:
    """The processes that torchrun would start, without its start-up time.

    The last rank kills itself after it has taken part in `dies_after` checkpoints.
    """
    if dies_after is not None:
        task = saving_every_step(task)
    port = free_port()
    return [
        Pod(
            task,
            folder / str(rank),
            dies_after=dies_after if rank == world_size - 1 else None,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(world_size),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
            GLOO_SOCKET_IFNAME="lo",
            TEPUI_RANK_REPORTS=str(folder),
            TEPUI_PEER_TIMEOUT_S="20",
        )
        for rank in range(world_size)
    ]


def saving_every_step(task: TrainTask) -> TrainTask:
    """The same trial with a checkpoint after every step: its results do not depend on that."""
    return task.model_copy(update={"checkpoint_every_s": EVERY_STEP_S})


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], pod: Pod) -> None:
    """Return once the condition holds; it must before the pod ends or the deadline comes."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, pod.log.read_text()
        assert pod.process.is_alive(), pod.log.read_text()
        time.sleep(0.002)


def results(task: TrainTask, storage: Path) -> dict[str, bytes]:
    """The bytes that must not depend on what happened on the way: rows and final weights."""
    (weights,) = (storage / layout.checkpoints_dir(task.trial)).glob("*/model.safetensors")
    return {
        "trial": (storage / layout.trial_rows(task.trial)).read_bytes(),
        "curve": (storage / layout.curve_rows(task.trial)).read_bytes(),
        "weights": weights.read_bytes(),
    }


def manifests(task: TrainTask, storage: Path) -> list[Path]:
    """Manifests of the trial's checkpoints, oldest first."""
    return sorted((storage / layout.checkpoints_dir(task.trial)).glob("*/manifest.json"))


def _pod(stage: str, variables: Mapping[str, str], log: str, died: Fault | None, dies_after: int | None) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(variables)
    if isinstance(died, ToldToStop):
        _stop_at_first_step()
    elif died is not None:
        _at_write(died)
    if dies_after is not None:
        _die_after(dies_after)
    if "RANK" in variables:
        from tepui_trainer.runtime import run_pod
        from tepui_trainer.trial import train_trial

        code = run_pod(TrainTask, train_trial)
    else:
        from tepui_spec.pod import stage_main

        code = stage_main(stage)()
    os._exit(code)


def _die_after(checkpoints: int) -> None:
    from tepui_trainer.loop import Run

    save, saved = Run.save, [0]

    def save_and_die(self: Run, *, final: bool = False) -> None:
        save(self, final=final)
        saved[0] += 1
        if saved[0] == checkpoints:
            os.kill(os.getpid(), signal.SIGKILL)

    Run.save = save_and_die  # type: ignore[method-assign]


def _stop_at_first_step() -> None:
    from tepui_trainer.engine import Engine

    step = Engine.step

    def stop_and_step(self: Engine, *args: Any, **kwargs: Any) -> Any:
        Engine.step = step  # type: ignore[method-assign]
        os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args, **kwargs)

    Engine.step = stop_and_step  # type: ignore[method-assign]


def _at_write(fault: Died | Filled) -> None:
    from tepui_trainer.storage import Storage

    write, seen = Storage.write, [0]

    def write_or_not(self: Storage, path: str, data: bytes) -> None:
        seen[0] += fault.part in path
        if fault.part in path and seen[0] == fault.occurrence:
            if isinstance(fault, Died):
                os.kill(os.getpid(), signal.SIGKILL)
            else:
                _fill(fault.filler)
        write(self, path, data)

    Storage.write = write_or_not  # type: ignore[method-assign]


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(2**16))
