"""Before a server answers: its address, and its model loaded."""

from __future__ import annotations

import socket
import sys

from multiplex.errors import UsageError
from multiplex.llm.spec import ModelSpec, api_key

BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at this address.

    Raises:
        UsageError: there is no such address here, or it is in use.
    """
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"--host {host} --port {port}: {said}; choose others") from error
    sock.setblocking(False)
    return sock


def address(sock: socket.socket) -> str:
    """Where a socket listens, as an http:// URL without a path."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def prepare(spec: ModelSpec) -> None:
    """Have a model's key at hand, or the embedded model loaded, before the first question.

    Raises:
        UsageError: the key's environment variable is not set.
        WeightsError: the embedded model cannot be had.
    """
    if not spec.local:
        api_key(spec)
        return
    from multiplex.llm.local.fetch_progress import ensure_weights
    from multiplex.llm.local.server import embedded_server

    path = ensure_weights(spec.gguf)
    print("loading the embedded model; on two cores a council takes a minute or two", file=sys.stderr, flush=True)
    embedded_server(path)
