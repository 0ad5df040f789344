"""The two kinds of expected failure (DESIGN.md, rule 2): the user's and the world's.

    ValueError        what a user can mend; the message names the field and the value
      SourceError     all that is wrong with one file, a line each
    TransientError    the world's: worth trying again later with the same input

Anything else is a bug and crashes loudly.
"""

from dataclasses import dataclass

MAX_TOLD = 50
"""Problems of one file that its message tells one by one."""


class TransientError(Exception):
    """A fault of the world (a store or server that does not answer) that may be gone at the next try."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a spec."""

    path: tuple[str | int, ...]
    """Field by its wire name, such as ("spec", "sweep", "grid", "epochs", 0)."""
    what: str
    """What is wrong, and what is allowed."""
    shown: str | None = None
    """The value as the user wrote it, shortened; None where it would not help."""
    line: int | None = None
    """Line in the file, from 1."""

    def __str__(self) -> str:
        """`field.path: VALUE: what is wrong; what is allowed`."""
        return ": ".join(part for part in (dotted(self.path), self.shown, self.what) if part)


def dotted(path: tuple[str | int, ...]) -> str:
    """A field's path as people write it: spec.sweep.grid.epochs[0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class SourceError(ValueError):
    """Everything that is wrong with one file: a line `FILE:LINE: field.path: VALUE: what is wrong` each."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: p.line or 0))
        told = [f"{file if p.line is None else f'{file}:{p.line}'}: {p}" for p in self.problems[:MAX_TOLD]]
        more = len(self.problems) - len(told)
        super().__init__("\n".join([*told, f"{file}: and {more:,} more"] if more else told))
