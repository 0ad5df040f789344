"""JSON of an API server, whatever a user put into an object.

A spec may hold ten thousand nested lists (a custom model's `args` may be any JSON), which Python's parser refuses with
a RecursionError: one such object in a list of five hundred would end the operator for all. What lies deeper than any
honest object is read as null instead, and the operator tells its owner that it is nested too deeply.
"""

import json
from typing import Any

DEEPEST = 200
"""Levels that are read; a Job has a dozen."""


def parse(text: bytes) -> Any:
    """The value of a JSON text; raises json.JSONDecodeError where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(cut(text))


def cut(text: bytes) -> bytes:
    """The text with null in place of every list and mapping that begins deeper than DEEPEST levels."""
    kept = bytearray()
    depth, in_string, escaped = 0, False, False
    for byte in text:
        character = bytes((byte,))
        if in_string:
            in_string = escaped or character != b'"'
            escaped = character == b"\\" and not escaped
        elif character == b'"':
            in_string = True
        elif character in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept += b"null"
        if depth <= DEEPEST:
            kept.append(byte)
        if not in_string and character in b"]}":
            depth -= 1
    return bytes(kept)
