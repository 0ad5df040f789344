"""The typed result of the analysis: one saturation law fitted to one group of points.

The law is `e_DS = k * e_US**alpha + e_IR` (Abnar et al. 2022, arXiv 2110.02095, equation 1); errors are
1 - accuracy, in [0, 1]. The same object is printed by `tepui fit --json`, written to Parquet and MLflow,
put into `status` and drawn in the report.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LawKind = Literal["frontier", "average", "hull", "all_points"]
PublishedKind = Literal["hull", "all_points"]
Identified = Literal["yes", "at_most", "weak", "no"]
ByValue = str | int | float

Finite = Annotated[float, Field(allow_inf_nan=False)]
Error = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
ErrorRange = tuple[Error, Error]
OpenRange = tuple[NonNegative, NonNegative | None]  # None: the data set no upper limit
Correlation = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Intervals(_Frozen):
    """Confidence intervals; None where the method has none or the data give none, or for an open upper end."""

    e_ir: ErrorRange | None = Field(default=None, description="of the irreducible downstream error")
    k: OpenRange | None = Field(default=None, description="of the coefficient k; upper end None: unbounded")
    alpha: OpenRange | None = Field(default=None, description="of the exponent alpha; upper end None: unbounded")


class Prediction(_Frozen):
    """The law's downstream error at one upstream error."""

    x: Error = Field(description="upstream error")
    y: Finite = Field(description="downstream error of the law there")
    interval: tuple[Finite, Finite] | None = Field(default=None, description="confidence interval of y")


class Needed(_Frozen):
    """The upstream error at which the law reaches a target downstream error."""

    target: Error = Field(description="downstream error wanted")
    x: Error | None = Field(description="upstream error where the law reaches it; None: the estimate never does")
    interval: tuple[Error, Error] | None = Field(
        default=None, description="confidence interval of x; its lower end is 0 where the target may be unreachable"
    )
    reach: Literal["yes", "perhaps", "no"] = Field(
        description="yes: e_ir's interval is below the target; no: it is above, out of reach; perhaps: it contains it"
    )
    reason: str = Field(description="the same in a sentence")


class HeldOut(_Frozen):
    """Fit on the models that are worse upstream, predict the better ones (Abnar et al. 2022, section 2.2).

    Scores are root mean squared differences between prediction and measured downstream error on the models
    held out; None where a model could not be fitted. `hull` and `all_points` are the law as published.
    """

    fit_n: int = Field(ge=0, description="models fitted: the worse upstream")
    test_n: int = Field(ge=0, description="models predicted: the better upstream")
    x_split: Error = Field(description="upstream error below which models are held out")
    law: NonNegative | None = Field(default=None, description="score of this law")
    log_log: NonNegative | None = Field(default=None, description="score of a * e_US**b fitted as a line in logs")
    power: NonNegative | None = Field(default=None, description="score of a * e_US**b fitted by least squares")
    logit_linear: NonNegative | None = Field(default=None, description="score of logit e_DS = a + b logit e_US")
    mean: NonNegative | None = Field(default=None, description="score of the mean of the fitted models")
    best: Literal["law", "log_log", "power", "logit_linear", "mean"] | None = Field(
        default=None, description="which of the five predicts best"
    )
    lost_to: Literal["log_log", "power", "logit_linear"] | None = Field(
        default=None,
        description="the baseline that predicts clearly better than the law: evidence against the law itself",
    )


class Spearman(_Frozen):
    """Rank correlation between upstream and downstream error over the models."""

    rho: Correlation = Field(description="Spearman's rank correlation")
    interval: tuple[Correlation, Correlation] | None = Field(default=None, description="confidence interval")


