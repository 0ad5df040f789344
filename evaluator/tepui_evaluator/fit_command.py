"""`tepui fit TABLE --x COL --y COL`: the laws of any table of points, printed or as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tepui_evaluator.point_table import Columns
    from tepui_evaluator.points import Points
    from tepui_spec.law import ByValue, Difference, Law, LawTable, Sampled, Spread

_DESCRIPTION = """\
Fit e_DS = k * e_US**alpha + e_IR to a table with a row per model. Errors are fractions in [0, 1].
Four laws are printed per group of rows: frontier (what the best models reach) and average (all models),
each with intervals and whether e_IR is identified, then hull and all_points as published, without intervals.
"""


_FOOTNOTE = """\
hull and all_points are point estimates as published; a bootstrap interval of the hull covers the truth far less often
than it says (docs/statistics.md), so none is shown."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tepui fit`."""
    parser = subparsers.add_parser(
        "fit",
        help="fit saturation laws to a CSV or Parquet table of points",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="TABLE", help="CSV or .parquet file with a row per model")
    parser.add_argument("--x", required=True, metavar="COL", help="column of upstream errors")
    parser.add_argument(
        "--y",
        required=True,
        metavar="COL",
        nargs="+",
        help="column of downstream errors; several are fitted one by one",
    )
    parser.add_argument("--x-se", metavar="COL", help="column of standard errors of x")
    parser.add_argument("--y-se", metavar="COL", help="column of standard errors of y (test images and support seeds)")
    parser.add_argument("--x-n", metavar="COL", help="instead of --x-se: column of numbers of test images of x")
    parser.add_argument("--y-n", metavar="COL", help="instead of --y-se: column of numbers of test images of y")
    parser.add_argument("--y-seed-var", metavar="COL", help="with --y-n: column of variances of y over support seeds")
    parser.add_argument("--y-seeds", metavar="COL", help="with --y-n: column of numbers of support seeds averaged in y")
    parser.add_argument("--group", metavar="COL", help="column that labels related models (architecture and recipe)")
    parser.add_argument(
        "--by", metavar="COL", nargs="+", action="extend", default=[], help="columns to fit separate laws by"
    )
    parser.add_argument("--accuracy", action="store_true", help="x and y are accuracies")
    parser.add_argument("--percent", action="store_true", help="values are percent, 0 to 100")
    parser.add_argument("--at", type=float, metavar="X", help="also predict at this upstream error, a fraction")
    parser.add_argument("--target", type=float, metavar="Y", help="also find the upstream error needed for this error")
    parser.add_argument("--compare", action="store_true", help="also tell which groups of --by differ in e_IR")
    parser.add_argument(
        "--sampled",
        action="store_true",
        help="also tell how good the published fits are by the number of models sampled",
    )
    parser.add_argument("--confidence", type=float, default=0.95, metavar="C", help="of the intervals (default 0.95)")
    parser.add_argument("--json", action="store_true", help="print the laws as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the laws of the table; ValueError for anything wrong with it."""
    from tepui_evaluator.laws import fit_laws
    from tepui_evaluator.point_table import read_table, split_points
    from tepui_evaluator.sampled import sampled_errors
    from tepui_evaluator.what_if import check_target, differences
    from tepui_spec.law import LawTable

    if args.target is not None:
        check_target(args.target)
    for option in ("y_se", "y_n", "y_seed_var", "y_seeds"):
        if (column := getattr(args, option)) is not None and len(args.y) > 1:
            raise ValueError(f"--{option.replace('_', '-')} {column} goes with one --y, but there are {len(args.y)}")
    table = read_table(args.table)
    laws: list[Law] = []
    sampled: list[Sampled] = []
    for y in args.y:
        label: dict[str, ByValue] = {"y": y} if len(args.y) > 1 else {}
        for by, points in split_points(table, _columns(args, y)):
            label_by = {**label, **by}
            fitted = fit_laws(points, confidence=args.confidence, by=label_by, at=args.at)
            laws += [_with_needed(law, points, args.target) for law in fitted]
            sampled += sampled_errors(points, by=label_by) if args.sampled else ()
    found = LawTable(laws=tuple(laws), differences=differences(laws) if args.compare else (), sampled=tuple(sampled))
    sys.stdout.write(_json(found) if args.json else text(found))
    return 0


def _json(found: LawTable) -> str:
    """The table; what only an option asks for is there only where it was asked for."""
    optional = {"predict", "needed"}
    unasked = {name for name in optional if all(getattr(law, name) is None for law in found.laws)}
    empty = {name: True for name in ("differences", "sampled") if not getattr(found, name)}
    return found.model_dump_json(indent=2, exclude={"laws": {"__all__": unasked}, **empty}) + "\n"


def _columns(args: argparse.Namespace, y: str) -> Columns:
    from tepui_evaluator.point_table import Columns

    return Columns(
        x=args.x,
        y=y,
        x_se=args.x_se,
        y_se=args.y_se,
        x_n=args.x_n,
        y_n=args.y_n,
        y_seed_variance=args.y_seed_var,
        y_seeds=args.y_seeds,
        group=args.group,
        by=tuple(args.by),
        accuracy=args.accuracy,
        percent=args.percent,
    )


def _with_needed(law: Law, points: Points, target: float | None) -> Law:
    """The law with the upstream error needed for the target, where one is asked for and the law has an interval."""
    from tepui_evaluator.what_if import needed

    if target is None or law.interval.e_ir is None:
        return law
    return law.model_copy(update={"needed": needed(points, law, target)})


def text(found: LawTable) -> str:
    """The laws as aligned text: per group its points and rank correlation, a line per law, then the reasons."""
    lines: list[str] = []
    for start in range(0, len(found.laws), 4):
        lines += [*_group_lines(found.laws[start : start + 4]), ""]
    if found.differences:
        lines += ["differences in e_IR:", *(_difference(d) for d in found.differences), ""]
    if found.sampled:
        lines += ["fit and held-out error by the number of models sampled (median, 10th to 90th percentile):"]
        lines += [*(_sampled(s) for s in found.sampled), ""]
    return "\n".join([*lines, _FOOTNOTE, ""])


def _label(by: dict[str, ByValue]) -> str:
    return ", ".join(f"{name} {value}" for name, value in by.items()) or "all rows"


def _difference(d: Difference) -> str:
    shown = "-" if d.e_ir is None else f"{d.e_ir:+.3f}"
    ends = "" if d.interval is None else f" [{d.interval[0]:+.3f}, {d.interval[1]:+.3f}]"
    verdict = "they differ" if d.differ == "yes" else "no difference shown"
    return f"  {d.law}: ({_label(d.a)}) - ({_label(d.b)}): {shown}{ends}, {verdict}"


def _sampled(s: Sampled) -> str:
    def shown(spread: Spread | None) -> str:
        return "-" if spread is None else f"{spread.median:.4f} [{spread.low:.4f}, {spread.high:.4f}]"

    errors = f"fit {shown(s.fit_error)}, held-out {shown(s.prediction_error)}"
    return f"  {s.law} ({_label(s.by)}), {s.models} models, {s.samples} samples: {errors}"


def _group_lines(laws: Sequence[Law]) -> list[str]:
    first = laws[0]
    groups = "" if first.groups == first.n else f" in {first.groups} groups"
    lines = [f"{_label(first.by)}: {first.n} models{groups}{_spearman(first)}"]
    header = (
        "law",
        "e_IR",
        "k",
        "alpha",
        "identified",
        *(() if first.predict is None else (f"at {first.predict.x:g}",)),
    )
    rows = [header, *(_cells(law) for law in laws)]
    widths = [max(len(row[i]) if i < len(row) else 0 for row in rows) for i in range(len(header))]
    lines += [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]
    if all(law.e_ir is None for law in laws):
        return [*lines, f"  no law: {first.reason}"]
    return lines + [f"  {law.law}: {sentence}" for law in laws for sentence in _sentences(law)]


def _spearman(law: Law) -> str:
    if law.spearman is None:
        return ""
    return f", Spearman {law.spearman.rho:.2f}{_range(law.spearman.interval, 2)}"


def _cells(law: Law) -> tuple[str, ...]:
    interval = law.interval
    cells = (
        law.law,
        _number(law.e_ir, interval.e_ir, 3),
        _number(law.k, interval.k, 3),
        _number(law.alpha, interval.alpha, 2),
        law.identified.replace("_", " "),
    )
    return cells if law.predict is None else (*cells, _number(law.predict.y, law.predict.interval, 3))


def _number(value: float | None, interval: tuple[float, float | None] | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}{_range(interval, digits)}"


def _range(interval: tuple[float, float | None] | None, digits: int) -> str:
    if interval is None:
        return ""
    lo, hi = interval
    return f" [{lo:.{digits}f}, {'open' if hi is None else f'{hi:.{digits}f}'}]"


def _sentences(law: Law) -> list[str]:
    """What the numbers do not say: the flag's reason, the held-out scores, notes; the footnote is for all."""
    published = law.law in ("hull", "all_points") and law.e_ir is not None
    sentences = [] if published else [law.reason]
    if law.needed is not None:
        at = "" if law.needed.x is None else f" needs e_US {_number(law.needed.x, law.needed.interval, 3)}"
        sentences.append(f"target {law.needed.target:g}{at}: {law.needed.reason}")
    if law.heldout is not None:
        scores = {
            "law": law.heldout.law,
            "log-log": law.heldout.log_log,
            "power": law.heldout.power,
            "logit-linear": law.heldout.logit_linear,
            "mean": law.heldout.mean,
        }
        shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items() if value is not None)
        part = f"fitted to {law.heldout.fit_n}, predicting {law.heldout.test_n} better upstream"
        sentences.append(f"held-out error ({part}): {shown}")
    return [*sentences, *law.notes]
