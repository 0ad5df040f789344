"""The study's findings beside the laws: computed once from the points, for words, tables and pictures alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tepui_evaluator.head_tradeoff import HeadTradeoff, head_tradeoffs
from tepui_evaluator.hull_members import HullMembers, hull_members
from tepui_evaluator.layer_depth import LayerProfile, layer_profiles
from tepui_evaluator.rank_matrix import RankCell, rank_matrix
from tepui_evaluator.report_data import ReportData
from tepui_evaluator.report_view import View, largest_shots
from tepui_evaluator.scaling_series import ScalingTest, scaling_tests, series_of
from tepui_evaluator.shots_trend import ShotsTrend, shots_trends
from tepui_spec.law import LawKind


@dataclass(frozen=True)
class Findings:
    """What the points say beside the laws. Whatever the study does not hold is empty."""

    trends: tuple[ShotsTrend, ...]
    """Of the law that the report's answer is read from."""
    published_trends: tuple[ShotsTrend, ...]
    """Of the hull's law, as the paper tabulates."""
    scaling: tuple[ScalingTest, ...]
    series: dict[str, str]
    """By trial, the factor of the controlled series that it is in."""
    ranks: tuple[RankCell, ...]
    layers: tuple[LayerProfile, ...]
    heads: tuple[HeadTradeoff, ...]
    hull: HullMembers | None


def findings(data: ReportData, all_views: Sequence[View]) -> Findings:
    """All findings of a study."""
    largest = largest_shots(all_views)
    confidence = next((law.confidence for law in data.laws), 0.95)
    kinds: list[LawKind] = [view.headline.law for view in all_views if view.headline is not None]
    most = max(largest, key=lambda view: len(view.points), default=None)
    series = {} if most is None else series_of(most.points)
    numbers = {
        "parameters": {t.trial: float(t.parameters) for t in data.trials},
        "training FLOPs": {t.trial: t.training_flops for t in data.trials if t.training_flops is not None},
    }
    return Findings(
        trends=shots_trends(all_views, kinds[0]) if kinds else (),
        published_trends=shots_trends(all_views, "hull"),
        scaling=scaling_tests(largest),
        series={p.trial: factor for factor, points in series.items() for p in points},
        ranks=rank_matrix(largest, confidence),
        layers=layer_profiles(data.points),
        heads=head_tradeoffs(largest),
        hull=hull_members(largest, numbers),
    )
