"""What a connection may take before its request is whole: bytes of headers, seconds, and places."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from multiplex.serve.http.connections import peer_name
from tests.backend import Backend
from tests.serve.luck import council, drain, metric, question, raw, replied, until
from tests.serve.server import Served, serving

SOON = "import multiplex.serve.http.connections as c; c.HEAD_TIME = 0.5; c.WHOLE_TIME = 1.0"
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"
START = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def hasty(_house: object) -> Iterator[Served]:
    """A server that waits half a second for headers and takes eight connections of one address."""
    with serving(_house.backend, "--max-connections", "16", before=SOON) as served:  # type: ignore[attr-defined]
        yield served


def refused(served: Served, reason: str) -> float:
    return metric(served, f'multiplex_connections_refused_total{{reason="{reason}"}}')


@pytest.mark.parametrize(
    "head", [START + b"X: " + b"x" * 40_000, START + b"X: y\r\n" * 7_000, b"GET /" + b"x" * 40_000]
)
def test_headers_over_the_limit_are_refused_before_they_end(hasty: Served, head: bytes) -> None:
    before = refused(hasty, "headers_too_large")
    status, text = replied(raw(hasty, head))
    assert status == 431
    assert "32,768 bytes" in text
    assert refused(hasty, "headers_too_large") == before + 1


def test_endless_headers_hold_nobody_up(hasty: Served) -> None:
    done, taken = threading.Event(), [0]

    def pour() -> None:
        while not done.is_set():
            taken.append(0)
            with suppress(OSError), raw(hasty, START + b"X: ") as connection:
                for _ in range(1_600):  # 100 MB
                    connection.sendall(b"x" * 65_536)
                    taken[-1] += 1

    thread = threading.Thread(target=pour)
    thread.start()
    with httpx.Client(timeout=60) as client:
        while len(taken) < 6:
            assert client.get(f"{hasty.url}/healthz", headers={"Connection": "close"}).status_code == 200
    done.set()
    thread.join()
    assert max(taken) < 800  # what the buffers of two sockets hold, and no more


def test_a_connection_that_says_nothing_is_closed_and_one_that_begins_is_told(hasty: Served) -> None:
    for sent, told in ((b"", b""), (b"\r\n", b"HTTP/1.1 408 "), (START, b"HTTP/1.1 408 ")):
        with raw(hasty, sent) as connection:
            assert drain(connection)[:13] == told
    with raw(hasty, START + b"\r\n") as answered:
        assert answered.recv(12) == b"HTTP/1.1 200"
        answered.sendall(START)
        assert b"HTTP/1.1 408 " in drain(answered)


def test_a_body_that_goes_on_after_its_answer_is_cut(hasty: Served) -> None:
    cut = False
    with raw(hasty, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"
        try:
            for _ in range(8_000):
                connection.sendall(b"x")
                time.sleep(0.01)
        except ConnectionError:
            cut = True
    assert cut


def test_many_idle_connections_give_way_to_the_next_client(backend: Backend) -> None:
    with serving(backend, before=FEW_FILES) as served, ExitStack() as held:
        for _ in range(300):
            held.enter_context(raw(served, b""))
        assert httpx.get(f"{served.url}/healthz", timeout=60).status_code == 200
        assert refused(served, "idle_gave_way") > 200
        lines = [line for line in served.logs if line["event"] == "connection refused"]
        assert [line["reason"] for line in lines] == ["idle_gave_way"]


def test_connections_with_a_question_under_way_do_not_give_way(backend: Backend) -> None:
    waiting = threading.Event()

    def script(body: dict[str, object], number: int) -> object:
        waiting.wait(30)
        return council(body, number)

    backend.script = script  # type: ignore[assignment]
    with serving(backend, "--max-connections", "4") as served:
        asked = question(model="uniplex")
        head = START.replace(b"GET /v1/models", b"POST /v1/chat/completions")
        head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(asked)
        asking = [raw(served, head + asked) for _ in range(2)]
        until(lambda: len(backend.requests) == 2, "two questions under way")
        status, text = replied(raw(served, b""))
        assert status == 503
        assert "your address" in text
        waiting.set()
        assert [replied(each)[0] for each in asking] == [200, 200]


def test_an_ipv6_network_is_one_peer() -> None:
    assert peer_name("2001:db8::1") == peer_name("2001:db8::2") == "2001:db8::/64"
    assert peer_name("::ffff:192.0.2.1") == peer_name("192.0.2.1") == "192.0.2.1"
    assert peer_name("") == ""


def test_pipelined_requests_are_all_answered(hasty: Served) -> None:
    with raw(hasty, START + b"\r\n" + START + b"Connection: close\r\n\r\n") as connection:
        assert drain(connection).count(b"HTTP/1.1 200 OK") == 2


def test_a_reader_that_left_gives_its_place_back(hasty: Served) -> None:
    for _ in range(40):
        connection: socket.socket = raw(hasty, b"")
        connection.close()
    until(lambda: metric(hasty, "multiplex_connections ") <= 2, "the places free again")
