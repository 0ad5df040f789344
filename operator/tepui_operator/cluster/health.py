"""What the kubelet and Prometheus ask the operator: /healthz, /readyz and /metrics.

Alive: every watch is heard of, and no worker stands still; a process that is not is started anew. A watch that is
refused, or tried in vain, is alive: starting anew would not help it, and back-off would delay what comes after. Ready:
the caches hold what the cluster holds, in the replica that waits for the lease too. The server shares the event loop
with all the rest, so a loop that is blocked does not answer, and that is an answer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

Check = Callable[[], str | None]
"""Says what is wrong, in a sentence; None: nothing."""
Page = Callable[[web.Request], Awaitable[web.StreamResponse]]

SILENT_WATCH_S = 180.0
"""The API server sends each watch a bookmark about once a minute: three of them missing is a dead connection."""
STUCK_WORKER_S = 300.0
"""The largest study is planned and applied in seconds; requests have time-outs of their own."""


def silent(ages_s: Callable[[], Mapping[str, float]], limit_s: float = SILENT_WATCH_S) -> Check:
    """A check of the watches by resource: seconds since each was last heard of."""

    def check() -> str | None:
        dead = [f"{name} for {age:.0f} s" for name, age in sorted(ages_s().items()) if age > limit_s]
        return f"nothing heard of {', '.join(dead)} (limit {limit_s:.0f} s)" if dead else None

    return check


def stuck(busy_s: Callable[[], Mapping[str, float]], limit_s: float = STUCK_WORKER_S) -> Check:
    """A check of the workers by what each is at work on: seconds since it began."""

    def check() -> str | None:
        late = [f"{name} for {age:.0f} s" for name, age in sorted(busy_s().items()) if age > limit_s]
        return f"at work on {', '.join(late)} (limit {limit_s:.0f} s)" if late else None

    return check


@asynccontextmanager
async def serve(address: str, port: int, pages: Mapping[str, Page]) -> AsyncIterator[int]:
    """Serve pages by their paths, such as `{"/healthz": checks_page(...)}`; yields the port (0 finds a free one)."""
    app = web.Application()
    app.add_routes([web.get(path, page) for path, page in pages.items()])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def checks_page(checks: Mapping[str, Check]) -> Page:
    """200 where all is well, 503 otherwise, with a line for each check: `kubectl describe pod` shows the status."""

    async def page(_: web.Request) -> web.StreamResponse:
        found = {name: check() for name, check in checks.items()}
        wrong = any(what is not None for what in found.values())
        lines = (f"{name}: {'ok' if what is None else what}\n" for name, what in found.items())
        return web.Response(status=503 if wrong else 200, text="".join(lines))

    return page


def metrics_page(metrics: Callable[[str], tuple[bytes, str]]) -> Page:
    """`metrics` takes an Accept header and gives the page and its content type, as Metrics.page does."""

    async def page(request: web.Request) -> web.StreamResponse:
        body, content_type = metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    return page