class Law(_Frozen):
    """One law of one group of points, with what the data can and cannot tell about it."""

    law: LawKind = Field(
        description="frontier: what the best models reach; average: all models; "
        "hull and all_points: least squares as published, without a trustworthy interval"
    )
    by: dict[str, ByValue] = Field(default_factory=dict, description="which group of points, e.g. task and shots")
    n: int = Field(ge=0, description="models (points) in the group")
    groups: int = Field(ge=0, description="groups of related models; equals n where models are ungrouped")
    fitted: int = Field(ge=0, description="points the law was fitted to: the hull's vertices for law hull, else n")
    e_ir: Error | None = Field(description="irreducible downstream error, the law's value at e_US = 0")
    k: NonNegative | None = Field(description="coefficient of the power law")
    alpha: NonNegative | None = Field(description="exponent of the power law")
    interval: Intervals = Field(default_factory=Intervals)
    confidence: float = Field(gt=0.0, lt=1.0, description="nominal coverage of the intervals, e.g. 0.95")
    identified: Identified = Field(
        description="whether the data identify e_ir: yes; at_most (an upper bound only); "
        "weak (an interval but no point claim); no"
    )
    reason: str = Field(description="why, in a sentence, and what would help")
    heldout: HeldOut | None = Field(default=None, description="held-out prediction error beside the baselines")
    spearman: Spearman | None = Field(default=None, description="rank correlation of the points")
    predict: Prediction | None = Field(default=None, description="prediction at the upstream error asked for")
    needed: Needed | None = Field(default=None, description="upstream error needed for the target asked for")
    x_min: Error | None = Field(default=None, description="smallest upstream error observed")
    x_max: Error | None = Field(default=None, description="largest upstream error observed")
    y_min: Error | None = Field(default=None, description="smallest downstream error observed")
    y_max: Error | None = Field(default=None, description="largest downstream error observed")
    notes: tuple[str, ...] = Field(default=(), description="what was noticed in the data or assumed by the fit")
    method: str = Field(description="how the law was fitted")
    version: str = Field(description="version of the method; laws of different versions are not comparable")

    def at(self, x: float) -> float | None:
        """The law's downstream error at upstream error `x` in [0, 1]; None where nothing was estimated."""
        if self.e_ir is None or self.k is None or self.alpha is None:
            return None
        return self.e_ir + self.k * float(x**self.alpha)


class Band(_Frozen):
    """A law's curve for a picture: its value and pointwise interval on a grid of upstream errors."""

    x: tuple[Error, ...] = Field(description="upstream errors, ascending")
    y: tuple[Finite | None, ...] = Field(description="the law's downstream error at each x")
    lo: tuple[Finite | None, ...] = Field(description="lower end of the interval; None where there is none")
    hi: tuple[Finite | None, ...] = Field(description="upper end of the interval; None where there is none")


class Difference(_Frozen):
    """Whether two laws of one kind (two tasks, two numbers of shots) differ in e_IR."""

    law: LawKind = Field(description="kind of both laws")
    a: dict[str, ByValue] = Field(description="group of the first law")
    b: dict[str, ByValue] = Field(description="group of the second law")
    e_ir: Finite | None = Field(description="e_IR of the first minus that of the second")
    interval: tuple[Finite, Finite] | None = Field(default=None, description="confidence interval of the difference")
    confidence: float = Field(gt=0.0, lt=1.0, description="nominal coverage of the interval")
    differ: Literal["yes", "unknown"] = Field(description="yes: the interval excludes 0; it never shows equality")


class Spread(_Frozen):
    """A number over random samples."""

    median: NonNegative = Field(description="its median")
    low: NonNegative = Field(description="its 10th percentile")
    high: NonNegative = Field(description="its 90th percentile")


class Sampled(_Frozen):
    """How well a law as published is fitted, and predicts, from a number of randomly sampled models.

    The better models upstream are held out (`HeldOut`); samples are drawn from the rest. Errors are root mean squared
    differences of downstream error: over the points fitted, and over the held-out models (for law hull: the hull's
    vertices among them).
    """

    law: PublishedKind = Field(description="which law as published")
    by: dict[str, ByValue] = Field(default_factory=dict, description="which group of points")
    models: int = Field(ge=0, description="models in a sample")
    samples: int = Field(ge=0, description="samples that carried a law")
    fit_error: Spread | None = Field(description="on the points fitted; None where no sample carried a law")
    prediction_error: Spread | None = Field(description="on the held-out models; None also where there are none")


class LawTable(_Frozen):
    """What `tepui fit --json` prints."""

    laws: tuple[Law, ...] = Field(description="laws of all groups, in the order of the table's groups")
    differences: tuple[Difference, ...] = Field(
        default=(), description="of e_IR between all pairs of groups, frontier and average laws, where asked for"
    )
    sampled: tuple[Sampled, ...] = Field(
        default=(), description="errors of the published laws by the number of models sampled, where asked for"
    )
