"""The client of an endpoint: its address and headers, its proxies, certificates, and how far it follows redirects."""

from __future__ import annotations

import os
from base64 import b64encode
from functools import cache
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from multiplex.errors import CallError, UsageError

if TYPE_CHECKING:
    import ssl

    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

MOST_CONNECTIONS = 10_000  # at once: how many there are is the limiter's to say
MOST_ERROR_BYTES = 100_000  # of the body of an error
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_OPENAI = "https://api.openai.com/v1"


def api_client(base_url: str | None, secret: str, timeout: float) -> AsyncOpenAI:
    """A client that makes each request once, to an endpoint (None: OpenAI), with a key (empty: none).

    A query of the address goes with every request, and a user and password in it in place of the key. Headers that
    OPENAI_CUSTOM_HEADERS names, among which may be keys, OPENAI_ORG_ID and OPENAI_PROJECT_ID go to OpenAI, or where
    OPENAI_BASE_URL has its models called, and nowhere else.

    Raises:
        UsageError: as `http_client`.
    """
    from openai import AsyncOpenAI

    key = secret or "none"  # the client wants one even where nothing is sent
    parts = urlsplit(base_url or _OPENAI)
    openais = base_url in (None, openai_address())
    headers: dict[str, Any] = {} if openais else _without_openais(key)
    if parts.username is not None:
        headers["Authorization"] = _login(parts)
    client = http_client(base_url, timeout)
    if not openais and not secret and parts.username is None:
        client.event_hooks = {**client.event_hooks, "request": [_leave_key_out]}
    return AsyncOpenAI(
        base_url=parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl(),
        default_query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        api_key=key,
        default_headers=headers,
        max_retries=0,
        timeout=None,
        http_client=client,
    )


async def _leave_key_out(request: Any) -> None:
    """An endpoint that asks for no key may refuse one that it does not know."""
    request.headers.pop("authorization", None)


def openai_address() -> str | None:
    """Where OPENAI_BASE_URL has OpenAI's models called; None at OpenAI itself."""
    address = os.environ.get("OPENAI_BASE_URL", "").strip()
    return None if address.rstrip("/") in ("", _OPENAI) else address


def _without_openais(key: str) -> dict[str, Any]:
    """Headers of an endpoint other than OpenAI: none that the environment has OpenAI's client send."""
    from openai import Omit

    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    names = {name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon}
    ours = {"OpenAI-Organization", "OpenAI-Project", *(name for name in names if name.lower() != "authorization")}
    return {**dict.fromkeys(ours, Omit()), "Authorization": f"Bearer {key}"}


def _login(parts: SplitResult) -> str:
    """The header for the user and the password that an address names."""
    pair = ":".join(unquote(part or "") for part in (parts.username, parts.password))
    return f"Basic {b64encode(pair.encode()).decode()}"


def http_client(base_url: str | None, timeout: float) -> DefaultAsyncHttpxClient:
    """An HTTP client for an endpoint (None: OpenAI) that waits `timeout` seconds for a connection.

    aiohttp, whose parser is compiled, carries the requests; behind a proxy httpx does, which knows SOCKS too. How long
    a reply may take is the reader's to say. An endpoint on this machine is asked directly, whatever proxy the
    environment names. Redirects are followed on the same host only.

    Raises:
        UsageError: a variable of the environment names a proxy or certificates that cannot be used.
    """
    from openai import DefaultAioHttpClient, DefaultAsyncHttpxClient, Timeout

    verify = _trust(plain=base_url is not None and base_url.startswith("http://"))
    direct = is_direct(base_url)
    try:
        return (DefaultAioHttpClient if direct or not getproxies() else DefaultAsyncHttpxClient)(
            timeout=Timeout(None, connect=timeout),
            verify=verify,
            trust_env=not direct,
            limits=_library().Limits(max_connections=MOST_CONNECTIONS),
            event_hooks={"response": [_guard]},
        )
    except Exception as error:
        if (problem := _proxy_problem()) is None:
            raise
        raise UsageError(problem) from error


def is_direct(base_url: str | None) -> bool:
    """Whether an endpoint is asked past any proxy: it is on this machine, or NO_PROXY names it."""
    if base_url is None:
        return False
    host = urlsplit(base_url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost") or bool(proxy_bypass(host))
    return address.is_loopback or address.is_unspecified or bool(proxy_bypass(host))


def _proxy_problem() -> str | None:
    """What is wrong with the proxies of the environment, in one line that shows no password; None where none is set."""
    named = [(name, value) for name in os.environ if name.lower() in _PROXIES and (value := os.environ[name].strip())]
    for name, value in named:
        scheme = value.partition("://")[0].lower()
        if scheme in ("socks5", "socks5h"):
            return f"{name} names a SOCKS proxy, for which the package socksio is missing; install it, or unset {name}"
        if scheme not in ("http", "https") and "://" in value:
            return (
                f"{name} names a proxy by {scheme}://, which is not known here; write http:// or socks5://, or unset it"
            )
    names = ", ".join(name for name, _ in named)
    return f"{names}: no address of a proxy; write http://HOST:PORT, or unset it" if named else None


@cache
def _trust(*, plain: bool) -> ssl.SSLContext:
    """The certificates that an HTTP client trusts; to read them costs every client as much as ten requests.

    For an endpoint asked without TLS (`plain`) they do not matter, and one that redirects to TLS is trusted only where
    they can be read.

    Raises:
        UsageError: they cannot be read.
    """
    import ssl

    try:
        context: ssl.SSLContext = _library().create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        if plain:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        name = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
        what = f"{name} names {os.environ[name]}" if name else "the certificates of this system"
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{what}, which cannot be read ({said}); correct it or unset it") from error
    return context


async def _guard(response: Any) -> None:
    """Refuse a redirect to another host, or one that a question does not survive, and bound what is read of an error.

    Raises:
        CallError: the endpoint sends the question, and the key, elsewhere, or would have it asked for with GET.
    """
    if response.has_redirect_location:
        here, there = response.request.url, response.request.url.join(response.headers["location"])
        if here.host != there.host or (here.scheme == "https" and there.scheme != "https"):
            where = f"{there.scheme}://{there.host}"
            raise CallError("bad_request", f"it redirects to another address, {where}, which is not followed")
        if response.status_code in (301, 302, 303) and response.request.method == "POST":
            where = str(there.copy_with(query=None, userinfo=b"")).removesuffix("/chat/completions")
            raise CallError("bad_request", f"{response.status_code}, moved to {where}; name that as --base-url")
    elif response.status_code >= 400:
        stream, body = response.stream, b""
        async for chunk in stream:
            body += chunk
            if len(body) > MOST_ERROR_BYTES:
                break
        await stream.aclose()
        response.stream = _library().ByteStream(body[:MOST_ERROR_BYTES])


def _library() -> Any:
    """The HTTP library that OpenAI's client uses."""
    from openai import DefaultAsyncHttpxClient

    return import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
