"""Gives every request an id, which its response carries and the log names."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"


class RequestIds:
    """ASGI middleware: `scope["state"]["request_id"]`, and the header `x-request-id` of the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = f"req_{uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = name

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (REQUEST_ID.encode(), name.encode())]}
            await send(message)

        await self.app(scope, receive, marked)
