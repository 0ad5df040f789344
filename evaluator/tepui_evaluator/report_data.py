"""What a report is made from: typed rows, nothing computed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tepui_spec.experiment import Experiment
from tepui_spec.law import Band, ByValue, Law, Sampled
from tepui_spec.results import CurveRow, TrialRow


@dataclass(frozen=True, slots=True)
class EvaluationPoint:
    """One model on one downstream task with one number of shots: the mean over support seeds."""

    trial: str
    """The trial's hash."""
    model: str
    family: str
    task: str
    shots: int
    upstream_error: float
    upstream_se: float | None
    downstream_error: float
    """Mean over the support seeds."""
    downstream_se: float | None
    """Binomial and support-seed part together (`points.measurement_se`)."""
    layer: str = "pooled"
    step: int = 0
    factors: Mapping[str, ByValue] = field(default_factory=dict)
    """What distinguishes the trial: the swept factors, named as in the spec (dataFraction, epochs, seed, ...)."""
    group: str = ""
    """Label of related models (same architecture and recipe), which are not independent; empty: by the model."""

    @property
    def related(self) -> str:
        """The group, or the model where none is named."""
        return self.group or self.model


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from, for the last section of the report."""

    packages: Mapping[str, str] = field(default_factory=dict)
    """Version by package name, such as tepui, torch, timm."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Content hash by what it names: upstream data, each downstream task."""
    storage: str = ""
    """The study's storage as the user wrote it."""


@dataclass(frozen=True)
class ReportData:
    """All that a report shows. Whatever is empty is left out of the report, or said to be missing."""

    study: str
    experiment: Experiment | None = None
    """None: the report is made from a table of points alone."""
    trials: tuple[TrialRow, ...] = ()
    curves: tuple[CurveRow, ...] = ()
    points: tuple[EvaluationPoint, ...] = ()
    laws: tuple[Law, ...] = ()
    """`by` holds `task` and `shots` (and `layer` where several were evaluated)."""
    bands: tuple[Band | None, ...] = ()
    """One for each law, on the upstream errors of `law_grid`; None where there is no curve. Empty: no bands."""
    layer_laws: tuple[Law, ...] = ()
    """By `task`, `shots` and `layer`, a quarter of the depth (`layer_depth.QUARTERS`)."""
    sampled: tuple[Sampled, ...] = ()
    """By `task` and `shots`, hull and all points, sizes ascending."""
    failures: tuple[str, ...] = ()
    """One sentence for each failed trial."""
    planned_trials: int | None = None
    interim: bool = False
    """Trials are still running: the report says that numbers will change."""
    provenance: Provenance = field(default_factory=Provenance)


_GRID = 25


def law_grid(law: Law) -> tuple[float, ...]:
    """Upstream errors, ascending from 0 to the largest observed, at which a law's band is to be computed.

    Denser towards 0, where the law bends and the answer lies.
    """
    x_max = law.x_max if law.x_max else 1.0
    return tuple(x_max * (i / (_GRID - 1)) ** 1.5 for i in range(_GRID))
