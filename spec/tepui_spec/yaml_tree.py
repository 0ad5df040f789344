"""One YAML document as a tree that remembers lines, for input that may be hostile.

Plain values are read as YAML 1.2's JSON subset. What YAML 1.1 (kubectl) and 1.2 read differently is refused rather
than guessed. Anchors, aliases and tags are refused: without them a document cannot expand beyond its own size.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tepui_spec.errors import Problem, SourceError, TransientError

MAX_BYTES = 10 * 2**20
"""Ten times what Kubernetes takes in one object."""
MAX_DEPTH = 32
MAX_ENTRIES = 15_000
"""Of one list or mapping; sweep.MAX_TRIALS is the longest list of a spec."""
MAX_NODES = 500_000
"""Values and keys of one file: 15,000 listed trials of 16 factors."""

_LOADER = getattr(yaml, "CLoader", yaml.Loader)
"""Only its parser is used, never its constructors. libyaml's is thirty times faster than the one in Python."""

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_OLD_BOOLEAN = re.compile(r"y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF")
_OLD_NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|0[0-9_]+|[1-9][0-9]*(_[0-9]*)+(\.[0-9_]*)?"
    r"|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document and where it stands."""

    line: int
    """Line, from 1, of its key in a mapping, otherwise of the value."""
    value: "bool | int | float | str | list[Node] | dict[str, Node] | None"
    text: str | None = None
    """A scalar as it was written, without quotes."""

    def plain(self) -> Any:
        """The value as plain data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def tree_of(plain: Any) -> Node:
    """Plain data as a tree, where no document says how it was written: on line 0."""
    if isinstance(plain, dict):
        return Node(0, {key: tree_of(value) for key, value in plain.items()})
    if isinstance(plain, list):
        return Node(0, [tree_of(value) for value in plain])
    return Node(0, plain, plain if isinstance(plain, str) else json.dumps(plain))


def too_deep(plain: Any) -> tuple[str | int, ...] | None:
    """The path of the first value below MAX_DEPTH levels of plain data; None where there is none."""
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), plain)]
    while rest:
        path, value = rest.pop()
        if len(path) > MAX_DEPTH:
            return path
        if isinstance(value, dict | list):
            below = value.items() if isinstance(value, dict) else enumerate(value)
            rest.extend(((*path, key), entry) for key, entry in below)
    return None


def read_tree(path: Path) -> tuple[Node, list[Problem]]:
    """The document of a file, and what is wrong with single values of it.

    Raises SourceError where the file cannot be read as one YAML document within the limits of this module, and
    TransientError where the file system fails.
    """
    text = _read_text(path)
    builder = _Builder(str(path))
    try:
        return builder.document(yaml.parse(text, Loader=_LOADER)), builder.problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not YAML: {' '.join(filter(None, (error.context, error.problem)))}"
        if mark is not None and _starts_with_tab(text, mark.line):
            what += "; YAML allows no tab characters for indentation: use spaces"
        raise SourceError(
            str(path), [*builder.problems, Problem((), what, None, None if mark is None else mark.line + 1)]
        ) from error
    except yaml.YAMLError as error:
        raise SourceError(str(path), [Problem((), f"not YAML: {error}")]) from error


def _starts_with_tab(text: str, line: int) -> bool:
    lines = text.split("\n", line + 1)
    return line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if stat.S_ISBLK(os.fstat(file.fileno()).st_mode):
                raise SourceError(str(path), [Problem((), "is a device, not a file")])
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(str(path), [Problem((), "no such file")]) from None
    except IsADirectoryError:
        raise SourceError(str(path), [Problem((), "is a folder; give a YAML file")]) from None
    except PermissionError:
        raise SourceError(str(path), [Problem((), "may not be read: permission denied")]) from None
    except OSError as error:
        raise TransientError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise SourceError(str(path), [Problem((), f"is larger than {MAX_BYTES:,} bytes, the most a spec may have")])
    return _decode(path, data)


def _decode(path: Path, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(str(path), [Problem((), "is UTF-16 text; save it as UTF-8")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8 text; a spec is a text file in UTF-8"
        raise SourceError(str(path), [Problem((), what, None, line)]) from None
    if found := _CONTROL.search(text):
        what = f"control character U+{ord(found[0]):04X}; a spec is a text file"
        raise SourceError(str(path), [Problem((), what, None, text.count("\n", 0, found.start()) + 1)])
    return text


class _Builder:
    """Builds the tree from parser events, which come one by one: a limit ends the reading where it is met."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.nodes = 0

    def document(self, events: Iterator[Event]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent) and root is not None:
                raise self._fatal((), event, "a second document begins here; a file holds one experiment")
            if isinstance(event, NodeEvent):  # of the top level: those below it are taken by _node
                root = self._node(event, events, (), None)
        if root is None or (root.value is None and root.text == ""):
            raise SourceError(self.file, [Problem((), "holds no document: it is empty or all comments", None, 1)])
        if not isinstance(root.value, dict):
            what = "not a mapping; an experiment begins with apiVersion, kind, metadata and spec"
            raise SourceError(self.file, [*self.problems, Problem((), what, None, root.line)])
        return root

    def _fatal(self, path: tuple[str | int, ...], event: Event, what: str) -> SourceError:
        return SourceError(self.file, [*self.problems, Problem(path, what, None, _line(event))])

    def _node(self, event: Event, events: Iterator[Event], path: tuple[str | int, ...], line: int | None) -> Node:
        self.nodes += 1
        line = _line(event) if line is None else line
        if self.nodes > MAX_NODES:
            raise self._fatal(path, event, f"more than {MAX_NODES:,} values in one file")
        if isinstance(event, AliasEvent):
            raise self._fatal(path, event, f"YAML aliases are not allowed (*{event.anchor}): write the value out")
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)  # the grammar has no other
        if event.anchor is not None:
            raise self._fatal(path, event, f"YAML anchors are not allowed (&{event.anchor}): write the value out")
        if event.tag is not None:
            raise self._fatal(path, event, f"YAML tags are not allowed ({event.tag}): write the plain value")
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path, line)
        if len(path) >= MAX_DEPTH:
            raise self._fatal(path, event, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, MappingStartEvent):
            return Node(line, self._mapping(events, path))
        return Node(line, self._sequence(events, path))

    def _sequence(self, events: Iterator[Event], path: tuple[str | int, ...]) -> list[Node]:
        entries: list[Node] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            if len(entries) == MAX_ENTRIES:
                raise self._fatal(path, event, f"a list of more than {MAX_ENTRIES:,} entries; no list may be longer")
            entries.append(self._node(event, events, (*path, len(entries)), None))
        return entries

    def _mapping(self, events: Iterator[Event], path: tuple[str | int, ...]) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                raise self._fatal(path, event, "a field's name must be plain text")
            if len(fields) == MAX_ENTRIES:
                raise self._fatal(path, event, f"a mapping of more than {MAX_ENTRIES:,} fields")
            key, line = self._node(event, events, path, None).text or "", _line(event)
            node = self._node(next(events), events, (*path, key), line)
            if key in fields:
                what = f"appears twice, first on line {fields[key].line}; a field may appear once"
                self.problems.append(Problem((*path, key), what, None, line))
            else:
                fields[key] = node
        return fields

    def _scalar(self, event: ScalarEvent, path: tuple[str | int, ...], line: int) -> Node:
        text = event.value
        if event.style:  # quoted or a block: always text
            return Node(line, text, text)
        try:
            return Node(line, _resolve(text), text)
        except ValueError as error:
            self.problems.append(Problem(path, str(error), shorten(text), line))
            return Node(line, None, text)


def _line(event: Event) -> int:
    mark = event.start_mark
    assert mark is not None  # the parser marks every event
    return mark.line + 1


def _resolve(text: str) -> bool | int | float | str | None:
    """A plain scalar's value. Raises ValueError where it has no single finite one."""
    if len(text) <= 5 and text in (text.lower(), text.capitalize(), text.upper()) and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if len(text) > 400:
        return text
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("not a finite number; write a number, or quotes around it if text is meant")
    if _OLD_BOOLEAN.fullmatch(text):
        raise ValueError("kubectl reads this as true or false; write true or false, or quotes if text is meant")
    if _OLD_NUMBER.fullmatch(text):
        raise ValueError("versions of YAML read this differently; write a decimal number, or quotes if text is meant")
    if _FLOAT.fullmatch(text):
        return _whole_where_possible(text)
    return text


def _whole_where_possible(text: str) -> int | float:
    """1e3 and 2.0 are whole numbers, as they are after the JSON of kubectl."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large for a number; the largest is about 1.8e308")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def shorten(text: str, limit: int = 60) -> str:
    """Text in a message: at most about `limit` characters of it, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 20]}... ({len(text):,} characters)"
