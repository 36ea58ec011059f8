"""What the tests of bad input and bad luck have in common: requests on the wire, and waiting for what follows."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from tests.backend import Body, Say, asked
from tests.serve.server import Served

QUESTION = "What do we owe the dead?"
ANSWER = "Ubuntu shares the care. Zakat gives it an order."


def is_synthesis(body: Body) -> bool:
    """Whether a call to the backend asks for the synthesis."""
    return '<voice tradition="' in asked(body)


def council(body: Body, _: int) -> Say:
    """Voices that speak at once, and a synthesis of two sentences."""
    return Say(ANSWER) if is_synthesis(body) else Say("Koreans greet elders first.")


def thinking(seconds: float) -> Callable[[Body, int], Say]:
    """A script whose voices take this long."""
    return lambda body, _: Say(ANSWER) if is_synthesis(body) else Say("Kin first.", delay=seconds)


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


def raw(served: Served, data: bytes, *, room: int | None = None) -> socket.socket:
    """A connection over which these bytes were sent; `room` bytes of what comes back fit on this side."""
    url = httpx.URL(served.url)
    connection = socket.socket()
    connection.settimeout(30)
    if room is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    connection.connect((url.host, url.port))
    connection.sendall(data)
    return connection


def post(body: bytes, *, length: int | None = None, headers: str = "") -> bytes:
    """A request for a chat completion; `length` other than the body's own is what it claims."""
    size = len(body) if length is None else length
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{headers}"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def question(**fields: Any) -> bytes:
    """The body of a question."""
    return json.dumps({"model": "multiplex", "messages": [{"role": "user", "content": QUESTION}], **fields}).encode()


def drain(connection: socket.socket) -> bytes:
    """What comes until nothing more does, or the connection is cut."""
    came = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            came += piece
    return came


def replied(connection: socket.socket) -> tuple[int, str]:
    """Status and text of the reply, read to the end of the connection or of the reply's length."""
    with connection, connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        length = None
        while (line := file.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, file.read(-1 if length is None else length).decode()


def events(text: str) -> list[Any]:
    """The events of a stream, read; the last is "[DONE]" where it ended well."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def said(came: list[Any], key: str = "content") -> str:
    """What the chunks of a stream say under this key of their delta, put together."""
    deltas = [choice["delta"] for event in came if isinstance(event, dict) for choice in event.get("choices", ())]
    return "".join(delta.get(key) or "" for delta in deltas)


def count(served: Served, outcome: str, model: str = "multiplex") -> float:
    """How many questions ended so, as /metrics tells it."""
    return metric(served, f'multiplex_requests_total{{model="{model}",outcome="{outcome}"}}')


def metric(served: Served, name: str, key: str = "") -> float:
    """The value of a metric; 0 where nothing was counted."""
    answered = httpx.get(f"{served.url}/metrics", headers={"Authorization": f"Bearer {key}"} if key else {})
    assert answered.status_code == 200
    text = answered.text
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)), 0.0)


def idle(served: Served) -> bool:
    """Whether no question is under way."""
    return metric(served, "multiplex_councils_under_way") == 0


def bugs(served: Served) -> list[dict[str, Any]]:
    """The log lines that tell of something unforeseen."""
    return [line for line in served.logs if line["level"] in ("error", "warning", "critical")]
