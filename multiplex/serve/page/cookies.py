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
MOST = 1_000  # sessions; the one that was not used for longest gives way


class Sessions:
    """The callers who gave a key, by the cookie that they were given; they last as long as the server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._callers: OrderedDict[str, Caller] = OrderedDict()

    def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            ApiError: 401, neither a session nor a key that this server takes.
        """
        token = bearer(request.headers.get("Authorization"))
        if not self._service.keys or token is not None:
            return self._known(token)
        found = self._callers.get(cookie := request.cookies.get(COOKIE, ""))
        if found is None:
            raise ApiError(401, "this server needs a key", kind="authentication_error", code="invalid_api_key")
        self._callers.move_to_end(cookie)
        return found

    def begin(self, key: str, request: Request, response: Response) -> None:
        """Begin a session for this key.

        Raises:
            ApiError: 401, it is wrong.
        """
        known, cookie = self._known(key), secrets.token_urlsafe(32)
        self._callers[cookie] = known
        while len(self._callers) > MOST:
            self._callers.popitem(last=False)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure)

    def _known(self, token: str | None) -> Caller:
        known = self._service.caller(token)
        if known is None:
            raise ApiError(401, "wrong key", kind="authentication_error", code="invalid_api_key")
        return known
