"""The door of the chart's MLflow server: a token or no answer."""

import asyncio
import base64
from typing import Any

import pytest

from tepui_trainer.mlflow_door import TOKEN_VARIABLE, Door, create_app


def basic(text: str) -> str:
    """A browser's Authorization header."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def ask(authorization: str | None, path: str = "/api/2.0/mlflow/runs/search", kind: str = "http") -> list[Any]:
    """What comes back from an app behind the door; `inside` where the request reached it."""
    sent: list[Any] = []

    async def inside(*_: Any) -> None:
        sent.append("inside")

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the door reads no body")

    headers = [] if authorization is None else [(b"authorization", authorization.encode())]
    scope = {"type": kind} | ({} if kind == "lifespan" else {"path": path, "headers": headers})
    asyncio.run(Door(inside, "s3cret")(scope, receive, send))
    return sent


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer s3cret", basic("anyone:s3cret"), basic(":s3cret")])
def test_the_token_opens(authorization: str) -> None:
    """As studies send it, and as a browser does."""
    assert ask(authorization) == ["inside"]


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets", "s3cret", "Digest s3cret"),
        *(basic("s3cret"), basic("s3cret:"), basic("s3cret:x"), "Basic s3cret", "Basic ====", "Bearer s3crét"),
    ],
)
def test_nothing_else_opens(authorization: str | None) -> None:
    """And the answer says what is missing, in a way that makes a browser ask for it."""
    start, body = ask(authorization)
    assert start["status"] == 401
    assert (b"www-authenticate", b'Basic realm="MLflow"') in start["headers"]
    assert b"token" in body["body"]


@pytest.mark.parametrize("path", ["/health", "/version"])
def test_probes_need_no_token(path: str) -> None:
    """The kubelet has none."""
    assert ask(None, path) == ["inside"]


@pytest.mark.parametrize("path", ["/health/", "//health", "/health/../api", "/healthz", "/", "/ajax-api/2.0/x"])
def test_only_probes_need_no_token(path: str) -> None:
    """Nothing that merely looks like a probe's path."""
    assert ask(None, path)[0]["status"] == 401


def test_start_and_end_of_the_server_pass() -> None:
    """They are no requests."""
    assert ask(None, kind="lifespan") == ["inside"]


def test_a_socket_without_the_token_is_closed() -> None:
    """Policy violation, before it is accepted."""
    assert ask(None, kind="websocket") == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("token", [None, "", " \n"])
def test_no_server_without_a_token(monkeypatch: pytest.MonkeyPatch, token: str | None) -> None:
    """An empty Secret must not open the door to everyone."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    if token is not None:
        monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(ValueError, match=TOKEN_VARIABLE):
        create_app()
