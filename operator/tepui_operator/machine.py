"""What this machine has, and whether a study's pods fit on it."""

import os
import shutil
import subprocess
from dataclasses import dataclass

from tepui_operator.resources import resources
from tepui_operator.scheduler import Capacity
from tepui_spec.pods import Pods
from tepui_spec.status import Stage


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores and GPUs that pods may use."""

    cpus: float
    gpus: tuple[str, ...] = ()
    """As CUDA_VISIBLE_DEVICES names them."""

    @property
    def capacity(self) -> Capacity:
        """All of it."""
        return Capacity(round(self.cpus * 1000), len(self.gpus))


def this_machine(cpus: float | None = None) -> Machine:
    """The cores this process may run on (or as many as `cpus` says) and the GPUs it may see."""
    return Machine(cpus if cpus is not None else len(os.sched_getaffinity(0)), _visible_gpus())


def _visible_gpus() -> tuple[str, ...]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(device.strip() for device in chosen.split(",") if device.strip() not in ("", "-1"))
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False)
    return tuple(str(i) for i, line in enumerate(li for li in listed.stdout.splitlines() if li.startswith("GPU ")))


def check_fits(pods: Pods, machine: Machine) -> None:
    """Raise ValueError naming the field where a Job of the study is larger than the machine."""
    stages: tuple[Stage, ...] = ("train", "evaluate", "analyse")
    for stage in stages:
        asked = resources(pods, stage)
        what = f"a {stage} Job of {asked.pods} pods" if asked.pods > 1 else f"a {stage} pod"
        if asked.gpus * asked.pods > len(machine.gpus):
            raise ValueError(
                f"spec.pods.gpusPerNode: {pods.gpus_per_node}: {what} asks for {asked.gpus * asked.pods} GPUs and "
                f"this machine shows {len(machine.gpus)}"
            )
        millicpus = asked.millicpus * asked.pods
        if millicpus > machine.capacity.millicpus:
            raise ValueError(
                f"spec.pods.cpus: {pods.cpus:g}: {what} asks for {millicpus / 1000:g} cores and this machine "
                f"has {machine.cpus:g} (--cpus says otherwise)"
            )
