"""A server that is told to stop finishes what it does, or says why it does not."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.backend import Backend, Say
from tests.serve.luck import ANSWER, bugs, council, events, post, question, raw, replied, said, thinking, until
from tests.serve.server import Served, serving

SOON = "import multiplex.serve.server as it; it.AFTERWARDS = 1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_answer_under_way_is_finished(backend: Backend, number: signal.Signals) -> None:
    backend.script = thinking(1.5)
    with serving(backend) as served, ThreadPoolExecutor(2) as pool:
        streamed, whole = pool.submit(served.chat, stream=True), pool.submit(served.chat)
        until(lambda: len(backend.requests) == 14, "both councils at work")
        assert served.stop(number) == 0
        came = events(streamed.result().text)
        assert said(came) == ANSWER
        assert came[-1] == "[DONE]"
        assert whole.result().json()["choices"][0]["message"]["content"] == ANSWER
        assert [line["under_way"] for line in served.logs if line["event"] == "stopping"] == [2]
        assert bugs(served) == []
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{served.url}/healthz")


def test_an_answer_that_takes_too_long_is_ended_with_the_reason(backend: Backend) -> None:
    backend.script = thinking(60)
    with serving(backend, "--grace", "1") as served, ThreadPoolExecutor(2) as pool:
        streamed, whole = pool.submit(served.chat, stream=True), pool.submit(served.chat)
        until(lambda: len(backend.requests) == 14, "both councils at work")
        assert served.stop() == 0
        error = events(streamed.result().text)[-1]["error"]
        assert "the server was told to stop" in error["message"]
        assert error["code"] == "server_stopping"
        assert whole.result().status_code == 503
        assert whole.result().json()["error"] == error
        assert bugs(served) == []
    until(lambda: backend.left == 14, "all calls cut off")


def test_a_reader_that_reads_nothing_does_not_keep_it_from_stopping(backend: Backend) -> None:
    flood = " ".join(["x" * 100_000] * 100)
    backend.script = lambda body, n: Say(flood)
    with serving(backend, "--grace", "0", before=SOON) as served:
        with raw(served, post(question(model="uniplex", stream=True)), room=4_096):
            until(lambda: len(backend.times) == 1, "the answer made")
            assert served.stop() == 0
        assert [line for line in bugs(served) if "a bug" in line["event"]] == []


def test_idle_connections_and_half_sent_requests_do_not_keep_it_from_stopping(backend: Backend) -> None:
    with serving(backend, "--grace", "0", before=SOON) as served, httpx.Client() as client:
        assert client.get(f"{served.url}/healthz").status_code == 200
        with raw(served, b""), raw(served, b"POST /v1/chat"), raw(served, post(b"{", length=10)):
            assert served.stop() == 0


def test_what_is_remembered_is_closed_with_care(backend: Backend, tmp_path: Path) -> None:
    backend.script = council
    memory = tmp_path / "memory.sqlite"
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving(backend, "--memory", str(memory)) as served:
            assert served.chat(metadata={"thread_id": "one"}).status_code == 200
            assert served.stop(number) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["memory.sqlite"]  # no journal is left behind


def test_a_second_interrupt_stops_at_once(backend: Backend) -> None:
    backend.script = thinking(60)
    with serving(backend) as served, raw(served, post(question(stream=True))) as connection:
        until(lambda: len(backend.requests) == 7, "a council at work")
        served.process.send_signal(signal.SIGINT)
        until(lambda: any(line["event"] == "stopping" for line in served.logs), "the server stops")
        served.stop(signal.SIGINT)
        text = connection.makefile("rb").read().decode()
    assert "[DONE]" not in text


def test_a_question_whose_end_comes_when_all_were_ended_is_not_asked(backend: Backend) -> None:
    with serving(backend, "--grace", "0") as served:
        whole = post(question(model="uniplex"))
        with raw(served, whole[:-5]) as connection:
            assert httpx.get(f"{served.url}/healthz").status_code == 200  # what was sent before has been read
            served.process.send_signal(signal.SIGTERM)
            until(lambda: any(line["event"] == "stopping" for line in served.logs), "the server stops")
            until(lambda: not reachable(served), "it takes no more")
            connection.sendall(whole[-5:])
            status, text = replied(connection)
        assert (status, json.loads(text)["error"]["code"]) == (503, "server_stopping")
        assert backend.requests == []


def reachable(served: Served) -> bool:
    try:
        return httpx.get(f"{served.url}/healthz").is_success
    except httpx.TransportError:
        return False


def test_a_new_question_while_it_stops_is_not_taken(backend: Backend) -> None:
    backend.script = thinking(2)
    with serving(backend) as served, ThreadPoolExecutor(1) as pool:
        first = pool.submit(served.chat)
        until(lambda: len(backend.requests) == 7, "a council at work")
        served.process.send_signal(signal.SIGTERM)
        until(lambda: any(line["event"] == "stopping" for line in served.logs), "the server stops")
        with pytest.raises(httpx.ConnectError):
            served.chat()
        assert first.result().status_code == 200
