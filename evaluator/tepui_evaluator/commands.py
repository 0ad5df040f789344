"""`tepui results` and `tepui report`: what a study has measured, and its report made anew."""

import argparse
from typing import Literal

Format = Literal["table", "csv", "json", "parquet"]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds both commands; imports nothing heavy."""
    results = subparsers.add_parser("results", help="print or export the rows, points and laws of a study")
    _add_study(results)
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

    report = subparsers.add_parser("report", help="fit the laws anew from the rows that are there and write the report")
    _add_study(report)
    report.set_defaults(run=_report)


def _add_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY_OR_STORAGE", help="a study's YAML file, or the results' folder or URI")
    parser.add_argument("--storage", metavar="URI", help="where the results are, if not where the file says")


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


def _report(args: argparse.Namespace) -> int:
    from tepui_evaluator.analysis import analyse, read_standing, report_data, stored_experiment, write_tables
    from tepui_evaluator.report import write_report
    from tepui_evaluator.results_table import open_store
    from tepui_evaluator.store import Store

    store = open_store(args.study, args.storage)
    if store.experiment is None:
        store = Store(store.storage, stored_experiment(store.storage))
    assert store.experiment is not None
    analysis = analyse(store, confidence=store.experiment.spec.analysis.confidence)
    write_tables(store.storage, store.experiment, analysis)
    standing = read_standing(store.storage, store.experiment)
    final = standing.final or len(store.finished) == len(store.planned)
    data = report_data(store, analysis, final=final, failures=standing.failures)
    print(write_report(store.storage.root, store.experiment.metadata.name, data))
    return 0
