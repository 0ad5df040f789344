"""What each kind of pod asks for: the user says it for training pods, the others are derived."""

import math
from dataclasses import dataclass

from tepui_spec.pods import Pods
from tepui_spec.status import Stage

_MEBIBYTES = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}
_ANALYSIS_MEMORY_MIB = 2048
"""Enough for the rows of 15,000 trials and the bootstrap of one law at a time."""


@dataclass(frozen=True, slots=True)
class PodResources:
    """The request of one pod, and how many such pods a Job has."""

    cpus: float
    memory_mib: int
    gpus: int
    pods: int = 1
    processes: int = 1

    @property
    def millicpus(self) -> int:
        """Cores in thousandths, as Kubernetes counts them."""
        return round(self.cpus * 1000)

    @property
    def threads(self) -> int:
        """CPU threads of each process."""
        return max(1, int(self.cpus / self.processes))


def mebibytes(memory: str) -> int:
    """Mebibytes of a quantity such as 512Mi or 64Gi."""
    return int(memory[:-2]) * _MEBIBYTES[memory[-2:]]


def resources(pods: Pods, stage: Stage) -> PodResources:
    """The pods of one Job of a stage.

    Evaluation is one process: with GPUs it takes one of them and its share of the pod's cores and memory, without
    GPUs what a training pod takes. Analysis is one core without a GPU.
    """
    memory = mebibytes(pods.memory)
    if stage == "train":
        return PodResources(pods.cpus, memory, pods.gpus_per_node, pods.nodes, pods.processes)
    if stage == "evaluate":
        share = max(1, pods.gpus_per_node)
        return PodResources(pods.cpus / share, math.ceil(memory / share), min(1, pods.gpus_per_node))
    return PodResources(min(1.0, pods.cpus), _ANALYSIS_MEMORY_MIB, 0)


def hours_unit(pods: Pods) -> str:
    """What `hours` counts."""
    return "GPU-hours" if pods.gpus_per_node else "core-hours"


def units_held(pods: Pods, stage: Stage) -> float:
    """GPUs that a running Job holds; cores in a study without GPUs."""
    asked = resources(pods, stage)
    return (asked.gpus if pods.gpus_per_node else asked.cpus) * asked.pods
