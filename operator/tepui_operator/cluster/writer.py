"""Every write goes through here: asked of the leadership first, and not too many at once."""

import asyncio

from tepui_operator.cluster.api import Api, Json
from tepui_operator.cluster.errors import NotFoundError, NotLeadingError
from tepui_operator.cluster.leadership import Leadership

WRITES_AT_ONCE = 16
"""Each needs a connection; an API server that answers in 20 ms takes 800 writes a second so."""


class Writer:
    """Writes of one operator."""

    def __init__(self, api: Api, leadership: Leadership) -> None:
        self.api = api
        self._leadership = leadership
        self._slots = asyncio.Semaphore(WRITES_AT_ONCE)

    async def create(self, path: str, body: Json) -> Json:
        """The object as created; raises ConflictError where it exists."""
        async with self._slots:
            self._check()
            return await self.api.create(path, body)

    async def patch(self, path: str, body: Json | list[Json]) -> Json | None:
        """The object as patched (api.Api.patch); None where there is none."""
        async with self._slots:
            self._check()
            try:
                return await self.api.patch(path, body)
            except NotFoundError:
                return None

    def _check(self) -> None:
        if not self._leadership.holds():
            raise NotLeadingError("another replica leads")
