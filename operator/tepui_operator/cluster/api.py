"""Requests to an API server: plain JSON in and out, counted, and their errors sorted (errors.py).

`kubernetes.aio` brings what is intricate: kubeconfig, credentials that expire, TLS. Its typed models are not used: they
drop fields that they do not know, and take thirty times the memory (DESIGN.md).
"""

import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from tepui_operator.cluster.errors import NotFoundError, UnansweredError, error_of
from tepui_operator.cluster.json_text import parse
from tepui_operator.cluster.metrics import Metrics

Json = dict[str, Any]
Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete"]

_METHODS: dict[Verb, str] = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

READ_TIMEOUT_S = 60.0
SILENCE_S = 150.0
"""A watch is sent a bookmark about once a minute: after two and a half minutes without a byte it is dead."""
PAGE = 500
IDLE_S = 75.0
"""A connection waits this long for the next request: a new one costs a TLS handshake. API servers keep it for 90 s."""
READ_BUFFER = 2**21


async def configured() -> Configuration:
    """Where the API server is and who we are: in a pod its service account, elsewhere KUBECONFIG.

    Raises ValueError where there is neither.
    """
    configuration = Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
            config.load_incluster_config(configuration)
        else:
            file = os.environ.get("KUBECONFIG")
            await config.load_kube_config(file, client_configuration=configuration, persist_config=False)
    except config.ConfigException as error:
        raise ValueError(f"KUBECONFIG: no cluster to talk to: {error}") from error
    return configuration


class Api:
    """One API server. A context manager: closing it closes its connections.

    Every method raises UnansweredError (a TransientError) where the server does not answer, ApiError where it says no.
    """

    def __init__(self, configuration: Configuration, metrics: Metrics, *, write_timeout_s: float = 30.0) -> None:
        self._configuration = configuration
        self._metrics = metrics
        self._write_timeout_s = write_timeout_s
        self._host = configuration.host.rstrip("/")

    async def __aenter__(self) -> Self:
        self._client = ApiClient(self._configuration)
        rest = self._client.rest_client
        connector = aiohttp.TCPConnector(ssl=rest.ssl_context, limit=0, keepalive_timeout=IDLE_S)
        # Not `trust_env`: proxies are the kubeconfig's, and the environment is asked in a thread, twice a request.
        rest.pool_manager = aiohttp.ClientSession(connector=connector, read_bufsize=READ_BUFFER)
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()

    async def get(self, path: str) -> Json | None:
        """The object; None where there is none."""
        try:
            return await self._ask("get", path)
        except NotFoundError:
            return None

    async def pages(self, path: str, **query: str) -> AsyncIterator[Json]:
        """A list, page by page. Raises GoneError where the rest of it has expired meanwhile."""
        rest: str | None = None
        while rest != "":
            more = {"continue": rest} if rest else {}
            page = await self._ask("list", path, query={**query, "limit": str(PAGE), **more})
            yield page
            rest = page.get("metadata", {}).get("continue") or ""

    async def items(self, path: str, **query: str) -> list[Json]:
        """A short list as a whole."""
        return [item async for page in self.pages(path, **query) for item in page.get("items") or ()]

    async def create(self, path: str, body: Json) -> Json:
        """The object as created; raises ConflictError where it exists."""
        return await self._ask("create", path, body)

    async def replace(self, path: str, body: Json) -> Json:
        """The object as replaced; raises ConflictError where its resourceVersion is not the body's."""
        return await self._ask("update", path, body)

    async def patch(self, path: str, body: Json | list[Json]) -> Json:
        """The object as patched: a list is a JSON patch (RFC 6902), an object a merge patch (RFC 7396)."""
        return await self._ask("patch", path, body)

    async def delete(self, path: str) -> None:
        """Delete it, its dependents after it; nothing where there is none."""
        try:
            await self._ask("delete", path, {"propagationPolicy": "Background"})
        except NotFoundError:
            return

    async def watch(self, path: str, **query: str) -> AsyncIterator[list[bytes]]:
        """Events as lines of JSON, as many at a time as have come; ends when the server ends the watch."""
        async with self._request("watch", path, {**query, "watch": "1"}, None, None) as response:
            begun: list[bytes] = []
            async for chunk in response.content.iter_any():
                *lines, tail = chunk.split(b"\n")
                if lines:
                    yield [b"".join((*begun, lines[0])), *lines[1:]]
                    begun = [tail]
                else:
                    begun.append(tail)

    async def _ask(self, verb: Verb, path: str, body: Json | list[Json] | None = None, **more: Json) -> Json:
        timeout_s = READ_TIMEOUT_S if verb in ("get", "list") else self._write_timeout_s
        async with self._request(verb, path, more.get("query", {}), body, timeout_s) as response:
            return cast(Json, parse(await response.read()))

    @asynccontextmanager
    async def _request(
        self, verb: Verb, path: str, query: Json, body: Json | list[Json] | None, timeout_s: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request whose answer is yes, counted when it is done with."""
        began, code = time.perf_counter(), 0
        what = f"{verb} {path}"
        async with AsyncExitStack() as stack:
            stack.callback(lambda: self._metrics.requested(verb, _resource(path), code, time.perf_counter() - began))
            try:
                response = await self._send(verb, path, query, body, timeout_s)
                stack.callback(response.close if verb == "watch" else response.release)
                code = response.status
                if code >= 300:
                    raise error_of(code, await response.read(), response.headers.get("Retry-After"), what)
                yield response
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise UnansweredError(f"{what}: {error or type(error).__name__}") from error

    async def _send(
        self, verb: Verb, path: str, query: Json, body: Json | list[Json] | None, timeout_s: float | None
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _content_type(verb, body)
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["authorization"] = token
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10, sock_read=SILENCE_S)
        url = f"{self._host}{path}?{urlencode(query)}" if query else f"{self._host}{path}"
        method = _METHODS.get(verb, "GET")
        answer = await self._client.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
        return cast(aiohttp.ClientResponse, answer.response)


def _content_type(verb: Verb, body: Json | list[Json]) -> str:
    if verb != "patch":
        return "application/json"
    return JSON_PATCH if isinstance(body, list) else MERGE_PATCH


def _resource(path: str) -> str:
    """The resource of a path, and its subresource, for metrics: `jobs`, `experimentspecs/status`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join((parts[0], *parts[2:])) if parts else path
