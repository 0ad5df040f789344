"""`tepui report`: the report of a study made anew from its rows, or of any table of points."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tepui_evaluator.report_points import PointColumns

_DESCRIPTION = """\
Fit the laws anew and write the report: one HTML file, with its figures as SVG and PNG in the folder beside it.
SOURCE is a study's YAML file; or the results' folder or URI, of which the Parquet rows alone are enough; or a CSV or
Parquet table with a row per point. What `tepui results --table points` exports needs no further flags; any other table
needs --x and --y, errors in [0, 1] unless --accuracy or --percent says otherwise.
"""
_TABLES = (".csv", ".parquet", ".pq")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tepui report`; imports nothing heavy."""
    parser = subparsers.add_parser(
        "report",
        help="fit the laws anew from the rows that are there and write the report",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a study's YAML file, its results, or a table of points")
    parser.add_argument("--storage", metavar="URI", help="where the results are, if not where the file says")
    parser.add_argument(
        "--confidence", type=float, metavar="C", help="of the intervals (default: the study's, or 0.95)"
    )
    table = parser.add_argument_group("a table of points")
    table.add_argument("--out", metavar="FOLDER", help="where to write (default: NAME-report beside the table)")
    table.add_argument("--x", metavar="COL", help="column of upstream errors")
    table.add_argument(
        "--y", metavar="COL", nargs="+", help="column of downstream errors; several are tasks by their names"
    )
    table.add_argument("--x-se", metavar="COL", help="column of standard errors of x")
    table.add_argument("--y-se", metavar="COL", help="column of standard errors of y (test images and support seeds)")
    table.add_argument("--x-n", metavar="COL", help="instead of --x-se: column of numbers of test images of x")
    table.add_argument("--y-n", metavar="COL", help="instead of --y-se: column of numbers of test images of y")
    table.add_argument("--y-seed-var", metavar="COL", help="with --y-n: column of variances of y over support seeds")
    table.add_argument("--y-seeds", metavar="COL", help="with --y-n: column of numbers of support seeds averaged in y")
    table.add_argument("--group", metavar="COL", help="column that labels related models (architecture and recipe)")
    table.add_argument("--task", metavar="COL", help="column of the downstream task")
    table.add_argument("--shots", metavar="COL", help="column of the number of shots")
    table.add_argument(
        "--trial", metavar="COL", help="column with the name of a model's run (default: the row's number)"
    )
    table.add_argument("--model", metavar="COL", help="column of the model's name (default: the group)")
    table.add_argument(
        "--family", metavar="COL", help="column of the family that colours the points (default: the group)"
    )
    table.add_argument("--factors", metavar="COL", nargs="+", default=[], help="columns of what was varied")
    table.add_argument("--accuracy", action="store_true", help="x and y are accuracies")
    table.add_argument("--percent", action="store_true", help="values are percent, 0 to 100")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report and print where it is; ValueError for anything wrong with the source."""
    print(_of_table(args) if args.source.lower().endswith(_TABLES) else _of_results(args))
    return 0


def _of_results(args: argparse.Namespace) -> str:
    from tepui_evaluator.results_report import write_results_report
    from tepui_evaluator.results_table import open_store

    given = [name for name in ("x", "y", "out", "task", "shots") if getattr(args, name)]
    if given:
        raise ValueError(f"--{given[0]} goes with a table of points ({', '.join(_TABLES)}), and {args.source} is none")
    return write_results_report(open_store(args.source, args.storage), confidence=args.confidence)


def _of_table(args: argparse.Namespace) -> str:
    from pathlib import Path

    from tepui_evaluator.point_table import read_table
    from tepui_evaluator.report import write_files
    from tepui_evaluator.report_points import exported_report, is_exported, table_report
    from tepui_trainer.storage import Storage

    path = Path(args.source)
    table = read_table(path)
    columns = _columns(args)
    confidence = 0.95 if args.confidence is None else args.confidence
    if columns is not None:
        data = table_report(path.stem, table, columns, confidence=confidence)
    elif is_exported(table):
        data = exported_report(path, confidence=confidence)
    else:
        raise ValueError(f"{path.name}: say with --x and --y which columns hold errors; it has {', '.join(table)}")
    return write_files(Storage(args.out or str(path.with_name(f"{path.stem}-report"))), "", data)


def _columns(args: argparse.Namespace) -> PointColumns | None:
    from tepui_evaluator.point_table import Columns
    from tepui_evaluator.report_points import PointColumns

    if args.x is None and args.y is None:
        return None
    if args.x is None or args.y is None:
        raise ValueError("--x and --y go together: name the columns of upstream and downstream errors")
    fitted = Columns(
        x=args.x,
        y=args.y[0],
        x_se=args.x_se,
        y_se=args.y_se,
        x_n=args.x_n,
        y_n=args.y_n,
        y_seed_variance=args.y_seed_var,
        y_seeds=args.y_seeds,
        group=args.group,
        accuracy=args.accuracy,
        percent=args.percent,
    )
    return PointColumns(
        fitted=fitted,
        y=tuple(args.y),
        task=args.task,
        shots=args.shots,
        trial=args.trial,
        model=args.model or args.group,
        family=args.family or args.group,
        factors=tuple(args.factors),
    )
