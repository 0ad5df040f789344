"""Whether the data identify e_IR, and in which words to say so.

The rule and its measured behaviour are in docs/statistics.md: with interval [L, U] of e_IR and
ratio = (U - L) / smallest observed error, a point claim is made only where L > 0 and the interval is at
most half of what is left to gain.
"""

from __future__ import annotations

from dataclasses import dataclass

from tepui_evaluator.plausibility import counted
from tepui_evaluator.points import Points
from tepui_spec.law import HeldOut, Identified

MAX_RATIO = 0.5


@dataclass(frozen=True)
class Verdict:
    """The flag and its reason in a sentence, with what would help where something would."""

    identified: Identified
    reason: str


def judge(interval: tuple[float, float] | None, points: Points, *, confidence: float) -> Verdict:
    """The flag for an interval of e_IR; `interval` None is not identified, whatever the point estimate."""
    y_min = float(points.y.min())
    if interval is None:
        return Verdict("no", f"no interval for e_IR: {_why_none(points)}")
    lo, hi = interval
    ratio = (hi - lo) / y_min if y_min > 0.0 else float("inf")
    percent = f"{100.0 * confidence:g}%"
    if lo > 0.0 and ratio <= MAX_RATIO:
        return Verdict(
            "yes", f"the {percent} interval {lo:.3f} to {hi:.3f} is narrow against the best error {y_min:.3f}"
        )
    if lo <= 0.0 and ratio <= MAX_RATIO:
        return Verdict("at_most", f"e_IR may be zero; it is at most {hi:.3f} ({percent}), best error {y_min:.3f}")
    if lo <= 0.0:
        return Verdict(
            "no",
            f"anything from 0 to {hi:.3f} fits ({percent}), {_times(ratio)} the best error {y_min:.3f}; "
            f"{_help(points)}",
        )
    return Verdict(
        "weak",
        f"the {percent} interval {lo:.3f} to {hi:.3f} is {_times(ratio)} the best error {y_min:.3f} wide; "
        f"{_help(points)}",
    )


def doubt(verdict: Verdict, heldout: HeldOut | None) -> Verdict:
    """The verdict, weakened where a baseline predicts held-out models clearly better than the law."""
    if heldout is None or heldout.lost_to is None or verdict.identified not in ("yes", "at_most"):
        return verdict
    rival = "a line between logits" if heldout.lost_to == "logit_linear" else "a power law without floor"
    return Verdict(
        "weak",
        f"{verdict.reason}; but {rival} predicts the better models clearly better than this law, "
        "so the law itself is in doubt",
    )


def shapeless(verdict: Verdict, alpha: tuple[float, float | None] | None) -> Verdict:
    """The verdict, weakened where the exponent has no upper bound: points that show a floor but no way down to it."""
    if verdict.identified != "yes" or (alpha is not None and alpha[1] is not None):
        return verdict
    return Verdict("weak", f"{verdict.reason}; but the points leave the law's exponent without an upper bound")


def _times(ratio: float) -> str:
    return "many times" if ratio > 20.0 else f"{ratio:.2g} times"


def _help(points: Points) -> str:
    """What would narrow the interval: upstream reach if the best model is far from 0, else more models."""
    if points.x.min() > 0.15:
        return f"models with an upstream error below {points.x.min():.2f} would help most"
    if points.n < 40:
        return f"more than {points.n} models would help"
    return "less noisy downstream errors (more test images, more support seeds) would help"


def _why_none(points: Points) -> str:
    if points.groups < points.n and points.groups < 8:
        return f"only {counted(points.groups, 'group')} of related models; more architectures or recipes are needed"
    return "the points do not determine the law's curvature; models spread wider over upstream error would help"
