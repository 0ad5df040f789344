"""Who may write: of several replicas one at a time."""

from typing import Protocol


class Leadership(Protocol):
    """The right to write. Once lost it does not come back to this process: whoever lost it ends and starts anew."""

    async def acquire(self) -> None:
        """Return once this process may write."""

    def holds(self) -> bool:
        """Whether it still may, by the clock: asked before every write."""


class Alone:
    """The only replica: it may always write."""

    async def acquire(self) -> None:
        """At once."""

    def holds(self) -> bool:
        """Always."""
        return True
