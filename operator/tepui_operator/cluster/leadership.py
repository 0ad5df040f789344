"""Who may write: of several replicas one at a time."""

from typing import Protocol


class Leadership(Protocol):
    """The right to write. Whoever had it and lost it ends, and starts anew from what the cluster holds."""

    def holds(self) -> bool:
        """Whether this process may write now, by the clock: asked before every write."""


class Alone:
    """The only replica: it may always write."""

    def holds(self) -> bool:
        """Always."""
        return True
