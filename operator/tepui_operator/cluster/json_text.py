"""JSON of an API server, whatever a user put into an object.

A spec may hold ten thousand nested lists (a custom model's `args` may be any JSON), which Python's parser refuses with
a RecursionError: one such object in a list of five hundred would end the operator for all. What lies deeper than any
honest object is read as null instead, and the operator tells its owner that it is nested too deeply.
"""

import json
import re
from typing import Any

DEEPEST = 200
"""Levels that are read; a Job has a dozen."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]')
"""What changes the depth, and strings, in which nothing does."""


def parse(text: bytes) -> Any:
    """The value of a JSON text; raises json.JSONDecodeError where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads(cut(text))


def cut(text: bytes) -> bytes:
    """The text with null in place of every list and mapping that begins deeper than DEEPEST levels."""
    kept = []
    depth, begin = 0, 0
    for token in _TOKEN.finditer(text):
        match token[0][:1]:
            case b"[" | b"{":
                depth += 1
                if depth == DEEPEST + 1:
                    kept += [text[begin : token.start()], b"null"]
            case b"]" | b"}":
                if depth == DEEPEST + 1:
                    begin = token.end()
                depth -= 1
    return b"".join([*kept, text[begin:]])
