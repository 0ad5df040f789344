"""Commands of the engine: `tepui run`, `tepui plan`, `tepui status`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tepui_operator.study import Study


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the `tepui` parser."""
    run = subparsers.add_parser("run", help="run a study on this machine, to its laws and report")
    run.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    run.add_argument("--parallelism", type=_positive, metavar="N", help="training pods at a time (default: the spec's)")
    run.add_argument("--cpus", type=_amount, metavar="N", help="cores that pods may use (default: this machine's)")
    run.add_argument("--again", action="store_true", help="run a complete study too: every trial is looked at")
    run.set_defaults(run=_run)
    planned = subparsers.add_parser("plan", help="print what a study would run, before anything does")
    planned.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    planned.add_argument("--objects", action="store_true", help="print the Kubernetes objects instead")
    planned.add_argument("--images", type=_positive, metavar="N", help="upstream training images (default: the card's)")
    planned.add_argument("--classes", type=_positive, metavar="N", help="upstream classes (default: the card's)")
    planned.add_argument(
        "--flops-per-s", type=_amount, metavar="X", help="operations per second that one GPU, or core, sustains"
    )
    planned.set_defaults(run=_plan)
    status = subparsers.add_parser("status", help="print where a study on this machine stands")
    status.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    status.set_defaults(run=_status)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return amount


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _run(args: argparse.Namespace) -> int:
    from tepui_operator.running import run_file

    code, _ = run_file(args.file, parallelism=args.parallelism, cpus=args.cpus, again=args.again)
    return code


def _plan(args: argparse.Namespace) -> int:
    from tepui_operator.estimate import UpstreamSize
    from tepui_operator.plan_text import objects_text, plan_text
    from tepui_operator.running import load_study

    if (args.images is None) != (args.classes is None):
        raise ValueError("--images and --classes: give both or neither")
    study = load_study(args.file)
    if args.objects:
        print(objects_text(study), end="")
        return 0
    given = UpstreamSize(args.images, args.classes) if args.images is not None else None
    print(plan_text(study, args.file, given=given, flops_per_s=args.flops_per_s), end="", flush=True)
    if study.experiment.spec.storage.uri is not None:  # otherwise it runs on a cluster, whose pods see other paths
        _check_data(study, args.file, upstream=given is None)
    return 0


def _check_data(study: "Study", file: Path, *, upstream: bool) -> None:
    from tepui_operator.data_check import check_data
    from tepui_operator.payloads import Site
    from tepui_spec.source import refusal

    checked = check_data(study.experiment.spec, Site(file.resolve().parent), upstream=upstream)
    for note in checked.notes:
        print(f"note: {note}")
    if checked.problems:
        raise refusal(file, checked.problems)


def _status(args: argparse.Namespace) -> int:
    from tepui_operator.as_run import AsRun
    from tepui_operator.running import folder_of, load_study
    from tepui_operator.status_text import status_text

    study = load_study(args.file)
    folder = folder_of(args.file, study)
    status = folder.read_status()
    if status is None:
        raise ValueError(f"study {study.name} has not been run on this machine: no {folder.status}")
    print(status_text(study, folder, status, AsRun.read(folder.as_run)), end="")
    return 0
