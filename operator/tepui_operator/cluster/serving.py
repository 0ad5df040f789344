"""One operator process from its options to its end: client, lease, probes, loop, signals."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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
        leadership = await stack.enter_async_context(_leadership(api, options, timing, instance))
        site = Site(default_mlflow_uri=options.default_mlflow_uri)
        operator = Operator(api, leadership, metrics, Settings(options.namespaces, site, instance))
        await _serve_pages(stack, operator, metrics, options)
        await _until(stop, operator)


async def _until(stop: asyncio.Event, operator: Operator) -> None:
    """Run the operator until it is told to stop."""
    running = asyncio.create_task(operator.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        running.cancel()
        await asyncio.wait((running,))
        return
    await running


@asynccontextmanager
async def _leadership(api: Api, options: Options, timing: LeaseTiming, instance: str) -> AsyncIterator[Leadership]:
    """The lease, kept while the context lasts and given back after the last write."""
    if not options.leader_elect:
        yield Alone()
        return
    namespace = options.lease_namespace or _own_namespace()
    lease = LeaderLease(api, namespace=namespace, name=options.lease_name, identity=instance, timing=timing)
    keeping = asyncio.create_task(lease.run())
    try:
        yield lease
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
