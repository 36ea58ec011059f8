"""A real OpenAI-compatible server on loopback, scripted by the test: replies, latency, failures, cut connections."""

from __future__ import annotations

import json
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import reserved_port

Body = dict[str, Any]
_NONCE = re.compile(r" [0-9a-f]{12}(?=>)|(?<=that bear the code )[0-9a-f]{12}")


@dataclass(frozen=True)
class Say:
    """One scripted reply. A `status` other than 200 sends `error`; `cut_after` pieces the connection breaks.

    `more` are further fields of the message, `logprobs` those of its choice. `delay` seconds go by before it, and
    `pace` before each piece of a stream.
    """

    text: str = "Elders are heard first. Care is shared by all kin."
    status: int = 200
    error: Body | str = field(default_factory=lambda: {"message": "scripted failure", "type": "test"})
    headers: dict[str, str] = field(default_factory=dict)
    finish: str = "stop"
    more: Body = field(default_factory=dict)
    logprobs: Body | None = None
    usage: bool = True
    delay: float = 0.0
    pace: float = 0.0
    cut_after: int | None = None
    broken_event: bool = False


Script = Callable[[Body, int], Say]


def _always(_: Body, __: int) -> Say:
    return Say()


@dataclass
class Backend:
    """The running server: where it is, what it was asked and when, and the script that answers.

    `left` counts the calls whose caller hung up before the reply was whole.
    """

    url: str
    script: Script = _always
    requests: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[tuple[float, float]] = field(default_factory=list)
    left: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def system_prompts(self) -> list[str]:
        return ["".join(m["content"] for m in r["messages"] if m["role"] == "system") for r in self.requests]


def asked(body: Body) -> str:
    """All text of a request's messages, the marks round material without their nonce."""
    return _NONCE.sub("", "\n".join(str(message["content"]) for message in body["messages"]))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend: Backend

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send(200, "application/json", b'{"object": "list", "data": []}', {})

    def do_POST(self) -> None:
        began = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.backend.lock:
            number = len(self.backend.requests)
            self.backend.requests.append(body)
            self.backend.headers.append({name.lower(): value for name, value in self.headers.items()})
        say = self.backend.script(body, number)
        try:
            self._wait(say.delay)
            self._answer(body, say)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            with self.backend.lock:
                self.backend.left += 1
        with self.backend.lock:
            self.backend.times.append((began, time.monotonic()))

    def _wait(self, seconds: float) -> None:
        """Let time go by, unless the caller hangs up."""
        word = select.poll()
        word.register(self.connection, select.POLLIN)
        if seconds and word.poll(seconds * 1000):  # a caller says no more before it has its reply
            raise ConnectionResetError

    def _answer(self, body: Body, say: Say) -> None:
        if say.status != 200:
            error = say.error if isinstance(say.error, str) else json.dumps({"error": say.error})
            self._send(say.status, "application/json", error.encode(), say.headers)
            return
        if not body.get("stream"):
            self._whole(body, say)
            return
        pieces = [word + " " for word in say.text.split(" ")] if say.text else []
        if pieces:
            pieces[-1] = pieces[-1][:-1]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i, piece in enumerate(pieces):
            if say.cut_after is not None and i >= say.cut_after:
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self._wait(say.pace)
            chunk = _chunk(body, {"role": "assistant", "content": piece})
            chunk["choices"][0]["logprobs"] = say.logprobs
            self._event(chunk)
        if say.more:
            self._event(_chunk(body, say.more))
        if say.broken_event:
            self._event({"error": {"message": "the backend died", "type": "server_error"}})
        self._event(_chunk(body, {}, finish=say.finish))
        if say.usage and (body.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": len(asked(body).split()), "completion_tokens": len(pieces)}
            usage["total_tokens"] = sum(usage.values())
            self._event({**_chunk(body, {}), "choices": [], "usage": usage})
        self._raw(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _whole(self, body: Body, say: Say) -> None:
        """The reply in one piece; one that breaks off or fails in the middle does so before its end."""
        if say.broken_event:
            data = json.dumps({"error": {"message": "the backend died", "type": "server_error"}}).encode()
        else:
            message = {"role": "assistant", "content": say.text, **say.more}
            choice = {"index": 0, "message": message, "finish_reason": say.finish, "logprobs": say.logprobs}
            made = len(say.text.split(" ")) if say.text else 0
            usage = {"prompt_tokens": len(asked(body).split()), "completion_tokens": made}
            usage["total_tokens"] = sum(usage.values())
            reply = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
            data = json.dumps({**reply, **({"usage": usage} if say.usage else {})}).encode()
        if say.cut_after is not None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self._send(200, "application/json", data, say.headers)

    def _event(self, event: Body) -> None:
        self._raw(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _raw(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, kind: str, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _chunk(body: Body, delta: Body, finish: str | None = None) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": body["model"], "choices": [choice]}


class Crowd:
    """Calls that a script holds until `size` of them have come; `most` is how many were under way at once."""

    def __init__(self, size: int) -> None:
        self._together, self._lock = threading.Barrier(size, timeout=60), threading.Lock()
        self._under_way = self.most = 0

    def meet(self) -> None:
        """Called in a script, before its reply leaves, so that no caller can be quicker than the count."""
        with self._lock:
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        self._together.wait()  # raises where the others never come
        with self._lock:
            self._under_way -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


@contextmanager
def running(port: int = 0) -> Iterator[Backend]:
    """A backend on this or a free loopback port, gone when the block ends; the port may be a reserved one."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", port), handler)
    backend = Backend(f"http://127.0.0.1:{server.server_port}")
    handler.backend = backend
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield backend
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def away() -> Iterator[Backend]:
    """A backend at whose address nothing listens; `running` on its port brings it there."""
    with reserved_port() as port:
        yield Backend(f"http://127.0.0.1:{port}")
