"""A loopback port of one's own, also while nothing listens on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that the system gives to nobody else until the block ends.

    Whoever connects is refused, until a server that is told this port listens there, as often as it likes: servers set
    SO_REUSEADDR, and a bound socket with that option that does not listen is not in their way.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
