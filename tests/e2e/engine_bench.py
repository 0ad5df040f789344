"""What the tests of the engine share: a study in a folder, its scripted stages, and a real engine to run and kill."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import yaml

from builders import experiment_dict
from tepui_spec.status import ExperimentStatus

HERE = Path(__file__).parent
TINY = {"name": "tiny", "timm": "vit_tiny_patch16_224", "args": {"patch_size": 8, "embed_dim": 48, "depth": 1}}


class Bench:
    """A study of four trials (seeds 0 to 3) on storage of its own."""

    def __init__(self, folder: Path, **spec: Any) -> None:
        self.folder = folder
        self.file = folder / "study.yaml"
        self.storage = folder / "results"
        self.engines: list[subprocess.Popen[str]] = []
        self.gates: list[Gate] = []
        self.screens: list[Screen] = []
        (folder / "gates").mkdir(parents=True)
        sweep = {"grid": {"model": ["tiny"], "seed": [0, 1, 2, 3]}}
        self.write_spec(**{"sweep": sweep, "parallelism": 2, **spec})
        self.script({})

    def write_spec(self, **spec: Any) -> None:
        """Write the study's file. Its scripted pods read no data, so none has to be there."""
        base: dict[str, Any] = {
            "models": [TINY],
            "upstream": {"data": {"uri": "memory://fonts"}, "imageSize": 32},
            "evaluation": {"tasks": ["mnist"], "dataRoot": "memory://tasks"},
        }
        self.file.write_text(yaml.safe_dump(experiment_dict("study", **{**base, **spec})))

    def script(self, script: Mapping[str, Any]) -> None:
        """What pods shall do, from now on."""
        (self.folder / "script.json").write_text(json.dumps(script))

    def start(self, cpus: float = 2, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start an engine."""
        self.engines.append(self._popen(cpus, env or {}, subprocess.PIPE))
        return self.engines[-1]

    def _popen(self, cpus: float, env: Mapping[str, str], output: int) -> "subprocess.Popen[str]":
        variables = {
            **os.environ,
            "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}",
            "TEPUI_TEST_SCRIPT": str(self.folder / "script.json"),
            **env,
        }
        command = [sys.executable, str(HERE / "run_engine.py"), str(self.file), str(cpus)]
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=variables)

    def start_on_terminal(self) -> "Screen":
        """Start an engine whose output is a terminal of 120 by 40 characters."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        self.engines.append(self._popen(2, {"TERM": "xterm"}, theirs))
        os.close(theirs)
        self.screens.append(Screen(ours))
        return self.screens[-1]

    def run(self, cpus: float = 2, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run an engine to its end: its exit code and output."""
        engine = self.start(cpus, env)
        output, _ = engine.communicate()
        return engine.returncode, output

    def gate(self, key: str) -> "Gate":
        """Let pods of this key wait at their gate."""
        self.gates.append(Gate(self.folder / "gates" / key, self))
        return self.gates[-1]

    def calls(self, what: str | None = None) -> list[dict[str, Any]]:
        """What pods did, in order."""
        path = self.storage / "calls.jsonl"
        told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [call for call in told if what is None or call["what"] == what]

    def rows(self) -> dict[str, str]:
        """All rows in the store, by path."""
        return {
            str(path.relative_to(self.storage)): path.read_text()
            for path in sorted(self.storage.glob("trials/**/*.parquet"))
        }

    def status(self) -> ExperimentStatus:
        """The status that the last engine wrote."""
        return ExperimentStatus.model_validate_json((self.storage / "studies/study/status.json").read_text())

    def close(self) -> None:
        """Open all gates, and end what a failed test left behind."""
        for gate in self.gates:
            gate.close()
        for screen in self.screens:
            screen.close()
        for engine in self.engines:
            if engine.poll() is None:
                engine.kill()
            engine.wait()
            if engine.stdout is not None:
                engine.stdout.close()


class Gate:
    """A place in a pod's work at which it waits: it writes to one FIFO, then reads another to its end."""

    def __init__(self, path: Path, bench: Bench) -> None:
        self._at, self._go = path.with_suffix(".at"), path.with_suffix(".go")
        self._bench = bench
        os.mkfifo(self._at)
        os.mkfifo(self._go)
        self._arrival = os.open(self._at, os.O_RDONLY | os.O_NONBLOCK)
        self._held: TextIO | None = None

    def reached(self) -> None:
        """Return when a pod is at the gate; no later pod will stop there. Fails when the engine ends instead."""
        engine = os.pidfd_open(self._bench.engines[-1].pid)
        ready, _, _ = select.select([self._arrival, engine], [], [])
        os.close(engine)
        assert self._arrival in ready, self._bench.engines[-1].communicate()[0]
        self._held = self._go.open("w")
        self._at.unlink()

    def open(self) -> None:
        """Let the pod go on."""
        if self._held is not None:
            self._held.close()

    def close(self) -> None:
        """Open it, and be done with it."""
        self.open()
        os.close(self._arrival)


class Screen:
    """What an engine draws on its terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.text = ""

    def read_until(self, wanted: str) -> None:
        """Return when the text was drawn. Fails when the engine ends without it."""
        while wanted not in self.text:
            try:
                self.text += os.read(self._descriptor, 65_536).decode(errors="replace")
            except OSError as error:  # EIO: nobody holds the terminal any more
                raise AssertionError(f"{wanted!r} was never drawn: {self.text}") from error

    def close(self) -> None:
        """Close the terminal."""
        os.close(self._descriptor)


def gone(pid: int) -> None:
    """Return when the process, which need not be a child, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([descriptor], [], [])
    os.close(descriptor)


def end_by_signal(engine: "subprocess.Popen[str]", number: signal.Signals) -> str:
    """Send a signal and read the engine's output to its end."""
    engine.send_signal(number)
    output, _ = engine.communicate()
    return output
