"""The findings' numbers as tables: shots, tests of one curve, rank correlations, layers, heads, the hull's models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tepui_evaluator.figure_heads import TITLES
from tepui_evaluator.figure_law import setting
from tepui_evaluator.figure_layer_laws import DEPTHS
from tepui_evaluator.figure_spearman import with_ends
from tepui_evaluator.findings import Findings
from tepui_evaluator.findings_text import p_text
from tepui_evaluator.head_tradeoff import HeadTradeoff
from tepui_evaluator.hull_members import HullMembers
from tepui_evaluator.layer_depth import LayerProfile
from tepui_evaluator.rank_matrix import RankCell
from tepui_evaluator.report_text import floor_text, number, percent, words
from tepui_evaluator.scaling_series import CONTROLLED, ScalingTest
from tepui_evaluator.shots_trend import ShotsTrend
from tepui_spec.law import Law

_QUANTITIES = {"e_ir": "e_IR", "k": "k", "alpha": "alpha"}
MEMBERS_SHOWN = 40


@dataclass(frozen=True)
class Table:
    """A caption, the columns' titles with whether they hold numbers, and cells ready to print."""

    caption: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


def tables(found: Findings) -> dict[str, list[Table]]:
    """By the section that they belong to; tables without rows are left out."""
    made = {
        "shots": [
            _shots("The law read above, by shots", found.trends, claimed=True),
            _shots("The hull's law, as published: point estimates without intervals", found.published_trends),
        ],
        "scaling": [_scaling(found.scaling)],
        "ranks": [_ranks(found.ranks)],
        "layers": [_layers(found.layers)],
        "heads": [_heads(found.heads)],
        "hull": [] if found.hull is None else [_levels(found.hull), _medians(found.hull), _members(found.hull)],
    }
    return {section: kept for section, some in made.items() if (kept := [table for table in some if table.rows])}


def _columns(text: str, numbers: str = "") -> tuple[tuple[str, bool], ...]:
    return (*((name, False) for name in text.split("|")), *((name, True) for name in numbers.split("|") if name))


def _shots(caption: str, trends: Sequence[ShotsTrend], *, claimed: bool = False) -> Table:
    """One row a task and parameter; with `claimed`, e_IR as far as it is identified, and its change."""
    shots = sorted({count for trend in trends for count in trend.shots})
    columns = _columns("task|parameter|" + "|".join(f"{count}-shot" for count in shots), "Pearson|rank")
    rows = tuple(_shots_row(trend, shots, claimed) for trend in trends)
    return Table(caption, columns if not claimed else (*columns, ("change over the shots", False)), rows)


def _shots_row(trend: ShotsTrend, shots: Sequence[int], claimed: bool) -> tuple[str, ...]:
    of = dict(zip(trend.shots, trend.laws, strict=True))
    cells = [_value(of[count], trend, claimed) if count in of else "–" for count in shots]
    row = (trend.task, _QUANTITIES[trend.quantity], *cells, _signed(trend.pearson), _signed(trend.rank))
    return (*row, _change(trend)) if claimed else row


def _value(law: Law, trend: ShotsTrend, claimed: bool) -> str:
    if trend.quantity == "e_ir":
        return floor_text(law) if claimed else percent(law.e_ir or 0.0)
    return number(law.k if trend.quantity == "k" else law.alpha)


def _change(trend: ShotsTrend) -> str:
    change = trend.change()
    if change is None or change.e_ir is None:
        return ""
    if change.interval is None:
        return "no interval"
    lo, hi = (100.0 * end for end in change.interval)
    verdict = "a change" if change.differ == "yes" else "no change shown"
    return f"{lo:+.1f} to {hi:+.1f} points: {verdict}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}"


def _scaling(tests: Sequence[ScalingTest]) -> Table:
    columns = (*_columns("task|compared", "models|F|df|p|p, Holm"), ("off the common curve, in points of error", False))
    return Table("Tests of one curve", columns, tuple(map(_scaling_row, tests)))


