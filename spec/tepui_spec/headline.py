"""Headline laws: what of a Law fits, many times over, into a termination message of 4 KiB and into `status`."""

from collections.abc import Iterable, Sequence
from typing import Self, get_args

from pydantic import Field

from tepui_spec.base import Section
from tepui_spec.law import Identified, Law, LawKind

Estimate = tuple[float | None, float | None, float | None]
"""A value and its interval's ends, as a bare list to be short; None: not estimated, or an open end."""


class Headline(Section):
    """One law of one task and number of shots, rounded to four digits."""

    task: str = Field(max_length=63, description="Downstream task.")
    shots: int = Field(description="Support images per class.")
    law: LawKind = Field(description="Which law.")
    n: int = Field(ge=0, description="Models behind it.")
    e_ir: Estimate = Field(description="Downstream error left at upstream error 0: [value, low, high].")
    k: Estimate = Field(description="Coefficient.")
    alpha: Estimate = Field(description="Exponent.")
    identified: Identified = Field(description="Whether the data identify e_IR.")

    @classmethod
    def of(cls, law: Law) -> Self:
        """The headline of a law fitted to one task and number of shots."""
        interval = law.interval
        return cls(
            task=str(law.by["task"]),
            shots=int(law.by["shots"]),
            law=law.law,
            n=law.n,
            e_ir=_estimate(law.e_ir, interval.e_ir),
            k=_estimate(law.k, interval.k),
            alpha=_estimate(law.alpha, interval.alpha),
            identified=law.identified,
        )


def headlines(laws: Iterable[Law], *, limit_bytes: int = 3500) -> tuple[Headline, ...]:
    """The most telling law of each task and number of shots, the most shots of every task first, as many as fit.

    That is the frontier law; where the data identify the average model's e_IR and not the frontier's, the average law.
    """
    told = {(h.task, h.shots, h.law): h for h in map(Headline.of, laws)}
    chosen = []
    for (task, shots, law), headline in told.items():
        average = told.get((task, shots, "average"))
        if law == "frontier":
            better = headline.identified == "no" and average is not None and average.identified != "no"
            chosen.append(average if better and average is not None else headline)
    kept, size = [], 0
    for headline in sorted(chosen, key=lambda h: (-h.shots, h.task)):
        size += len(headline.model_dump_json()) + 1
        if size > limit_bytes:
            break
        kept.append(headline)
    return tuple(sorted(kept, key=lambda h: (h.task, h.shots)))


def to_look_at_first(laws: Sequence[Headline]) -> Headline | None:
    """Of the laws at the most shots, the one whose e_IR is known best; None where there are no laws."""
    most = max((law.shots for law in laws), default=0)
    return min((law for law in laws if law.shots == most), key=_doubt, default=None)


def _doubt(law: Headline) -> tuple[int, float, str]:
    _, low, high = law.e_ir
    return get_args(Identified).index(law.identified), (1.0 if high is None else high) - (low or 0.0), law.task


def e_ir_text(law: Headline) -> str:
    """e_IR in a few characters: `0.048 [0.031, 0.06]`; no point where none is claimed."""
    value, low, high = law.e_ir
    if law.identified == "no" or high is None:
        return "not identified"
    if law.identified == "at_most":
        return f"at most {high:.3g}"
    interval = f"[{low or 0.0:.3g}, {high:.3g}]"
    return f"{value:.3g} {interval}" if law.identified == "yes" else interval


def _estimate(value: float | None, interval: tuple[float, float | None] | None) -> Estimate:
    low, high = interval or (None, None)
    return _short(value), _short(low), _short(high)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
