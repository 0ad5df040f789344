"""`python -m tepui_testbed build|up|down|status`: a real Kubernetes cluster on this machine, without a registry."""

import argparse
import os
import sys

from tepui_testbed.build import build
from tepui_testbed.containerfile import build_images
from tepui_testbed.lifecycle import DEFAULT_NAME, down, folder_of, names, up, well
from tepui_testbed.requirements import unavailable
from tepui_testbed.template_store import fill_template


def main(arguments: list[str]) -> int:
    """The exit code: 1 where there can be no cluster, or `status` finds none well."""
    parser = argparse.ArgumentParser(prog="tepui_testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start it, or take the one that runs")
    start.add_argument("--name", default=DEFAULT_NAME)
    start.add_argument("--nodes", type=int, default=2, metavar="N", help="real nodes (default 2)")
    start.add_argument("--kwok", type=int, default=0, metavar="N", help="simulated nodes (default 0)")
    start.add_argument(
        "--kueue", action=argparse.BooleanOptionalAction, help="install Kueue (default: where there are real nodes)"
    )
    start.add_argument("--parent-pid", type=int, metavar="PID", help="end it when this process ends")
    end = commands.add_parser("down", help="end it and all that it started")
    end.add_argument("--name", default=DEFAULT_NAME)
    commands.add_parser("build", help="build all programs and images that are not in the cache yet: minutes")
    commands.add_parser("status", help="which clusters run")
    options = parser.parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (ValueError, RuntimeError) as error:
        print(f"tepui_testbed: {error}", file=sys.stderr)
        return 1


def _up(options: argparse.Namespace) -> int:
    if why := unavailable():
        raise RuntimeError(f"no cluster here: {why}")
    kueue = options.nodes > 0 if options.kueue is None else options.kueue
    cluster = up(options.name, nodes=options.nodes, kwok=options.kwok, kueue=kueue, parent=options.parent_pid)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    print(f"{options.name}: {'ended' if down(options.name) else 'was not running'}")
    return 0


def _build(_: argparse.Namespace) -> int:
    if why := unavailable():
        print(f"no cluster here, nothing to build: {why}")
    else:
        build()
        fill_template(build_images().values())
    return 0


def _status(_: argparse.Namespace) -> int:
    running = {name: well(name) for name in names()}
    for name, is_well in running.items():
        print(f"{name:<12} {'running' if is_well else 'not well'}  KUBECONFIG={folder_of(name) / 'kubeconfig'}")
    return 0 if running and all(running.values()) else 1


_COMMANDS = {"up": _up, "down": _down, "build": _build, "status": _status}

if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
