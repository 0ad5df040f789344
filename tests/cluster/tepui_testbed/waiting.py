"""Waiting for conditions of processes and sockets, which cannot be watched: asked often, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

_ASK_EVERY_S = 0.05
_Answer = TypeVar("_Answer")


class TestbedError(RuntimeError):
    """The cluster did not do what it should; the message says what, and where its logs are."""

    __test__ = False


def wait_until(condition: Callable[[], _Answer | None], what: str, timeout_s: float) -> _Answer:
    """Ask until the answer is true; returns it. Raises TestbedError when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TestbedError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(_ASK_EVERY_S)
