"""The operator's logs, as machines and as people read them."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from tepui_operator.cluster.logs import LogFormat, about, set_up

log = logging.getLogger("tepui_operator.test")


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    """The root logger goes back to what it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def logged(form: LogFormat) -> io.StringIO:
    """Where everything is logged to from now on."""
    stream = io.StringIO()
    set_up(form, stream=stream)
    return stream


def test_a_line_says_what_it_is_about() -> None:
    """Study and trial are fields of their own, and hold for what is inside only."""
    stream = logged("json")
    with about(study="vision/flat"):
        with about(trial="0123456789ab"):
            log.info("created %s", "flat-0123456789ab-t0")
        log.warning("later")
    log.info("outside")
    first, second, third = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "created flat-0123456789ab-t0"
    assert (first["study"], first["trial"], first["level"]) == ("vision/flat", "0123456789ab", "info")
    assert (second["study"], "trial" in second, second["level"]) == ("vision/flat", False, "warning")
    assert "study" not in third
    assert first["time"].endswith("Z")
    assert first["time"][10] == "T"


def test_tasks_keep_apart_what_they_are_about() -> None:
    """Two studies reconciled at once do not take each other's name."""
    stream = logged("json")

    async def reconcile(study: str) -> None:
        with about(study=study):
            for _ in range(3):
                await asyncio.sleep(0)
                log.info(study)

    async def both() -> None:
        await asyncio.gather(reconcile("a/one"), reconcile("b/two"))

    asyncio.run(both())
    lines = [json.loads(line) for line in stream.getvalue().splitlines() if '"study"' in line]
    assert len(lines) == 6
    assert all(line["study"] == line["message"] for line in lines)


def test_an_error_stays_on_its_line() -> None:
    """A traceback and a message with line breaks are one JSON object on one line."""
    stream = logged("json")
    try:
        [].index("first\nsecond")  # type: ignore[arg-type]
    except ValueError:
        log.exception("it\nfailed")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "it\nfailed"
    assert "ValueError: " in json.loads(line)["error"]


def test_people_read_a_line_of_text() -> None:
    """Time, level, study and trial, message; the logger where no study is meant."""
    stream = logged("text")
    with about(study="vision/flat", trial="0123456789ab"):
        log.warning("lost %d pods", 2)
    log.info("listed")
    first, second = stream.getvalue().splitlines()
    assert first[12:] == " warning vision/flat 0123456789ab: lost 2 pods"
    assert second[12:] == " info    tepui_operator.test: listed"


def test_what_is_below_the_level_is_not_logged() -> None:
    """DEBUG is silent by default."""
    stream = logged("json")
    log.debug("nothing")
    assert stream.getvalue() == ""