def _scaling_row(test: ScalingTest) -> tuple[str, ...]:
    found, name = test.found, "what alone was scaled" if test.factor == CONTROLLED else words(test.factor)
    extremes = sorted(found.offsets, key=lambda offset: offset.offset)
    extremes = extremes if len(extremes) <= 4 else [*extremes[:2], *extremes[-2:]]
    offsets = ", ".join(
        f"{words(o.series)} {100 * o.offset:+.1f} [{100 * o.interval[0]:.1f}, {100 * o.interval[1]:.1f}]"
        for o in extremes
    )
    df = f"{found.numerator_df}, {found.denominator_df}"
    return (test.task, name, str(test.n), f"{found.f:.2f}", df, p_text(found.p), p_text(test.p_holm), offsets)


def _ranks(cells: Sequence[RankCell]) -> Table:
    seen, rows = set(), []
    for cell in cells:
        if (cell.b, cell.a) not in seen:
            seen.add((cell.a, cell.b))
            rows.append((cell.a, cell.b, with_ends(cell.rho, cell.interval), str(cell.n)))
    return Table("Rank correlations of errors", _columns("error on|against|correlation", "models"), tuple(rows))


def _layers(profiles: Sequence[LayerProfile]) -> Table:
    depths = [depth for depth in DEPTHS if any(depth in profile.error for profile in profiles)]
    columns = (*_columns("task", "shots|" + "|".join(DEPTHS[d] for d in depths)), ("gain of the best layer", False))
    rows = tuple(
        (
            profile.task,
            str(profile.shots),
            *(percent(profile.error[depth]) if depth in profile.error else "–" for depth in depths),
            f"{DEPTHS[profile.best]}: {_points(profile.gain.mean, profile.gain.interval)}",
        )
        for profile in profiles
    )
    return Table("Mean error by depth, over all models", columns, rows)


def _heads(tradeoffs: Sequence[HeadTradeoff]) -> Table:
    columns = (*_columns("factor|task", "best upstream|best downstream|sets"), ("cost of upstream's choice", False))
    rows = tuple(
        (
            TITLES[t.factor],
            t.task,
            f"{t.upstream_best:g}",
            f"{t.downstream_best:g}",
            str(t.upstream_BL.shape[0]),
            "none: the same value" if t.cost is None else _points(t.cost.mean, t.cost.interval),
        )
        for t in tradeoffs
    )
    return Table("The head's settings: what serves upstream and downstream", columns, rows)


def _points(mean: float, interval: tuple[float, float] | None) -> str:
    ends = "" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    return f"{100 * mean:+.1f} points{ends}"


def _levels(found: HullMembers) -> Table:
    rows = tuple(
        (
            words(row.factor),
            str(row.level),
            str(row.models),
            str(row.on_hull),
            f"{row.share:.0%}",
            f"{row.hull_share:.0%}",
        )
        for row in found.levels
    )
    return Table("By factor", _columns("factor|value", "models|on a hull|of all|of those on a hull"), rows)


def _medians(found: HullMembers) -> Table:
    rows = tuple((name, _large(hull), _large(everyone)) for name, hull, everyone in found.medians)
    return Table("By size (medians)", _columns("", "on a hull|all models"), rows)


def _large(value: float) -> str:
    """Three digits and a prefix: 84300 is 84.3k."""
    power = min(max(int(math.log10(max(value, 1.0))) // 3, 0), 6)
    return f"{value / 1000.0**power:.3g}{('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}"


def _members(found: HullMembers) -> Table:
    rows = tuple(
        (
            m.point.trial,
            m.point.model,
            setting(m.point.factors),
            percent(m.point.upstream_error),
            ", ".join(m.tasks[:6]) + (f" and {len(m.tasks) - 6} more" if len(m.tasks) > 6 else ""),
        )
        for m in found.members[:MEMBERS_SHOWN]
    )
    more = f", the first {MEMBERS_SHOWN} of {len(found.members)}" if len(found.members) > MEMBERS_SHOWN else ""
    columns = (*_columns("trial|model|setting", "upstream error"), ("on the hull of", False))
    return Table(f"The models{more}", columns, rows)
