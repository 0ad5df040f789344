"""Messages word for word: a file of named parts; what differs between machines and runs is replaced by its name."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

UPDATE_VARIABLE = "TEPUI_UPDATE_GOLDEN"
_ANYWHERE = {
    r"\b[0-9a-f]{64}\b": "SHA256",
    r"\b[0-9a-f]{12}\b": "TRIAL",
    r"\bstep-\d+": "step-N",
    r"\b(after|by) step \d+\b": r"\1 step N",
}


class GoldenMessages:
    """The messages of one file. With TEPUI_UPDATE_GOLDEN set, what is checked is recorded instead."""

    def __init__(self, path: Path) -> None:
        self._path = path
        parts = re.split(r"^## (.+)\n", path.read_text(), flags=re.MULTILINE)[1:] if path.exists() else []
        self._texts = {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
        self._update = bool(os.environ.get(UPDATE_VARIABLE))

    @property
    def names(self) -> frozenset[str]:
        """The parts of the file."""
        return frozenset(self._texts)

    def check(self, name: str, text: str, places: Mapping[Path, str]) -> None:
        """Assert that this part is what is recorded; `places` are folders by the names that stand for them."""
        for place, stands_for in places.items():
            text = text.replace(str(place), stands_for)
        for pattern, stands_for in _ANYWHERE.items():
            text = re.sub(pattern, stands_for, text)
        if self._update:
            self._texts[name] = text.strip()
            self._path.write_text("\n".join(f"## {part}\n{self._texts[part]}\n" for part in sorted(self._texts)))
        assert text.strip() == self._texts.get(name)
