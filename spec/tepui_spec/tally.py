"""Counting the layers of a network: parameters, multiplications, and the numbers kept for the backward pass."""

from dataclasses import dataclass
from math import prod
from typing import Any


class UnknownArchitectureError(Exception):
    """An argument or value whose effect on the cost is not known."""


@dataclass
class Tally:
    """Running sums over the layers of one network, for one image.

    What PyTorch keeps for the backward pass: a linear or convolution its input, a norm its input, an activation
    function its input (in place: its output, which the next layer shares), attention its queries, keys, values and
    output. Numbers that two layers share are counted once, so architectures add them with `keep` themselves.
    """

    parameters: int = 0
    multiply_adds: int = 0
    kept: int = 0
    """Numbers in the precision of matrix products."""
    kept_wide: int = 0
    """Numbers that stay fp32 under bf16 autocast on a GPU: inputs of layer and group norms, and what follows one."""
    kept_copies: int = 0
    """Numbers that autocast makes and keeps in bf16 beside an fp32 one that is kept too."""
    kept_indices: int = 0
    """Positions that max-pooling keeps, 8 bytes each."""

    def linear(self, rows: int, wide_in: int, wide_out: int, *, bias: bool = True) -> None:
        """A matrix of weights applied to each of `rows` vectors."""
        self.parameters += wide_in * wide_out + bias * wide_out
        self.multiply_adds += rows * wide_in * wide_out

    def conv(
        self, side: int, chans_in: int, chans_out: int, kernel: int, *, groups: int = 1, bias: bool = False
    ) -> None:
        """A square convolution whose output is `side` by `side`."""
        if chans_in % groups or chans_out % groups:
            raise UnknownArchitectureError(f"{chans_in} or {chans_out} channels in {groups} groups")
        weights = chans_in // groups * chans_out * kernel**2
        self.parameters += weights + bias * chans_out
        self.multiply_adds += side**2 * weights

    def attention(self, queries: int, keys: int, wide: int, heads: int) -> None:
        """softmax(Q K^T) V over all heads; keeps its output and one number a query and head."""
        self.multiply_adds += 2 * queries * keys * wide
        self.kept += queries * wide + queries * heads

    def norm(self, wide: int, *, bias: bool = True) -> None:
        """A normalisation with a scale, and a shift, for each of `wide` channels."""
        self.parameters += wide * (1 + bias)

    def weights(self, *shape: int) -> None:
        """A tensor of parameters that is only added or concatenated."""
        self.parameters += prod(shape)

    def keep(self, *shape: int) -> None:
        """Numbers kept in the precision of matrix products."""
        self.kept += prod(shape)

    def keep_wide(self, *shape: int) -> None:
        """Numbers kept in fp32 whatever the precision."""
        self.kept_wide += prod(shape)


class Arguments:
    """Arguments of one model, each read once: what is left unread at the end is not known."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._left = dict(given)

    def whole(self, name: str, default: int, *, least: int = 1) -> int:
        """A whole number from `least`."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UnknownArchitectureError(f"{name}={value!r}")
        return value

    def number(self, name: str, default: float) -> float:
        """A number above 0."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise UnknownArchitectureError(f"{name}={value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise UnknownArchitectureError(f"{name}={value!r}")
        return value

    def choice(self, name: str, default: str, known: tuple[str, ...]) -> str:
        """One of the names whose meaning is known; a function's bound arguments that cost nothing are passed over."""
        value = self._left.pop(name, default)
        if isinstance(value, dict) and set(value) <= {"partial", "act_layer", "gate_last"}:
            value = value.get("partial")
        if not isinstance(value, str) or value not in known:
            raise UnknownArchitectureError(f"{name}={value!r}")
        return value

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Whole numbers from 1."""
        value = self._left.pop(name, default)
        if not isinstance(value, list | tuple) or any(not isinstance(v, int) or v < 1 for v in value):
            raise UnknownArchitectureError(f"{name}={value!r}")
        return tuple(value)

    def raw(self, name: str, default: Any = None) -> Any:
        """A value as it is."""
        return self._left.pop(name, default)

    def finish(self, *free: str) -> None:
        """Raise UnknownArchitectureError for an unread argument that is not one of `free`, which cost nothing."""
        unread = sorted(set(self._left) - set(free))
        if unread:
            raise UnknownArchitectureError(", ".join(unread))
