"""Who looks at the page of a server with keys: a key is given once, then a cookie that no script reads stands in."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from multiplex.serve.http.keys import bearer
from multiplex.serve.openai.schema import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from multiplex.serve.service import Caller, Service

COOKIE = "multiplex"
MOST = 100  # sessions of one key; the one that was not used for longest gives way


class Sessions:
    """The callers who gave a key, by the cookie that they were given; they last as long as the server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._of_key: dict[str, OrderedDict[str, Caller]] = {}

    async def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            ApiError: 401, neither a session nor a key that this server takes; 429, as `Service.admit`.
        """
        token = bearer(request.headers.get("Authorization"))
        if not self._service.keys or token is not None:
            return await self._service.admit(token, request)
        cookie = request.cookies.get(_name(request), "")
        for sessions in self._of_key.values():
            if cookie in sessions:
                sessions.move_to_end(cookie)
                return sessions[cookie]
        raise ApiError(401, "this server needs a key", kind="authentication_error", code="invalid_api_key")

    async def begin(self, key: str, request: Request, response: Response) -> None:
        """Begin a session for this key; it counts as a question.

        Raises:
            ApiError: 401, it is wrong; 429, it has asked as often as it may, or as `Service.admit`.
        """
        known, cookie = await self._service.admit(key, request), secrets.token_urlsafe(32)
        self._service.rates.count(known.who)
        sessions = self._of_key.setdefault(known.who, OrderedDict())
        sessions[cookie] = known
        while len(sessions) > MOST:
            sessions.popitem(last=False)
        secure = request.scope["scheme"] == "https"
        response.set_cookie(_name(request), cookie, httponly=True, samesite="strict", secure=secure)


def _name(request: Request) -> str:
    """The cookie's name: a browser sends the cookies of all ports of a host to each of them."""
    port = request.headers.get("Host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if port.isascii() and port.isdecimal() else COOKIE
