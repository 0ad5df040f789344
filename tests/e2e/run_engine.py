"""`tepui run` with the tests' own stages: `run_engine.py FILE [CPUS]`. A program, so that tests can kill it."""

import os
import sys
from pathlib import Path

from engine_stages import TARGETS

from tepui_operator.local import Pods
from tepui_operator.running import run_file


def main(file: str, cpus: str = "2") -> int:
    """Run the study in `file`; the user's mistakes end as they do in `tepui run`."""
    pods = Pods(preload=(os.environ.get("TEPUI_TEST_PRELOAD", "engine_stages"),), targets=TARGETS)
    try:
        code, _ = run_file(Path(file), cpus=float(cpus), pods=pods)
    except ValueError as error:
        print(f"tepui: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
