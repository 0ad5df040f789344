"""The study's other findings in words: what each figure shows, as far as the numbers carry it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tepui_evaluator.figure_heads import TITLES
from tepui_evaluator.figure_layer_laws import DEPTHS
from tepui_evaluator.figure_spearman import with_ends
from tepui_evaluator.head_tradeoff import HeadTradeoff
from tepui_evaluator.hull_members import HullMembers
from tepui_evaluator.layer_depth import LayerProfile
from tepui_evaluator.rank_matrix import UPSTREAM, RankCell
from tepui_evaluator.report_text import listed, points_text, words
from tepui_evaluator.scaling_series import CONTROLLED, ScalingTest
from tepui_evaluator.shots_trend import EXPECTED, QUANTITIES, ShotsTrend, counts

SIGNIFICANT = 0.05
"""Of p after Holm's correction."""
_NOUNS = {
    "dataFraction": "the share of the data",
    "model": "the model",
    "epochs": "the number of epochs",
    "batchSize": "the batch size",
    "lrPeak": "the learning rate",
    "weightDecay": "the weight decay",
    "headWeightDecay": "the head's weight decay",
    "headLrScale": "the head's learning rate",
}
_WORTH_SAYING = 0.1  # by how much a share among the hull's models exceeds that among all
_NAMES = {"e_ir": "e_IR", "k": "k", "alpha": "alpha"}


def shots_words(trends: Sequence[ShotsTrend]) -> str:
    """Whether k and e_IR fall and alpha rises, as the paper found."""
    known = [(quantity, *counts(trends, quantity)) for quantity in QUANTITIES]
    parts = [f"{_NAMES[q]} {EXPECTED[q]} in {n} of {of}" for q, n, of in known if of]
    if not parts:
        return ""
    tasks = "task" if known[0][2] == 1 else "tasks"
    return (
        f"With more shots {listed(parts)} {tasks} (Abnar et al. 2022 found k and e_IR to fall and alpha to rise). "
        "A correlation over so few numbers of shots is a description, not a test; the change of e_IR has an interval."
    )


def scaling_words(tests: Sequence[ScalingTest]) -> list[str]:
    """What the tests of one curve say: of the controlled series, then of each factor over all models."""
    lines = []
    controlled = [test for test in tests if test.factor == CONTROLLED]
    if controlled:
        lines.append(_controlled_words(controlled))
    for factor in dict.fromkeys(test.factor for test in tests if test.factor != CONTROLLED):
        some = [test for test in tests if test.factor == factor]
        off = [test for test in some if test.p_holm < SIGNIFICANT]
        name = _NOUNS[factor]
        if not off:
            lines.append(f"At equal upstream error, {name} makes no difference that the data show ({_least(some)}).")
        else:
            lines.append(f"At equal upstream error, {name} still matters on {_where(off)}.")
    return lines


def _controlled_words(tests: Sequence[ScalingTest]) -> str:
    series = listed([_NOUNS.get(o.series, words(o.series)) for o in tests[0].found.offsets])
    off = [test for test in tests if test.p_holm < SIGNIFICANT]
    if not off:
        return f"Models scaled by {series} alone fall on one curve as far as the data show ({_least(tests)})."
    return f"Models scaled by {series} alone do not fall on one curve on {_where(off)}."


def _least(tests: Sequence[ScalingTest]) -> str:
    least = min(test.p_holm for test in tests)
    return "all p 1" if least == 1.0 else f"smallest p {p_text(least)}"


def _where(tests: Sequence[ScalingTest]) -> str:
    parts = []
    for test in sorted(tests, key=lambda test: test.p_holm):
        spread = [offset.offset for offset in test.found.offsets]
        size = f", {points_text(max(spread) - min(spread))} apart" if spread else ""
        parts.append(f"{test.task} (p {p_text(test.p_holm)}{size})")
    return listed(parts[:4]) + (f" and {len(parts) - 4} more" if len(parts) > 4 else "")


