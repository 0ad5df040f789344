"""One operator process from its options to its end: client, lease, probes, loop, signals."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tepui_operator.cluster.api import Api, configured
from tepui_operator.cluster.errors import NotLeadingError
from tepui_operator.cluster.health import Page, checks_page, metrics_page, serve, silent, stuck
from tepui_operator.cluster.leadership import Alone, Leadership
from tepui_operator.cluster.lease import LeaderLease, LeaseTiming, identity
from tepui_operator.cluster.logs import LogFormat, set_up
from tepui_operator.cluster.loop import Operator, Settings
from tepui_operator.cluster.metrics import Metrics
from tepui_operator.payloads import Site

log = logging.getLogger(__name__)

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    namespaces: tuple[str, ...] = ()
    leader_elect: bool = False
    lease_namespace: str | None = None
    lease_name: str = "tepui-operator"
    metrics_port: int | None = None
    health_port: int | None = None
    default_mlflow_uri: str | None = None
    log_format: LogFormat = "json"
    log_level: str = "INFO"


def serve_operator(options: Options) -> int:
    """Run until SIGTERM or SIGINT (exit code 0), or until the lease is lost (1: the kubelet starts it anew)."""
    set_up(options.log_format, options.log_level)
    try:
        asyncio.run(_main(options))
    except NotLeadingError as lost:
        log.warning("%s", lost)
        return 1
    return 0


async def _main(options: Options) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        timing = LeaseTiming()
        write_timeout_s = timing.write_timeout_s if options.leader_elect else 30.0
        api = await stack.enter_async_context(Api(await configured(), metrics, write_timeout_s=write_timeout_s))
        instance = identity()
        leadership, keeping = await stack.enter_async_context(_leadership(api, options, timing, instance))
        site = Site(default_mlflow_uri=options.default_mlflow_uri)
        operator = Operator(api, leadership, metrics, Settings(options.namespaces, site, instance))
        await _serve_pages(stack, operator, metrics, options)
        await until(stop, operator.run(), keeping)


async def until(stop: asyncio.Event, loop: Coroutine[Any, Any, None], keeping: "asyncio.Task[Any] | None") -> None:
    """Run the loop until it is told to stop; `keeping` is what keeps the lease, which goes on.

    Raises NotLeadingError where the lease was lost, and what either of the two raises: a replica whose lease nobody
    renews would wait for it for ever.
    """
    running = asyncio.create_task(loop)
    stopping = asyncio.create_task(stop.wait())
    needed = [running] if keeping is None else [running, keeping]
    await asyncio.wait((stopping, *needed), return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in needed if task.done()]
    for task in (stopping, running):
        task.cancel()
    await asyncio.wait((stopping, running))
    if not stop.is_set():
        for task in ended:
            task.result()
        raise NotLeadingError("the lease was lost: another replica may act")


@asynccontextmanager
async def _leadership(
    api: Api, options: Options, timing: LeaseTiming, instance: str
) -> "AsyncIterator[tuple[Leadership, asyncio.Task[None] | None]]":
    """The lease, with the task that keeps it while the context lasts and gives it back after the last write."""
    if not options.leader_elect:
        yield Alone(), None
        return
    namespace = options.lease_namespace or _own_namespace()
    lease = LeaderLease(api, namespace=namespace, name=options.lease_name, identity=instance, timing=timing)
    keeping = asyncio.create_task(lease.run())
    try:
        yield lease, keeping
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))


def _own_namespace() -> str:
    """The pod's own. Raises ValueError outside of a pod."""
    try:
        return _OWN_NAMESPACE.read_text().strip()
    except FileNotFoundError:
        raise ValueError("--lease-namespace: missing: outside of a pod say where the lease is") from None


async def _serve_pages(stack: AsyncExitStack, operator: Operator, metrics: Metrics, options: Options) -> None:
    alive = {"watches": silent(operator.watch_idle_s), "workers": stuck(operator.busy_s)}
    pages: dict[int, dict[str, Page]] = {}
    if options.metrics_port is not None:
        pages.setdefault(options.metrics_port, {})["/metrics"] = metrics_page(metrics.page)
    if options.health_port is not None:
        health = {"/healthz": checks_page(alive), "/readyz": checks_page({"caches": operator.unready})}
        pages.setdefault(options.health_port, {}).update(health)
    for port, served in pages.items():
        await stack.enter_async_context(serve("", port, served))
