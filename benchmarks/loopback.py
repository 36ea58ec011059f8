"""A fast OpenAI-compatible server on loopback, in a process of its own, so that the client is what a benchmark times.

    python benchmarks/loopback.py --delay 0.2 --words 150

prints its address and answers every chat completion after `delay` seconds with the same words, streamed (one event a
word) or whole, as the request asks; a whole reply has log probabilities where those are asked for. `GET /stats` tells
what it saw, `POST /reset` forgets it. Only HTTP/1.1 with a Content-Length is understood, as every client here speaks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection
from typing import IO, Any, cast

SENTENCE = "In a Japanese household the elders are heard first, and ubuntu says that care is shared by all kin."
LETTERS = [{"token": chr(65 + place), "logprob": -0.7 * (place + 1)} for place in range(20)]  # of a reply's first token


def words_of(number: int) -> str:
    """A text of this many words, in sentences."""
    sentence = SENTENCE.split()
    return " ".join(sentence[i % len(sentence)] for i in range(number))


@dataclass
class Seen:
    """What the server saw since it was last reset; times are its own monotonic clock's, in seconds."""

    calls: int = 0
    streamed: int = 0
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    first: float | None = None
    last: float | None = None
    bodies: set[int] = field(default_factory=set, repr=False)

    def told(self) -> dict[str, Any]:
        """As JSON; `distinct` is the number of different requests."""
        told = asdict(self)
        told["distinct"] = len(told.pop("bodies"))
        return told


@dataclass
class Replies:
    """The replies, built once: streamed with and without usage, and whole."""

    delay: float
    words: int
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        text = words_of(self.words)
        usage = {"prompt_tokens": 600, "completion_tokens": self.words, "total_tokens": 600 + self.words}
        head = {"id": "chatcmpl-loopback", "created": 1700000000, "model": "loopback"}
        self.whole = _whole(head, text, usage)
        self.letter = _whole(head, "A", usage, {"content": [{**LETTERS[0], "top_logprobs": LETTERS}]})
        events = [_event(head, {"role": "assistant", "content": ""})]
        events += [_event(head, {"content": f" {word}" if i else word}) for i, word in enumerate(text.split())]
        events.append(_event(head, {}, "stop"))
        spent = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
        done = b"data: [DONE]\n\n"
        self.stream = _chunked([*events, done])
        self.stream_usage = _chunked([*events, _data(spent), done])

    def to(self, body: bytes) -> bytes:
        """The reply that a request asks for."""
        asked = json.loads(body)
        if not asked.get("stream"):
            return self.letter if asked.get("logprobs") else self.whole
        self.seen.streamed += 1
        return self.stream_usage if (asked.get("stream_options") or {}).get("include_usage") else self.stream


def _whole(head: dict[str, Any], text: str, usage: dict[str, int], logprobs: dict[str, Any] | None = None) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
    told = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return _reply("application/json", json.dumps(told).encode())


def _data(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def _event(head: dict[str, Any], delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _data({**head, "object": "chat.completion.chunk", "choices": [choice]})


def _reply(kind: str, body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunked(pieces: list[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection, which asks one thing after the other."""

    def __init__(self, replies: Replies) -> None:
        self.replies = replies
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.replies.seen.connections += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.answer(head.split(b"\r\n", 1)[0], body)

    def answer(self, request: bytes, body: bytes) -> None:
        """Reply to a chat completion after the delay, to anything else at once."""
        seen, loop = self.replies.seen, asyncio.get_running_loop()
        if b"/stats" in request:
            self.transport.write(_reply("application/json", json.dumps(seen.told()).encode()))
        elif b"/reset" in request:
            self.replies.seen = Seen()
            self.transport.write(_reply("application/json", b"{}"))
        elif b"/chat/completions" in request:
            seen.calls += 1
            seen.in_flight += 1
            seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
            seen.bodies.add(hash(body))
            seen.first = seen.first or time.monotonic()
            loop.call_later(self.replies.delay, self.finish, seen, self.replies.to(body))
        else:
            self.transport.write(_reply("application/json", b'{"error": {"message": "no such page"}}', "404 Not Found"))

    def finish(self, seen: Seen, reply: bytes) -> None:
        """Send a reply whole, in one write."""
        seen.in_flight -= 1
        seen.last = time.monotonic()
        if not self.transport.is_closing():
            self.transport.write(reply)


@dataclass(frozen=True)
class Loopback:
    """A running server, as the benchmark that started it sees it."""

    url: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def stats(self) -> dict[str, Any]:
        """What it saw since the last reset."""
        return self._asked("GET", "/stats")

    def reset(self) -> None:
        """Forget what was seen."""
        self._asked("POST", "/reset")

    def _asked(self, method: str, path: str) -> dict[str, Any]:
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, path)
            told: dict[str, Any] = json.load(connection.getresponse())
        finally:
            connection.close()
        return told


@contextmanager
def serving(delay: float = 0.2, words: int = 150) -> Iterator[Loopback]:
    """A server in a process of its own, gone when the block ends."""
    command = [sys.executable, __file__, "--delay", str(delay), "--words", str(words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Loopback(cast(IO[str], process.stdout).readline().strip())
        finally:
            process.terminate()


async def serve(delay: float, words: int, port: int) -> None:
    """Print the address and serve until the process is ended."""
    replies = Replies(delay, words)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(replies), "127.0.0.1", port, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the flags and serve."""
    flags = argparse.ArgumentParser(description="An OpenAI-compatible server on loopback")
    flags.add_argument("--delay", type=float, default=0.2, help="seconds before a reply")
    flags.add_argument("--words", type=int, default=150, help="words of a reply")
    flags.add_argument("--port", type=int, default=0, help="0: any that is free")
    given = flags.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(given.delay, given.words, given.port))


if __name__ == "__main__":
    main()
