"""`mlflow server --app-name tepui-token`: an MLflow server that asks every request for one shared token.

It is the token that studies send (`tracking.mlflow.tokenSecret`). MLflow's own `basic-auth` app takes users with
passwords only, no bearer tokens, and keeps them in a database of its own: more than one team's server needs.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN_VARIABLE = "TEPUI_MLFLOW_TOKEN"
OPEN_PATHS = ("/health", "/version")
"""For probes: they tell nothing of any run."""


def create_app() -> "FastAPI":
    """MLflow's app behind the door. Raises ValueError where the token is not set."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise ValueError(f"{TOKEN_VARIABLE} is not set or empty: it is the token that requests must carry")
    from mlflow.server.fastapi_app import app

    served: FastAPI = app
    served.add_middleware(Door, token=token)
    return served


class Door:
    """Lets requests with the token in, as a bearer token or, from a browser, as the password of any user."""

    def __init__(self, app: "ASGIApp", token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """One request, or the server's start and end."""
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or self._admits(dict(scope["headers"])):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b'Basic realm="MLflow"')]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"The token of this MLflow server is needed.\n"})

    def _admits(self, headers: Mapping[bytes, bytes]) -> bool:
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(given.strip(), self._token)
