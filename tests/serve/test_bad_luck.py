"""Clients that vanish, models that die, voices that are lost: each is told, none leaves anything behind."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from multiplex.llm.spec import ModelSpec
from multiplex.serve.http.keys import Keys
from multiplex.serve.options import ServeOptions
from multiplex.serve.service import opened
from tests.backend import Backend, Body, Say, asked, away, running
from tests.serve.conftest import House
from tests.serve.luck import (
    ANSWER,
    bugs,
    council,
    count,
    drain,
    events,
    idle,
    is_synthesis,
    metric,
    post,
    question,
    raw,
    said,
    thinking,
    until,
)
from tests.serve.server import Served, serving

TITLES = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")
CLIENTS = 200
LONG = 60.0  # seconds that no test waits for


def test_a_client_that_vanishes_while_the_voices_think_takes_its_calls_with_it(house: House) -> None:
    backend, served = house.backend, house.served
    backend.script, left, counted = thinking(LONG), backend.left, count(served, "left")
    connection = raw(served, post(question(stream=True)))
    until(lambda: len(backend.requests) == 7, "seven calls")
    connection.close()
    until(lambda: backend.left == left + 7, "seven calls cut off")
    until(lambda: idle(served), "the place free again")
    assert count(served, "left") == counted + 1
    assert len(backend.requests) == 7  # none was tried again
    assert bugs(served) == []


def test_a_client_that_vanishes_in_the_middle_of_the_synthesis_takes_its_call_with_it(house: House) -> None:
    backend, served = house.backend, house.served
    backend.script = lambda body, n: Say("word " * 600, pace=0.1) if is_synthesis(body) else Say()
    left, counted = backend.left, count(served, "left")
    connection = raw(served, post(question(stream=True)))
    heard = b""
    while b"word " not in heard:
        heard += connection.recv(65_536)
    connection.close()
    until(lambda: backend.left == left + 1, "the synthesis cut off")
    until(lambda: idle(served), "the place free again")
    assert count(served, "left") == counted + 1
    assert bugs(served) == []


def test_a_client_that_vanishes_before_its_whole_reply_takes_its_calls_with_it(house: House) -> None:
    backend, served = house.backend, house.served
    backend.script, left, counted = thinking(LONG), backend.left, count(served, "left")
    connection = raw(served, post(question()))
    until(lambda: len(backend.requests) == 7, "seven calls")
    connection.close()
    until(lambda: backend.left == left + 7, "seven calls cut off")
    until(lambda: idle(served), "the place free again")
    assert count(served, "left") == counted + 1
    assert bugs(served) == []


def test_a_reader_that_reads_nothing_is_given_up(backend: Backend) -> None:
    flood = " ".join(["x" * 100_000] * 60)  # more than the buffers of a connection hold
    backend.script = lambda body, n: Say(flood)
    with serving(backend, before="import multiplex.serve.http.sse as it; it.STALLED = 0.5") as served:
        with raw(served, post(question(stream=True, model="uniplex")), room=4_096) as connection:
            until(lambda: count(served, "left", "uniplex") == 1, "the reader given up")
            assert idle(served)
            assert bugs(served) == []
            assert b"[DONE]" not in drain(connection)  # the connection was cut
        assert served.chat(model="uniplex").status_code == 200


def test_a_slow_reader_loses_nothing_and_holds_nobody_up(backend: Backend) -> None:
    words = [f"word-{i}-" + "x" * 100_000 for i in range(35)]
    backend.script = lambda body, n: Say(" ".join(words)) if is_synthesis(body) else Say()
    with serving(backend) as served:
        connection = raw(served, post(question(stream=True), headers="Connection: close\r\n"), room=65_536)
        until(lambda: len(backend.times) == 8, "all calls answered before anything is read")
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        with connection, connection.makefile("rb") as file:
            text = file.read().decode()
    assert all(f"word-{i}-" in text for i in range(35))
    assert "[DONE]" in text


async def test_two_hundred_clients_at_once_all_have_their_answer(backend: Backend) -> None:
    backend.script = lambda body, n: Say(ANSWER, delay=0.05) if is_synthesis(body) else Say("Kin first.", delay=0.05)

    async def ask(client: httpx.AsyncClient, served: Served) -> list[Any]:
        reply = await client.post(f"{served.base_url}/chat/completions", content=question(stream=True))
        assert reply.status_code == 200
        return events(reply.text)

    with serving(backend) as served:
        limits = httpx.Limits(max_connections=CLIENTS)
        headers = {"Content-Type": "application/json"}
        async with httpx.AsyncClient(timeout=300, limits=limits, headers=headers) as client:
            came = await asyncio.gather(*(ask(client, served) for _ in range(CLIENTS)))
        assert count(served, "ok") == CLIENTS
        assert metric(served, 'multiplex_voices_total{outcome="lost"') == 0
        assert idle(served)
        assert bugs(served) == []
    assert {said(each) for each in came} == {ANSWER}
    assert {each[-1] for each in came} == {"[DONE]"}
    assert all(f"**{title}**" in said(each, "reasoning_content") for each in came for title in TITLES)
    assert len(backend.requests) == 8 * CLIENTS


@pytest.mark.parametrize(
    ("death", "cause"),
    [(Say(ANSWER, cut_after=3), "the connection broke"), (Say(ANSWER, broken_event=True), "the backend died")],
)
def test_a_stream_whose_model_dies_ends_with_an_error_that_names_the_cause(
    house: House, death: Say, cause: str
) -> None:
    house.backend.script = lambda body, n: death if is_synthesis(body) else Say()
    came = events(house.served.chat(stream=True).text)
    assert ANSWER.startswith(said(came).strip())  # what was said stands
    assert said(came)
    assert cause in came[-1]["error"]["message"]
    assert came[-1]["error"]["code"] == "model_server"
    assert "[DONE]" not in came
    assert idle(house.served)
    assert bugs(house.served) == []


def test_an_answer_that_cannot_be_measured_is_given_all_the_same(backend: Backend) -> None:
    with serving(backend, before="import multiplex.serve.service as it; it.measured_answer = None") as served:
        asked_for = {"metadata": {"measures": True}, "model": "uniplex"}
        message = served.chat(**asked_for).json()["choices"][0]["message"]
        came = events(served.chat(stream=True, **asked_for).text)
        assert said(came) == message["content"] == Say().text
        for told in (message["multiplex"], came[-2]["choices"][0]["delta"]["multiplex"]):
            assert told["measures"] is None
            assert told["notes"] == ["uniplex: not measured: a bug in multiplex (TypeError), please report it"]
        assert count(served, "ok", "uniplex") == 2
        assert [line["error"] for line in bugs(served)] == ["TypeError"] * 2


def test_a_bug_is_told_and_not_paid_for_again(backend: Backend) -> None:
    with serving(backend, before="import multiplex.serve.openai.completions as it; it.pieces = None") as served:
        whole = served.chat(model="uniplex")
        assert (whole.status_code, whole.headers["x-should-retry"]) == (500, "false")
        assert "a bug in multiplex (TypeError)" in whole.json()["error"]["message"]
        assert events(served.chat(model="uniplex", stream=True).text)[-1] == whole.json()
        assert count(served, "bug", "uniplex") == 2
        assert [line["error"] for line in bugs(served)] == ["TypeError"] * 2


def test_a_model_that_comes_back_gives_the_whole_answer_after_a_break(house: House) -> None:
    deaths = iter([3])

    def script(body: Body, _: int) -> Say:
        return Say(ANSWER, cut_after=next(deaths, None)) if is_synthesis(body) else Say()

    house.backend.script = script
    came = events(house.served.chat(stream=True).text)
    content = said(came)
    assert content.startswith("Ubuntu shares the ")
    assert "broke off here" in content
    assert content.endswith(ANSWER)
    assert came[-1] == "[DONE]"


def test_a_whole_reply_shows_nothing_of_an_attempt_that_broke_off(house: House) -> None:
    deaths = iter([3])
    house.backend.script = lambda body, n: Say(ANSWER, cut_after=next(deaths, None)) if is_synthesis(body) else Say()
    assert house.served.chat().json()["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize("death", [Say(ANSWER, cut_after=3), Say(status=500)], ids=["cut", "500"])
def test_a_whole_reply_without_a_synthesizer_is_the_voices_and_says_so(house: House, death: Say) -> None:
    house.backend.script = lambda body, n: death if is_synthesis(body) else Say("Koreans greet elders first.")
    message = house.served.chat().json()["choices"][0]["message"]
    assert message["content"].count("Koreans greet elders first.") == 7
    assert "the synthesizer failed" in message["content"]
    assert "the synthesizer failed" in message["multiplex"]["notes"][0]


def test_a_model_that_never_answers_is_told_by_the_time_it_had(backend: Backend) -> None:
    backend.script = lambda body, n: Say(delay=LONG)
    with serving(backend, env={"MULTIPLEX_TIMEOUT": "0.3", "MULTIPLEX_RETRIES": "0"}) as served:
        response = served.chat(model="uniplex")
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "model_timeout"
    assert "no answer within 0.3 s" in response.json()["error"]["message"]


@pytest.mark.parametrize(("model", "status", "code"), [
    ("uniplex", 502, "model_unreachable"), ("multiplex", 503, "model_unavailable"),
])  # fmt: skip
def test_a_model_that_is_away_is_told_whole_and_streamed(model: str, status: int, code: str) -> None:
    with away() as gone, serving(gone, env={"MULTIPLEX_RETRIES": "0"}) as served:
        ready = httpx.get(f"{served.url}/readyz")
        assert ready.status_code == 503
        assert f"test-model at {gone.base_url}: nothing answers there" in ready.text
        assert httpx.get(f"{served.url}/healthz").status_code == 200

        whole = served.chat(model=model)
        assert whole.status_code == status
        error = whole.json()["error"]
        assert error["code"] == code
        assert "nothing answers there" in error["message"]

        streamed = served.chat(model=model, stream=True)
        came = events(streamed.text)
        assert streamed.status_code == 200
        assert came[-1] == {"error": error}
        assert count(served, code, model) == 2
        assert bugs(served) == []


def test_readiness_comes_back_with_the_model() -> None:
    now = "import multiplex.serve.service as it; it.READY_FOR = 0.0"
    with away() as gone, serving(gone, before=now) as served:
        assert httpx.get(f"{served.url}/readyz").status_code == 503
        with running(int(gone.url.rpartition(":")[2])):
            assert httpx.get(f"{served.url}/readyz").text == "ready\n"
            assert served.chat(model="uniplex").status_code == 200


def test_however_many_ask_whether_it_is_ready_the_endpoint_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ModelSpec] = []

    async def look() -> list[str | None]:
        answered = asyncio.Event()

        async def unreachable(spec: ModelSpec) -> str:
            asked.append(spec)
            await answered.wait()
            return "it is away"

        monkeypatch.setattr("multiplex.serve.service.unreachable", unreachable)
        options = ServeOptions(ModelSpec(name="m", model="m", base_url="http://127.0.0.1:9/v1"))
        async with opened(options, Keys()) as service:
            waiting = [asyncio.create_task(service.unready()) for _ in range(3)]
            while not asked:
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # the others have come too
            answered.set()
            return await asyncio.gather(*waiting)

    assert asyncio.run(look()) == ["it is away"] * 3
    assert len(asked) == 1


def test_a_lost_voice_is_named_wherever_it_could_be_missed(house: House) -> None:
    def script(body: Body, n: int) -> Say:
        return Say(status=400) if "You speak from African thought" in asked(body) else council(body, n)

    house.backend.script = script
    message = house.served.chat().json()["choices"][0]["message"]
    assert message["multiplex"]["lost"] == ["african"]
    assert "**African** (0 s)\n\nLost: " in message["reasoning_content"]
    assert "scripted failure" in message["reasoning_content"]
    assert message["content"].startswith(ANSWER)
    assert "Missing from this answer: African" in message["content"]

    came = events(house.served.chat(stream=True).text)
    assert came[-2]["choices"][0]["delta"]["multiplex"]["lost"] == ["african"]
    assert "Missing from this answer: African" in said(came)
    assert metric(house.served, 'multiplex_voices_total{outcome="lost",perspective="african"}') == 2
    until(lambda: [line.get("lost") for line in house.served.logs][-2:] == [["african"]] * 2, "two log lines")


def test_a_council_that_lost_every_voice_is_an_error_that_says_why(house: House) -> None:
    house.backend.script = lambda body, n: Say(status=400)
    response = house.served.chat()
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["code"] == "model_bad_request"
    assert response.headers["x-should-retry"] == "false"
    assert "no call succeeded" in error["message"]
    assert "scripted failure" in error["message"]
    assert events(house.served.chat(stream=True).text)[-1] == {"error": error}
    assert len(house.backend.requests) == 14
    assert bugs(house.served) == []


def test_a_model_that_has_enough_is_told_as_such(house: House) -> None:
    house.backend.script = lambda body, n: Say(status=429, headers={"Retry-After": "120"})
    response = house.served.chat(model="uniplex")
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "model_rate_limited"
    assert "120" in response.json()["error"]["message"]
    assert int(response.headers["Retry-After"]) > 0


def test_other_requests_are_answered_while_a_council_thinks(house: House) -> None:
    house.backend.script = thinking(LONG)
    with raw(house.served, post(question(stream=True))):
        until(lambda: len(house.backend.requests) == 7, "seven calls")
        assert httpx.get(f"{house.served.url}/healthz", timeout=10).text == "ok\n"
        assert metric(house.served, "multiplex_councils_under_way") == 1
    until(lambda: idle(house.served), "the place free again")


def test_a_connection_may_ask_again_after_an_error(house: House) -> None:
    house.backend.script = council
    with httpx.Client(timeout=60) as client:
        url, headers = f"{house.served.base_url}/chat/completions", {"Content-Type": "application/json"}
        for body, status in [(b"{", 400), (question(), 200), (question(model="no"), 404), (question(stream=True), 200)]:
            assert client.post(url, content=body, headers=headers).status_code == status
