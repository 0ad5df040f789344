"""Commands of the engine: `tepui run`, `tepui plan`, `tepui status`."""

import argparse
from pathlib import Path


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the `tepui` parser."""
    run = subparsers.add_parser("run", help="run a study on this machine, to its laws and report")
    run.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    run.add_argument("--parallelism", type=int, metavar="N", help="training pods at a time, in place of the spec's")
    run.add_argument("--cpus", type=_cores, metavar="N", help="cores that pods may use (default: this machine's)")
    run.set_defaults(run=_run)
    planned = subparsers.add_parser("plan", help="print what a study would run, before anything does")
    planned.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    planned.add_argument("--objects", action="store_true", help="print the Kubernetes objects instead, as YAML")
    planned.set_defaults(run=_plan)
    status = subparsers.add_parser("status", help="print where a study on this machine stands")
    status.add_argument("file", type=Path, metavar="FILE", help="YAML file with an ExperimentSpec")
    status.set_defaults(run=_status)


def _cores(text: str) -> float:
    try:
        cores = float(text)
    except ValueError:
        cores = 0.0
    if not 0 < cores <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of cores above 0 and at most 1024")
    return cores


def _run(args: argparse.Namespace) -> int:
    from tepui_operator.running import run_file

    code, _ = run_file(args.file, parallelism=args.parallelism, cpus=args.cpus)
    return code


def _plan(args: argparse.Namespace) -> int:
    from tepui_operator.plan_text import objects_text, plan_text
    from tepui_operator.running import load_study

    study = load_study(args.file)
    print(objects_text(study) if args.objects else plan_text(study, args.file), end="")
    return 0


def _status(args: argparse.Namespace) -> int:
    from tepui_operator.running import folder_of, load_study
    from tepui_operator.status_text import status_text

    study = load_study(args.file)
    folder = folder_of(args.file, study)
    status = folder.read_status()
    if status is None:
        raise ValueError(f"study {study.name} has not been run on this machine: no {folder.status}")
    print(status_text(study, status), end="")
    return 0
