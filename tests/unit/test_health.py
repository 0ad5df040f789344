"""The operator's pages for the kubelet and Prometheus, over a real socket."""

import asyncio
import time
from collections.abc import Callable

import aiohttp

from tepui_operator.cluster.health import Check, checks_page, metrics_page, serve, silent, stuck
from tepui_operator.cluster.metrics import Metrics


def pages(alive: dict[str, Check], ready: dict[str, Check], *paths: str) -> dict[str, tuple[int, str, str]]:
    """Status, content type and text of each page."""
    served = {
        "/healthz": checks_page(alive),
        "/readyz": checks_page(ready),
        "/metrics": metrics_page(Metrics().page),
    }

    async def fetch() -> dict[str, tuple[int, str, str]]:
        found = {}
        async with (
            serve("127.0.0.1", 0, served) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        ):
            for path in paths:
                async with session.get(path) as answer:
                    found[path] = (answer.status, answer.headers["Content-Type"], await answer.text())
        return found

    return asyncio.run(fetch())


def constant(what: str | None) -> Check:
    return lambda: what


def test_alive_and_ready_are_asked_apart() -> None:
    """A replica that still lists is alive and not ready; each check has its line."""
    found = pages({"watches": constant(None)}, {"caches": constant("jobs are being listed")}, "/healthz", "/readyz")
    assert found["/healthz"][0::2] == (200, "watches: ok\n")
    assert found["/readyz"][0::2] == (503, "caches: jobs are being listed\n")


def test_one_bad_check_is_enough() -> None:
    """The others are told all the same."""
    found = pages({"watches": constant("dead"), "workers": constant(None)}, {}, "/healthz")
    assert found["/healthz"][0::2] == (503, "watches: dead\nworkers: ok\n")


def test_metrics_are_served_in_the_format_asked_for() -> None:
    """Prometheus' own text, with its content type as it is."""
    status, content_type, text = pages({}, {}, "/metrics")["/metrics"]
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "process_cpu_seconds_total" in text


def test_an_unknown_page_is_not_found() -> None:
    """Nothing else is served."""
    assert pages({}, {}, "/debug")["/debug"][0] == 404


def ages(**ages_s: float) -> Callable[[], dict[str, float]]:
    return lambda: ages_s


def test_a_watch_is_dead_when_nothing_is_heard_for_too_long() -> None:
    """Named with its age; those that are heard of are not."""
    assert silent(ages(jobs=179, pods=10))() is None
    assert silent(ages(jobs=181, pods=10))() == "nothing heard of jobs for 181 s (limit 180 s)"
    assert silent(ages())() is None


def test_a_worker_is_stuck_when_it_is_at_one_study_for_too_long() -> None:
    """Named with the study that it does not get done with."""
    assert stuck(ages(**{"vision/flat": 2}))() is None
    assert stuck(ages(**{"vision/flat": 301}))() == "at work on vision/flat for 301 s (limit 300 s)"


def test_a_blocked_loop_does_not_answer() -> None:
    """The probe's own time-out finds what no check could tell: pages come from the loop that does the work."""

    async def ask_while_blocked() -> float:
        async with serve("127.0.0.1", 0, {"/healthz": checks_page({})}) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            begun = time.monotonic()
            time.sleep(0.3)  # the fault itself: a worker that computes without yielding
            await reader.readline()
            took = time.monotonic() - begun
            writer.close()
            return took

    assert asyncio.run(ask_while_blocked()) >= 0.3