def p_text(p: float) -> str:
    """A p-value: two digits, or below a thousandth."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def ranks_words(cells: Sequence[RankCell]) -> str:
    """Where the upstream order carries over best and least, and which tasks are most alike."""
    upstream = sorted((c for c in cells if c.a == UPSTREAM), key=lambda c: -c.rho)
    if not upstream:
        return ""
    if len(upstream) == 1:
        return f"The order of the models upstream and on {upstream[0].b} correlates with {_rho(upstream[0])}."
    text = (
        f"The upstream order of the models carries over most to {upstream[0].b}, {_rho(upstream[0])}, "
        f"and least to {upstream[-1].b}, {_rho(upstream[-1])}."
    )
    pairs = [c for c in cells if UPSTREAM not in (c.a, c.b)]
    alike = max(pairs, key=lambda c: c.rho, default=None)
    return text if alike is None else f"{text} The tasks most alike are {alike.a} and {alike.b}, {_rho(alike)}."


def _rho(cell: RankCell) -> str:
    return with_ends(cell.rho, cell.interval)


def layers_words(profiles: Sequence[LayerProfile]) -> str:
    """On which tasks an earlier layer is better than what the head sees."""
    if not profiles:
        return ""
    if all(p.gain.interval is None for p in profiles):
        return "There are too few kinds of models to say whether an earlier layer is better than what the head sees."
    better = [p for p in profiles if p.gain.interval is not None and p.gain.interval[0] > 0.0]
    if not better:
        return "On no task is an earlier layer better than what the head sees, as far as the data show."
    parts = [
        f"{p.task} ({DEPTHS[p.best]}: {points_text(p.gain.mean)} less error, {_interval(p.gain.interval)})"
        for p in sorted(better, key=lambda p: -p.gain.mean)
    ]
    return (
        f"An earlier layer than the head's input is better on {len(better)} of {len(profiles)} tasks: {listed(parts)}."
    )


def heads_words(tradeoffs: Sequence[HeadTradeoff]) -> list[str]:
    """For each factor, the upstream optimum and which tasks want another value."""
    lines = []
    for factor in dict.fromkeys(t.factor for t in tradeoffs):
        some = [t for t in tradeoffs if t.factor == factor]
        opposed = [t for t in some if t.opposed]
        text = f"Upstream is best with {_setting(factor, some[0].upstream_best)}."
        if opposed:
            parts = [f"{t.task} wants {t.downstream_best:g} ({_cost(t)})" for t in opposed]
            lines.append(f"{text} That value costs {len(opposed)} of {len(some)} tasks: {listed(parts)}.")
        elif any(t.cost is not None and t.cost.interval is None for t in some):
            lines.append(f"{text} There are too few sets of alike models to say what that value costs downstream.")
        else:
            lines.append(f"{text} The data show no task that this value costs anything.")
    return lines


def _setting(factor: str, value: float) -> str:
    if factor == "headLrScale":
        return f"a head learning rate {value:g} times the body's"
    return f"a {TITLES[factor]} of {value:g}"


def _cost(tradeoff: HeadTradeoff) -> str:
    assert tradeoff.cost is not None
    return f"{points_text(tradeoff.cost.mean)} more error, {_interval(tradeoff.cost.interval)}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "no interval" if ends is None else f"[{100.0 * ends[0]:.1f}, {100.0 * ends[1]:.1f}]"


def hull_words(found: HullMembers | None) -> str:
    """How few models make the hulls, and the value that is most in excess there."""
    if found is None or not found.members:
        return ""
    on_most = Counter(len(member.tasks) for member in found.members)
    text = f"{len(found.members)} of {found.models} models are on the hull of at least one task"
    several = sum(n for tasks, n in on_most.items() if tasks > 1)
    text += f", {several} of them on several." if several else "."
    excess = max(found.levels, key=lambda row: row.hull_share - row.share, default=None)
    if excess is None or excess.hull_share - excess.share < _WORTH_SAYING:
        return text
    return (
        f"{text} Most in excess there: {words(excess.factor)} {excess.level}, "
        f"{excess.hull_share:.0%} of the models on a hull and {excess.share:.0%} of all."
    )
