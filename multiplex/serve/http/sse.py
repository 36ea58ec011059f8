"""Answers on their way to a client that may leave, or read nothing, at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

STALLED = 60.0  # seconds that a reader may take for one event


class EventStream(Response):
    """A response whose events leave as they come; a reader that leaves, or reads nothing for long, ends it."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], close: Callable[[], None]) -> None:
        self.status_code, self.background = 200, None
        self._events, self._close = events, close
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the events end or nobody reads them."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await unless_gone(self._send(send), receive)
        except _StalledError:
            scope["state"]["abort"]()  # to close it would be to wait until what is on its way has been read
            await _departure(receive)
        finally:
            self._close()

    async def _send(self, send: Send) -> None:
        try:
            async for event in self._events:
                try:
                    async with asyncio.timeout(STALLED):
                        await send({"type": "http.response.body", "body": event, "more_body": True})
                except TimeoutError:
                    raise _StalledError from None
        finally:
            await self._events.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _StalledError(Exception):
    """A reader that took nothing for too long."""


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(work: Any, receive: Receive) -> Any:
    """The result of `work`, which is cancelled when the client leaves; then None."""
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        doing.cancel()
        leaving.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)
