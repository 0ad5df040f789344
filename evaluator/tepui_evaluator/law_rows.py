"""Laws as rows of a table: what `laws.parquet` holds and `tepui results --table laws` prints."""

from typing import ClassVar

from pydantic import Field

from tepui_spec.law import Law
from tepui_spec.results import Row


class LawRow(Row):
    """One law (`law.Law`) of one task, number of shots and layer, flattened."""

    KEY: ClassVar[tuple[str, ...]] = ("task", "shots", "layer", "protocol", "law")

    task: str = Field(description="Downstream task.")
    shots: int = Field(description="Support images per class.")
    layer: str = Field(
        description="Where features come from: pooled (what the head sees), or depth-25 to depth-100, the block "
        "of each model at that percentage of its depth."
    )
    protocol: str = Field(description="Evaluation protocol with its version.")
    law: str = Field(description="frontier, average, hull or all_points.")
    n: int = Field(description="Points (models).")
    groups: int = Field(description="Groups of related models.")
    fitted: int = Field(description="Points the law was fitted to.")
    e_ir: float | None = Field(description="Downstream error left at upstream error 0; null where not estimated.")
    e_ir_low: float | None = Field(description="Lower end of its confidence interval.")
    e_ir_high: float | None = Field(description="Upper end of its confidence interval.")
    k: float | None = Field(description="Coefficient of the power law.")
    k_low: float | None = Field(description="Lower end of its confidence interval.")
    k_high: float | None = Field(description="Upper end; null also where the data set none.")
    alpha: float | None = Field(description="Exponent of the power law.")
    alpha_low: float | None = Field(description="Lower end of its confidence interval.")
    alpha_high: float | None = Field(description="Upper end; null also where the data set none.")
    confidence: float = Field(description="Nominal coverage of the intervals.")
    identified: str = Field(description="Whether the data identify e_ir: yes, at_most, weak or no.")
    reason: str = Field(description="Why, in a sentence, and what would help.")
    spearman: float | None = Field(description="Rank correlation of upstream and downstream error.")
    spearman_low: float | None = Field(description="Lower end of its confidence interval.")
    spearman_high: float | None = Field(description="Upper end of its confidence interval.")
    heldout_law: float | None = Field(description="Held-out prediction error of this law (root mean square).")
    heldout_log_log: float | None = Field(description="That of a * e_US**b, fitted as a line in logs.")
    heldout_power: float | None = Field(description="That of a * e_US**b, fitted by least squares.")
    heldout_logit_linear: float | None = Field(description="That of logit e_DS = a + b logit e_US.")
    heldout_mean: float | None = Field(description="That of the mean of the fitted models.")
    heldout_n: int = Field(description="Models held out; 0 where there were too few.")
    x_min: float | None = Field(description="Smallest upstream error observed.")
    x_max: float | None = Field(description="Largest upstream error observed.")
    y_min: float | None = Field(description="Smallest downstream error observed.")
    y_max: float | None = Field(description="Largest downstream error observed.")
    notes: str = Field(description="What was noticed in the data or assumed by the fit, separated by '; '.")
    method: str = Field(description="How the law was fitted.")
    version: str = Field(description="Version of the method.")


def law_row(law: Law, *, layer: str, protocol: str) -> LawRow:
    """A law fitted to one task and number of shots, as `law.by` says."""
    heldout = law.heldout
    e_ir, k, alpha = (_ends(ends) for ends in (law.interval.e_ir, law.interval.k, law.interval.alpha))
    spearman = _ends(law.spearman.interval if law.spearman else None)
    same = {name: getattr(law, name) for name in _SAME}
    return LawRow(
        task=str(law.by["task"]),
        shots=int(law.by["shots"]),
        layer=layer,
        protocol=protocol,
        e_ir_low=e_ir[0],
        e_ir_high=e_ir[1],
        k_low=k[0],
        k_high=k[1],
        alpha_low=alpha[0],
        alpha_high=alpha[1],
        spearman=law.spearman.rho if law.spearman else None,
        spearman_low=spearman[0],
        spearman_high=spearman[1],
        heldout_law=heldout.law if heldout else None,
        heldout_log_log=heldout.log_log if heldout else None,
        heldout_power=heldout.power if heldout else None,
        heldout_logit_linear=heldout.logit_linear if heldout else None,
        heldout_mean=heldout.mean if heldout else None,
        heldout_n=heldout.test_n if heldout else 0,
        notes="; ".join(law.notes),
        **same,
    )


_SAME = (
    *("law", "n", "groups", "fitted", "e_ir", "k", "alpha", "confidence", "identified", "reason"),
    *("x_min", "x_max", "y_min", "y_max", "method", "version"),
)


def _ends(interval: tuple[float, float | None] | None) -> tuple[float | None, float | None]:
    return interval or (None, None)
