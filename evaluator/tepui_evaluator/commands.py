"""`tepui results`: what a study has measured. Registers `tepui report` too."""

import argparse
from typing import Literal

from tepui_evaluator import report_command

Format = Literal["table", "csv", "json", "parquet"]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds both commands; imports nothing heavy."""
    report_command.register(subparsers)
    results = subparsers.add_parser("results", help="print or export the rows, points and laws of a study")
    results.add_argument("study", metavar="STUDY_OR_STORAGE", help="a study's YAML file, or the results' folder or URI")
    results.add_argument("--storage", metavar="URI", help="where the results are, if not where the file says")
    results.add_argument(
        "--table",
        choices=("trials", "curves", "evaluations", "points", "laws"),
        default="laws",
        help="which table (default: %(default)s)",
    )
    results.add_argument(
        "--format", choices=("table", "csv", "json", "parquet"), help="default: by --out's name, else table"
    )
    results.add_argument("--out", metavar="FILE", help="write all columns to a file")
    results.add_argument("--task", nargs="+", action="extend", default=[], help="only these tasks")
    results.add_argument("--shots", nargs="+", action="extend", type=int, default=[], help="only these shots")
    results.set_defaults(run=_results)


def _results(args: argparse.Namespace) -> int:
    import sys
    from pathlib import Path

    from tepui_evaluator.results_table import encoded, filtered, load, open_store

    form: Format = args.format or _format_of(args.out)
    if form == "parquet" and args.out is None:
        raise ValueError("--format parquet is not text: name a file with --out")
    table = filtered(load(open_store(args.study, args.storage), args.table), tasks=args.task, shots=args.shots)
    content = encoded(table, args.table, form)
    if args.out is None:
        sys.stdout.write(content.decode())
        return 0
    out = Path(args.out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as error:
        raise ValueError(f"--out {out}: cannot be written: {error.strerror}") from error
    print(f"{out}: {table.num_rows} rows of {args.table}")
    return 0


def _format_of(out: str | None) -> Format:
    """By the name of the file; text for any other name."""
    endings: tuple[Format, ...] = ("csv", "json", "parquet")
    return next((ending for ending in endings if out and out.lower().endswith(f".{ending}")), "table")
