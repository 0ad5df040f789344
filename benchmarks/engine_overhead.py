"""The embedded engine's own overhead: wall time of a study over its pods' busy CPU time per core.

    python benchmarks/engine_overhead.py [examples/quickstart.yaml] [--cpus N]

Runs the study on fresh storage and prints wall / (busy / cores), which should be at most 1.25. Busy is the CPU time
of all pods' processes, as the kernel counts it. Only an otherwise idle machine gives the engine's own figure: the load
average before the run is printed with it. Exit code 1 where the study or the ratio fails.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tepui_operator.machine import this_machine
from tepui_operator.running import run_file

LIMIT = 1.25
QUICKSTART = Path(__file__).resolve().parents[1] / "examples" / "quickstart.yaml"


def on_fresh_storage(file: Path, storage: Path) -> Path:
    """A copy of the study beside the original, whose paths it shares, with storage of its own."""
    study = yaml.safe_load(file.read_text())
    study["spec"]["storage"] = {"uri": str(storage)}
    copy = file.with_name(f".{file.stem}-overhead.yaml")
    copy.write_text(yaml.safe_dump(study))
    return copy


def main() -> int:
    """Run the study once and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path, nargs="?", default=QUICKSTART)
    parser.add_argument("--cpus", type=float, default=None)
    args = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tepui-overhead-") as folder:
        copy = on_fresh_storage(args.file, Path(folder) / "results")
        began = time.monotonic()
        try:
            code, result = run_file(copy, cpus=args.cpus)
        finally:
            copy.unlink()
        wall_s = time.monotonic() - began
    if code != 0 or result is None:
        return 1
    cores = this_machine(args.cpus).cpus
    ratio = wall_s / (result.busy_cpu_s / cores)
    print()
    print(f"machine  {platform.machine()}, {os.cpu_count()} cores, load average before the run {load_before:.2f}")
    print(f"wall     {wall_s:.1f} s")
    print(f"busy     {result.busy_cpu_s:.1f} CPU-s of pods, on {cores:g} cores {result.busy_cpu_s / cores:.1f} s")
    print(f"ratio    {ratio:.3f} (at most {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
