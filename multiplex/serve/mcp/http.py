"""An MCP server over streamable HTTP: where it listens, who may call it, and from where."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from multiplex.serve.http.keys import Keys, Strangers, is_loopback

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken
    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"
BODY_LIMIT = 1_000_000  # bytes of one request
GRACE = 5  # seconds that running calls have when the server is told to stop


def serve_http(server: Server[dict[str, Any]], keys: Keys, host: str, port: int, model: str) -> int:
    """Serve over streamable HTTP at /mcp until a signal comes; `model` is named where the address is told.

    Raises:
        UsageError: nobody can listen at that address.
    """
    import uvicorn

    from multiplex.serve.http.connections import Connections, affordable, guard
    from multiplex.serve.http.logs import configure
    from multiplex.serve.http.sockets import address, listening
    from multiplex.serve.options import Limits

    listener = listening(host, port)
    configure()
    config = uvicorn.Config(
        http_app(server, keys, host),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    guard(config, Connections(affordable(Limits().connections), BODY_LIMIT))
    print(f"multiplex mcp: {model} at {address(listener)}{PATH}", file=sys.stderr, flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn passes the signal on once it has stopped as it should
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    return 0


def http_app(server: Server[dict[str, Any]], keys: Keys, host: str) -> ASGIApp:
    """The server over streamable HTTP: bearer keys where there are any, and no pages of other origins."""
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.transport_security import TransportSecuritySettings
    from pydantic import AnyHttpUrl

    names = ("127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host and "[" not in host else host)
    here = is_loopback(host)
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=here,
        allowed_hosts=[allowed for name in names for allowed in (name, f"{name}:*")],
        allowed_origins=[f"http://{name}{port}" for name in names for port in ("", ":*")],
    )
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=BODY_LIMIT,
        transport_security=security,
        host=host,
        auth=AuthSettings(issuer_url=AnyHttpUrl("http://localhost"), resource_server_url=None) if keys else None,
        token_verifier=_Verifier(keys) if keys else None,
    )
    return app if here else _without_pages(app)


class _Verifier:
    """Lets the SDK ask our keys. A session belongs to the key that opened it."""

    def __init__(self, keys: Keys) -> None:
        self._keys, self._strangers = keys, Strangers(lambda _: None)

    async def verify_token(self, token: str) -> AccessToken | None:
        from mcp.server.auth.provider import AccessToken

        if (who := self._keys.authenticate(token)) is None:
            await self._strangers.delay("")  # the SDK does not say whose it is
        return AccessToken(token=who, client_id=who, scopes=[]) if who is not None else None  # never the key itself


def _without_pages(app: ASGIApp) -> ASGIApp:
    """Refuse what a web page sends: where any host name may be right, only its Origin tells a rebound name."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import PlainTextResponse

        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            await PlainTextResponse("no web page may call this server", 403)(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded
