"""How much is let in: councils under way at once, questions a minute, and the time a request has to arrive."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from multiplex.serve.openai.schema import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ARRIVAL = 30.0  # seconds that a request's body has to arrive
MINUTE = 60.0


class CouncilSlots:
    """Councils that may be under way at once; `taken` are."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """A place for as long as the block runs.

        Raises:
            ApiError: 429, there is none.
        """
        if self.taken >= self.most:
            raise ApiError(
                429,
                f"{self.most} councils are speaking, as many as this server takes; try again soon",
                kind="rate_limit_error",
                code="too_many_councils",
                retry_after=5,
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Rates:
    """Questions of each caller in the last minute."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = per_minute, clock
        self._times: dict[str, deque[float]] = {}

    def count(self, who: str) -> None:
        """Count one question of this caller.

        Raises:
            ApiError: 429, it has asked as often as it may; Retry-After says when it may again.
        """
        if self._most is None:
            return
        now, times = self._clock(), self._times.setdefault(who, deque())
        while times and times[0] <= now - MINUTE:
            times.popleft()
        if len(times) >= self._most:
            raise ApiError(
                429,
                f"{self._most} questions a minute for one key; try again later",
                kind="rate_limit_error",
                code="too_many_requests",
                retry_after=max(1, math.ceil(times[0] + MINUTE - now)),
            )
        times.append(now)


class Gate:
    """ASGI middleware that gives a request so much room and time, and a server for this machine only its own names.

    Without the last a page on the web could reach a server on loopback under a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, body: int, arrival: float = ARRIVAL) -> None:
        self.app, self.hosts, self.body, self.arrival = app, hosts, body, arrival

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.hosts is not None and _host(scope) not in self.hosts:
            said = "this server answers to localhost only; start it with --host to give it another name"
            await _refuse(ApiError(400, said), scope, receive, send)
            return
        too_large = f"the request is too large: this server takes at most {self.body:,} bytes"
        if _length(scope) > self.body:
            await _refuse(ApiError(413, too_large), scope, receive, send)
            return
        deadline = monotonic() + self.arrival
        size, whole = 0, False

        async def hurried() -> Message:
            nonlocal size, whole
            if whole:  # what comes now is the news that the client left
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, deadline - monotonic())):
                    message = await receive()
            except TimeoutError:
                said = f"the request did not arrive within {self.arrival:g} s"
                raise HTTPException(408, said, {"Connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > self.body:
                raise HTTPException(413, too_large)
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, hurried, send)


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def _length(scope: Scope) -> int:
    """The bytes that a request says it has; 0 where it does not say."""
    given = _header(scope, b"content-length")
    return int(given) if given.isdecimal() else 0


def _host(scope: Scope) -> str:
    given = _header(scope, b"host").lower()
    return given.rpartition(":")[0] if given.rpartition(":")[2].isdigit() and not given.endswith("]") else given


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    from starlette.responses import JSONResponse

    await JSONResponse(error.body.model_dump(), error.status)(scope, receive, send)
