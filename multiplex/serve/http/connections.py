"""How much of a server a connection may take before its request is whole: bytes, seconds, and places.

uvicorn bounds none of these. A connection is *waiting* until a whole request has arrived, and again once it has been
answered; where there is no place for another, the one that waited longest makes room.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from asyncio import TimerHandle
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from multiplex.serve.http.tally import EventTally

if TYPE_CHECKING:
    import uvicorn

HEAD = 32_768  # bytes of a request's line and headers
HEAD_TIME = 10.0  # seconds that they have to arrive, from the connection or their first byte on
WHOLE_TIME = 35.0  # seconds that the rest has; the application itself refuses what is not there after 30
WIRE = 8  # bytes on the wire for a byte of a body that is sent in chunks, at most
UNREAD = 90.0  # seconds that a reader may take nothing of what is sent
LINGER = 2.0  # seconds that a refused client has to read why
SLICE = 65_536  # bytes given to the parser at once
_REFUSED = {
    "headers_too_large": (431, f"the request's headers are too large: this server takes {HEAD:,} bytes"),
    "headers_too_slow": (408, f"the request's headers did not arrive within {HEAD_TIME:g} s"),
    "too_many_connections": (503, "this server has as many connections as it takes; try again soon"),
    "too_many_connections_of_a_peer": (503, "your address has as many connections as this server gives it"),
}
_PHRASES = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


class Connections:
    """The open connections of one server.

    Args:
        most: how many there may be; one peer has at most half of them.
        body: bytes of a request's body, as the application bounds them.
        refused: told the reason of each connection that is refused or cut, for the metrics.
    """

    def __init__(self, most: int, body: int, refused: Callable[[str], None] = lambda _: None) -> None:
        self.most, self.of_peer, self.wire = most, max(1, most // 2), WIRE * body + HEAD
        self.tally = EventTally("connection refused", refused)
        self._peers: dict[GuardedProtocol, str] = {}
        self._waiting: OrderedDict[GuardedProtocol, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._peers)

    def enter(self, connection: GuardedProtocol, peer: str) -> str | None:
        """Give a connection its place, another's if need be; the reason where there is none."""
        if sum(each == peer for each in self._peers.values()) >= self.of_peer:
            oldest = next((each for each in self._waiting if self._peers[each] == peer), None)
            reason = "too_many_connections_of_a_peer"
        elif len(self._peers) >= self.most:
            oldest, reason = next(iter(self._waiting), None), "too_many_connections"
        else:
            self._peers[connection] = peer
            self.wait(connection)
            return None
        if oldest is None:
            return reason
        oldest.cut("idle_gave_way")
        self.leave(oldest)
        self._peers[connection] = peer
        self.wait(connection)
        return None

    def wait(self, connection: GuardedProtocol) -> None:
        """Note that a connection has no whole request under way."""
        if connection in self._peers:
            self._waiting[connection] = None

    def answer(self, connection: GuardedProtocol) -> None:
        """Note that a connection's request is whole."""
        self._waiting.pop(connection, None)

    def leave(self, connection: GuardedProtocol) -> None:
        """Give its place back."""
        self._peers.pop(connection, None)
        self._waiting.pop(connection, None)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol within the bounds above; a request may cut its connection: `scope["state"]["abort"]`."""

    places: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a place, or refuse."""
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, "abort": lambda: cut(transport)}
        self.peer = peer_name(self.client[0] if self.client else "")
        self._refused, self._in_body, self._taken = False, False, 0
        self._arrival: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        if (reason := self.places.enter(self, self.peer)) is not None:
            self._refuse(reason)
        else:
            self._allow(HEAD_TIME)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.places.leave(self)
        self._allow(None)
        self._stop_watching_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as it stays within the bounds."""
        for start in range(0, len(data), SLICE):
            if self._refused or self.transport.is_closing():
                return
            if self._arrival is None:
                self._allow(HEAD_TIME)
            piece = data[start : start + SLICE]
            self._taken += len(piece)
            super().data_received(piece)
            if not self._in_body and self._taken > HEAD:
                self._refuse("headers_too_large")
            elif self._in_body and self._taken > self.places.wire:
                self._give_up()

    def on_headers_complete(self) -> None:
        """Its headers are whole; now the body's time runs."""
        self._in_body, self._taken = True, 0
        self._allow(WHOLE_TIME)
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those that follow a body are nobody's."""
        if not self._in_body:
            super().on_header(name, value)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body, self._taken = False, 0
        self._allow(None)
        if not self.cycle.response_complete:
            self.places.answer(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It has been answered."""
        super().on_response_complete()
        if not self._answering():
            self.places.wait(self)

    def pause_writing(self) -> None:
        """The reader lags."""
        super().pause_writing()
        self._stop_watching_reader()
        self._unread = self.loop.call_later(UNREAD, self.cut, "nothing_read")

    def resume_writing(self) -> None:
        """The reader has caught up."""
        self._stop_watching_reader()
        super().resume_writing()

    def cut(self, reason: str) -> None:
        """End the connection at once."""
        self.places.tally.count(reason, self.peer)
        cut(self.transport)

    def _refuse(self, reason: str) -> None:
        """Say why, and take nothing more."""
        self._allow(None)
        if self._answering():
            self.cut(reason)
            return
        self.places.tally.count(reason, self.peer)
        status, said = _REFUSED[reason]
        error = {"message": said, "type": "invalid_request_error", "param": None, "code": reason}
        body = json.dumps({"error": error}).encode()
        head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, _PHRASES[status], len(body)) + body)
        self._end()

    def _give_up(self) -> None:
        """Read no further in a body that is longer than any request's."""
        if self._answering():
            self.cut("request_too_large")
        else:  # it has been refused, and its client may not know yet
            self.places.tally.count("request_too_large", self.peer)
            self._end()

    def _end(self) -> None:
        """Send what is written, read nothing more, and end."""
        self._refused = True
        self.flow.pause_reading()
        with suppress(OSError, RuntimeError):  # the client may be gone
            self.transport.write_eof()
        self.loop.call_later(LINGER, cut, self.transport)

    def _allow(self, seconds: float | None) -> None:
        """Begin the time that what is awaited has; None: nothing is."""
        if self._arrival is not None:
            self._arrival.cancel()
        self._arrival = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        if self.flow.read_paused or (not self._in_body and self._answering()):  # what we do not read is not late
            self._allow(HEAD_TIME)
        elif self._in_body:
            self.cut("request_too_slow")
        elif self._taken:
            self._refuse("headers_too_slow")
        else:
            self.cut("idle")

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _stop_watching_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
        self._unread = None


def guard(config: uvicorn.Config, places: Connections) -> None:
    """Have a server's connections bounded."""
    config.load()
    config.http_protocol_class = type("Guarded", (GuardedProtocol,), {"places": places})


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once: what the kernel holds for a reader that reads nothing is dropped and not sent on."""
    if (connection := transport.get_extra_info("socket")) is not None:
        with suppress(OSError, ValueError):  # it may be closed
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def peer_name(host: str) -> str:
    """Who is at an address, as far as limits go: an IPv6 network of 64 bits is one peer."""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:64]  # what a proxy says
    if address.version == 4 or address.ipv4_mapped is not None:
        return host.removeprefix("::ffff:")
    return str(ip_network((address, 64), strict=False))


def affordable(wanted: int) -> int:
    """How many connections this process can hold: half of its file descriptors are for models and databases."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = 4 * wanted + 256
    if soft != resource.RLIM_INFINITY and soft < aim:
        soft = aim if hard == resource.RLIM_INFINITY else min(aim, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft // 2))
