"""Names near a misspelt one."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean A or B? `, or nothing where nothing is near. Case and underscores do not count."""
    folded = {_fold(k): k for k in sorted(known)}
    close = difflib.get_close_matches(_fold(name), folded, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(folded[c] for c in close)}? " if close else ""


def _fold(name: str) -> str:
    return name.replace("_", "").lower()
