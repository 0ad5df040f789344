"""How soon the commands answer that people type while they think (`python benchmarks/commands.py`).

Each is started as a fresh process, several times in turn; the median and the worst are printed, with the load, and the
CPU time, which other work on the machine changes little. `status` is among them where the quickstart was run.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEPUI = str(Path(sys.executable).with_name("tepui"))
QUICKSTART = str(ROOT / "examples/quickstart.yaml")
TABLE = [str(ROOT / "examples/zhai2021_fewshot.csv"), "--x", "INet10", "--y", "Pets10", "--accuracy", "--percent"]
COMMANDS = {
    "--help": ["--help"],
    "validate": ["validate", QUICKSTART],
    "plan": ["plan", QUICKSTART],
    "fit": ["fit", *TABLE, "--group", "model"],
}
if (ROOT / "results/quickstart/studies/quickstart/status.json").exists():
    COMMANDS["status"] = ["status", QUICKSTART]
ROUNDS = 7
LIMIT_S = 1.0


def main() -> int:
    """Time every command in turn; exit code 1 where a median is above the limit."""
    print(f"machine  {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    took_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    cpu_s: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            began, used = time.perf_counter(), _children_cpu_s()
            subprocess.run([TEPUI, *arguments], check=True, capture_output=True)
            took_s[name].append(time.perf_counter() - began)
            cpu_s[name].append(_children_cpu_s() - used)
    for name, times in took_s.items():
        cpu = f"CPU {statistics.median(cpu_s[name]):.2f} s"
        print(f"{name:9} median {statistics.median(times):.2f} s, worst {max(times):.2f} s, {cpu}")
    return int(any(statistics.median(times) > LIMIT_S for times in took_s.values()))


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
