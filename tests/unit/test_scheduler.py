"""Packing of Jobs by their requests, and what the machine must hold."""

import pytest

from tepui_operator.machine import Machine, check_fits
from tepui_operator.scheduler import Capacity, Demand, place
from tepui_spec.pods import Pods


def demand(name: str, stage: str = "train", cpus: float = 1, gpus: int = 0) -> Demand:
    """A Job that waits."""
    return Demand(name, stage, Capacity(round(cpus * 1000), gpus))  # type: ignore[arg-type]


def test_jobs_start_until_the_cores_are_taken() -> None:
    """In the order of creation, as many as fit."""
    waiting = [demand("a"), demand("b", cpus=0.5), demand("c", cpus=0.5), demand("d")]
    assert place(waiting, Capacity(2000, 0)) == ["a", "b", "c"]


def test_evaluation_goes_before_training() -> None:
    """What completes a trial is not kept waiting by what begins one."""
    waiting = [demand("t"), demand("a", "analyse"), demand("e", "evaluate")]
    assert place(waiting, Capacity(1000, 0)) == ["e"]
    assert place(waiting, Capacity(3000, 0)) == ["e", "a", "t"]


def test_a_large_job_is_not_overtaken() -> None:
    """The first that does not fit holds back smaller ones behind it, or it could wait for ever."""
    waiting = [demand("large", cpus=2), demand("small")]
    assert place(waiting, Capacity(1000, 0)) == []


def test_gpus_are_packed_too() -> None:
    """A Job waits for GPUs though cores are free."""
    waiting = [demand("a", gpus=1), demand("b", gpus=1)]
    assert place(waiting, Capacity(8000, 1)) == ["a"]


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ({"cpus": 4}, "spec.pods.cpus: 4: a train pod asks for 4 cores and this machine has 2"),
        ({"gpusPerNode": 2}, "spec.pods.gpusPerNode: 2: a train pod asks for 2 GPUs and this machine shows 1"),
        ({"nodes": 3, "cpus": 0.66666}, "spec.pods.cpus: 0.66666: a train Job of 3 pods asks for 2.001 cores"),
        ({"nodes": 3}, "spec.pods.cpus: 1: a train Job of 3 pods asks for 3 cores and this machine has 2"),
    ],
)
def test_what_cannot_fit_is_refused(pods: dict[str, int], message: str) -> None:
    """The message names the field, its value, and what the machine has."""
    with pytest.raises(ValueError, match=message):
        check_fits(Pods.model_validate(pods), Machine(2, ("0",)))


def test_what_fits_is_accepted() -> None:
    """Exactly the whole machine is not too much."""
    check_fits(Pods(cpus=2, gpus_per_node=1), Machine(2, ("0",)))
