"""Signals that ask the engine to stop, as something to wait for beside everything else."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, stop signals are counted instead of ending the process; its descriptor becomes readable."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heeded = [number for number in STOP_SIGNALS if not (number == signal.SIGHUP and under_nohup)]
        self._before = {number: signal.signal(number, self._heard) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """For selectors."""
        return self._reading

    def drain(self) -> None:
        """Forget that there was something to read."""
        os.read(self._reading, 4096)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
