"""The `tepui` command: put together from entry points, so that no part imports another for it."""

import argparse
import errno
import os
import sys
from collections.abc import Callable
from importlib.metadata import entry_points, version

from tepui_spec.errors import SourceError, TransientError


def parser() -> argparse.ArgumentParser:
    """All sub-commands of the installed parts."""
    top = argparse.ArgumentParser(
        prog="tepui", description="How far better pre-training can still take a downstream task."
    )
    top.add_argument("--version", action="version", version=f"tepui {version('tepui')}")
    subparsers = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for entry in sorted(entry_points(group="tepui.commands"), key=lambda e: e.name):
        entry.load()(subparsers)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit code 2: the user's mistake; 3: a fault of the world; a bug ends with its traceback."""
    args = parser().parse_args(argv)
    try:
        code = _answer(args)
        sys.stdout.flush()
    except BrokenPipeError:  # `tepui crd | head`: the reader has what it wanted
        _say_no_more()
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        _say_no_more()
        where = f"{error.filename}: " if error.filename else ""
        print(f"tepui: {where}{error.strerror} (try again later)", file=sys.stderr)
        return 3
    return code


def _say_no_more() -> None:
    """Let what is left in the buffer go nowhere: the interpreter would fail on it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _answer(args: argparse.Namespace) -> int:
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except SourceError as error:  # FILE:LINE: first, where editors look for it
        message, code = str(error), 2
    except ValueError as error:
        message, code = f"tepui: {error}", 2
    except TransientError as error:
        message, code = f"tepui: {error} (try again later)", 3
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tepui_"):
            raise
        message, code = f"tepui: this command needs {error.name}, of one of the extras: pip install 'tepui[dev]'", 2
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
