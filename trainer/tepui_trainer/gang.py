"""The processes that train one trial together: joining, talking in exact numbers, leaving.

One process joins itself through memory: no port, no host name. Several were started by torchrun, which tells each
its rank and a meeting point by environment variables.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as torch_distributed

from tepui_trainer.failures import PeerLost

PEER_TIMEOUT_VARIABLE = "TEPUI_PEER_TIMEOUT_S"
"""Environment variable: how long a process waits for another one before it counts as lost."""
PEER_TIMEOUT_S = 600.0
LOOPBACK = "lo"


@dataclass(frozen=True)
class Gang:
    """This process among the `world_size` that train one trial. `control` is a gloo group for small messages."""

    rank: int
    world_size: int
    device: torch.device
    control: "torch_distributed.ProcessGroup"

    @property
    def is_leader(self) -> bool:
        """Rank 0 writes rows and reports."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in float64; the same on every rank."""
        return self._reduced(values, torch_distributed.ReduceOp.SUM)

    def largest(self, values: Sequence[float]) -> list[float]:
        """Maxima over all ranks, in float64."""
        return self._reduced(values, torch_distributed.ReduceOp.MAX)

    def gathered(self, values: Sequence[float]) -> list[list[float]]:
        """Every rank's values, by rank, exactly (float64)."""
        mine = torch.tensor(values, dtype=torch.float64)
        if self.world_size == 1:
            return [mine.tolist()]
        everyone = [torch.empty_like(mine) for _ in range(self.world_size)]
        with lost_peers():
            torch_distributed.all_gather(everyone, mine, group=self.control)
        return [part.tolist() for part in everyone]

    def gathered_bytes(self, mine: bytes) -> list[bytes]:
        """Every rank's bytes, by rank; lengths may differ. No pickle."""
        lengths = [int(length) for (length,) in self.gathered([len(mine)])]
        padded = mine.ljust(max(lengths), b"\0")
        if self.world_size == 1:
            return [mine]
        own = torch.frombuffer(bytearray(padded or b"\0"), dtype=torch.uint8)
        everyone = [torch.empty_like(own) for _ in range(self.world_size)]
        with lost_peers():
            torch_distributed.all_gather(everyone, own, group=self.control)
        return [bytes(part.tolist())[:length] for part, length in zip(everyone, lengths, strict=True)]

    def wait(self) -> None:
        """Return when all ranks are here."""
        self.total([0.0])

    def _reduced(self, values: Sequence[float], operation: "torch_distributed.ReduceOp.RedOpType") -> list[float]:
        message = torch.tensor(values, dtype=torch.float64)
        if self.world_size > 1:
            with lost_peers():
                torch_distributed.all_reduce(message, op=operation, group=self.control)
        reduced: list[float] = message.tolist()
        return reduced


SIGNS_OF_LOSS = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Timed out")


@contextmanager
def lost_peers() -> Iterator[None]:
    """Turns what torch.distributed raises when a peer is gone, or silent for too long, into `PeerLost`.

    NCCL's and the store's errors have a class of their own; gloo raises RuntimeErrors that name it.
    """
    try:
        yield
    except RuntimeError as error:
        known = isinstance(error, torch_distributed.DistError)
        if not known and (type(error) is not RuntimeError or not any(sign in str(error) for sign in SIGNS_OF_LOSS)):
            raise
        raise PeerLost(f"another process of this trial is gone or silent: {error}") from error


@contextmanager
def joined(device_type: str) -> Iterator[Gang]:
    """Meet the other processes, and leave them at the end.

    Raises:
        ValueError: if GPUs are asked for and torch finds none.
        PeerLost: if the others do not come in time.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    device = _device(device_type, local_rank)
    timeout = timedelta(seconds=float(os.environ.get(PEER_TIMEOUT_VARIABLE, str(PEER_TIMEOUT_S))))
    backend = "nccl" if device_type == "cuda" else "gloo"
    if world_size == 1:
        # DeepSpeed looks for the launcher's variables, whoever has launched
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        store = torch_distributed.HashStore()  # type: ignore[attr-defined]
        torch_distributed.init_process_group(backend, store=store, rank=0, world_size=1, timeout=timeout)
    else:
        with lost_peers():
            torch_distributed.init_process_group(backend, rank=rank, world_size=world_size, timeout=timeout)
    try:
        yield Gang(rank, world_size, device, _control_group(backend, timeout))
    finally:
        torch_distributed.destroy_process_group()


def _control_group(backend: str, timeout: timedelta) -> "torch_distributed.ProcessGroup":
    if backend == "gloo":
        world = torch_distributed.group.WORLD
        assert isinstance(world, torch_distributed.ProcessGroup)
        return world
    group = torch_distributed.new_group(backend="gloo", timeout=timeout)
    assert isinstance(group, torch_distributed.ProcessGroup)
    return group


def _device(device_type: str, local_rank: int) -> torch.device:
    if device_type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("pods.gpusPerNode asks for GPUs, but torch finds none that it can use in this pod")
    if local_rank >= torch.cuda.device_count():
        raise ValueError(f"pods.gpusPerNode asks for more GPUs than the {torch.cuda.device_count()} of this pod")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
