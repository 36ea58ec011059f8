"""Keys, names, origins and limits: who may ask, how often, and what is written down about it."""

from __future__ import annotations

import asyncio
import os
import socket
import unicodedata
from collections.abc import Iterator

import httpx
import pytest

from multiplex.llm.spec import ModelSpec
from multiplex.serve.app import create_app
from multiplex.serve.http import keys
from multiplex.serve.http.keys import Keys, Strangers
from multiplex.serve.options import ServeOptions
from multiplex.serve.service import opened
from tests.backend import Backend, Say, away
from tests.command import at, run
from tests.serve.conftest import House
from tests.serve.luck import QUESTION, bugs, council, metric, post, question, raw, replied, thinking, until
from tests.serve.server import KEY, Served, serving

OTHER = "another-key-for-the-tests"


@pytest.fixture(scope="module")
def locked(_house: House) -> Iterator[Served]:
    env = {"MULTIPLEX_API_KEYS": f"{KEY}, {OTHER}", "MULTIPLEX_RETRIES": "0"}
    with serving(_house.backend, "--per-minute", "3", "--log-content", env=env) as served:
        yield served


def ask(served: Served, key: str | None, **headers: str) -> httpx.Response:
    given = {"Authorization": f"Bearer {key}"} if key is not None else {}
    headers = {"Content-Type": "application/json", **given, **headers}
    return httpx.post(f"{served.base_url}/chat/completions", content=question(), headers=headers, timeout=60)


@pytest.mark.parametrize("given", [None, "no-such-key", KEY[:-1], KEY + "x", f"{KEY},{OTHER}", "ключ"])
def test_without_a_right_key_nothing_is_answered(locked: Served, house: House, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": f"Bearer {given}".encode()}
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics")):
        response = httpx.request(method, f"{locked.url}{path}", headers=headers)
        error = response.json()["error"]
        assert response.status_code == 401, path
        assert error["code"] == "invalid_api_key"
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert not given or given not in response.text
    assert house.backend.requests == []


def test_a_stranger_learns_of_the_key_before_anything_else(locked: Served) -> None:
    body = b'{"model": "no such model", "messages": 7}'
    response = httpx.post(f"{locked.base_url}/chat/completions", content=body)
    assert response.status_code == 401


def test_health_needs_no_key(locked: Served) -> None:
    assert httpx.get(f"{locked.url}/healthz").status_code == 200
    assert httpx.get(f"{locked.url}/readyz").status_code == 200


def test_each_key_has_its_own_minute_and_no_log_holds_a_key(locked: Served, house: House) -> None:
    house.backend.script = council
    assert [ask(locked, KEY).status_code for _ in range(3)] == [200] * 3
    over = ask(locked, KEY)
    assert over.status_code == 429
    assert over.json()["error"]["code"] == "too_many_requests"
    assert 0 < int(over.headers["Retry-After"]) <= 60
    assert len(house.backend.requests) == 24
    assert ask(locked, OTHER).status_code == 200
    until(lambda: [line for line in locked.logs if line.get("caller") == "key 2"], "the log of the second key")
    assert not any(KEY in line or OTHER in line for line in locked.errors)


@pytest.mark.parametrize("status", [400, 401, 429])
def test_the_models_own_key_reaches_its_endpoint_and_nobody_else(house: House, status: int) -> None:
    key = "abc-the-models-own-key"
    house.backend.script = lambda body, n: Say(status=status, error=f'{{"error": {{"message": "no: {key}"}}}}')
    with serving(house.backend, "--api-key-env", "OWN", env={"OWN": key, "MULTIPLEX_RETRIES": "0"}) as served:
        told = [served.chat(stream=True).text, served.chat().text, httpx.get(f"{served.url}/readyz").text]
        assert house.backend.headers[-1]["authorization"] == f"Bearer {key}"
    assert not any(key in text for text in (*told, *served.errors))


def test_wrong_requests_do_not_count_against_the_minute(house: House) -> None:
    house.backend.script = council
    with serving(house.backend, "--per-minute", "1", env={"MULTIPLEX_API_KEYS": KEY}) as served:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        for body in (b"{", question(model="no"), question(messages=[])):
            httpx.post(f"{served.base_url}/chat/completions", content=body, headers=headers)
        assert ask(served, KEY).status_code == 200


def test_over_the_councils_at_once_the_next_is_told_when_to_try(house: House) -> None:
    house.backend.script = thinking(60)
    with serving(house.backend, "--max-councils", "1") as served:
        with raw(served, post(question(stream=True))):
            until(lambda: len(house.backend.requests) == 7, "a council at work")
            for streamed in (False, True):
                over = served.chat(stream=streamed)
                assert over.status_code == 429
                assert over.json()["error"]["code"] == "too_many_councils"
                assert int(over.headers["Retry-After"]) > 0
            assert len(house.backend.requests) == 7
        house.backend.script = council
        until(lambda: served.chat().status_code == 200, "the place free again")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example:8000", "", "[::2]"])
def test_a_server_on_loopback_has_no_other_name(house: House, host: str) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n"
    status, text = replied(raw(house.served, request))
    assert status == 400
    assert "localhost only" in text
    assert "multiplex" not in text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8000", "[::1]"])
def test_a_server_on_loopback_has_its_own_names(house: House, host: str) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n\r\n"
    assert replied(raw(house.served, request))[0] == 200


@pytest.mark.parametrize(("host", "status"), [("127.0.0.2:8000", 200), ("localhost", 200), ("127.0.0.3", 400)])
async def test_a_server_on_another_address_of_this_machine_has_it_as_a_name(host: str, status: int) -> None:
    options = ServeOptions(ModelSpec(name="m", model="m", base_url="http://127.0.0.1:9/v1"), host="127.0.0.2")
    async with opened(options, Keys()) as service:
        app = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=app, base_url=f"http://{host}") as client:
            assert (await client.get("/v1/models")).status_code == status


def test_no_page_of_another_origin_may_call(house: House) -> None:
    origin = {"Origin": "https://chat.example.org"}
    plain = httpx.get(f"{house.served.base_url}/models", headers=origin)
    assert "access-control-allow-origin" not in plain.headers
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    asked = httpx.options(f"{house.served.base_url}/chat/completions", headers=preflight)
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers


def test_a_page_of_a_named_origin_may_call_and_no_other(house: House) -> None:
    house.backend.script = council
    with serving(house.backend, "--cors", "https://chat.example.org", env={"MULTIPLEX_API_KEYS": KEY}) as served:
        for origin, allowed in (("https://chat.example.org", True), ("https://evil.example", False)):
            preflight = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            asked = httpx.options(f"{served.base_url}/chat/completions", headers=preflight)
            assert (asked.headers.get("access-control-allow-origin") == origin) is allowed
            answered = ask(served, KEY, Origin=origin)
            assert (answered.headers.get("access-control-allow-origin") == origin) is allowed
            refused = ask(served, None, Origin=origin)  # a page must be able to read why it was refused
            assert refused.status_code == 401
            assert (refused.headers.get("access-control-allow-origin") == origin) is allowed
            large = httpx.post(
                f"{served.base_url}/chat/completions", content=b" " * 2_000_000, headers={"Origin": origin}
            )
            assert large.status_code == 413
            assert (large.headers.get("access-control-allow-origin") == origin) is allowed


def test_what_was_asked_and_answered_is_never_in_the_logs(house: House) -> None:
    house.backend.script = council
    private = "Sphinx-of-black-quartz"
    house.served.chat(private)
    house.served.chat(private, stream=True)
    house.served.chat(private, temperature="hot")
    house.served.chat(private, messages=[{"role": "user", "content": [{"type": private}]}])
    house.served.chat(model=private)
    house.served.chat(private, metadata={"measures": private, "thread_id": private}, user=private)
    until(lambda: len([line for line in house.served.logs if line["event"] == "question"]) >= 2, "two lines")
    assert not any(word in line for line in house.served.errors for word in (private, "Ubuntu", "Koreans"))
    assert bugs(house.served) == []


def test_what_was_asked_and_answered_is_in_the_logs_where_it_is_wanted(locked: Served, house: House) -> None:
    house.backend.script = council
    ask(locked, OTHER)
    until(lambda: [line for line in locked.logs if line.get("question")], "a line with its question")
    line = [line for line in locked.logs if line.get("question")][-1]
    assert line["question"] == QUESTION
    assert line["answer"].startswith("Ubuntu shares")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--host", "0.0.0.0"], "without keys anyone who reaches this address could spend your model"),
        (["--host", "::"], "without keys anyone"),
        (["--host", "192.0.2.7"], "without keys anyone"),
        (["--host", "192.0.2.7", "--insecure"], "--host 192.0.2.7"),
        (["--host", "no such host", "--insecure"], "--host no such host"),
        (["--cors", "chat.example.org"], "an origin looks like"),
        (["--cors", "https://chat.example.org/"], "an origin looks like"),
        (["--cors", "https://Chat.Example.org"], "an origin looks like"),
        (["--cors", "https://chat.example.org:443"], "an origin looks like"),
        (["--cors", "http://[::1"], "an origin looks like"),
        (["--port", "99999"], "--port"),
        (["--max-question", "0"], "--max-question"),
        (["--per-minute", "0"], "--per-minute"),
        (["--grace", "-1"], "--grace"),
        (["--grace", "nan"], "--grace"),
        (["--grace", "inf"], "--grace"),
        (["--memory", "mysql://db/x"], "the memory is a file's path or a URL"),
        (["extra"], "extra"),
    ],
)
def test_a_wrong_flag_is_refused_before_anything_is_opened(backend: Backend, flags: list[str], told: str) -> None:
    done = run("serve", *at(backend), "--port", "0", *flags)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("given", ["", " , ,"])
def test_keys_that_are_none_are_refused(backend: Backend, given: str) -> None:
    done = run("serve", *at(backend), "--port", "0", env={"MULTIPLEX_API_KEYS": given})
    assert done.returncode == 2
    assert "MULTIPLEX_API_KEYS is set but holds no key" in done.stderr


def test_a_port_in_use_is_told(backend: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", *at(backend), "--port", str(port))
    assert done.returncode == 2
    assert f"--port {port}: Address already in use" in done.stderr


def test_with_keys_it_may_listen_everywhere(house: House) -> None:
    house.backend.script = council
    with serving(house.backend, "--host", "0.0.0.0", env={"MULTIPLEX_API_KEYS": KEY}) as served:
        url = f"http://127.0.0.1:{served.url.rpartition(':')[2]}/v1/models"
        headers = {"Authorization": f"Bearer {KEY}", "Host": "council.example"}
        assert httpx.get(url, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--voice-model", "martian=openai:x"), "no perspective 'martian' in any council here: western,"),
        (("--api-key-env", "NO_SUCH_KEY"), "set NO_SUCH_KEY"),
    ],
)
def test_a_server_that_could_not_answer_does_not_start(backend: Backend, flags: tuple[str, ...], said: str) -> None:
    done = run("serve", *at(backend), "--port", "0", *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_a_key_that_could_be_guessed_is_refused_at_the_start(backend: Backend) -> None:
    done = run("serve", *at(backend), "--port", "0", env={"MULTIPLEX_API_KEYS": f"{KEY},fifteen-letters"})
    assert done.returncode == 2
    assert "MULTIPLEX_API_KEYS: key 2 has 15 characters, and a key has at least 16" in done.stderr
    assert "fifteen" not in done.stderr


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_key_beyond_ascii_is_the_same_however_it_is_written_and_sent(form: str) -> None:
    key = "Schlüssel-für-Größe-①-ключ"
    written = unicodedata.normalize(form, key)
    taken = Keys([key, "a-key-in-latin-1-é"])
    in_header = written.encode().decode("latin-1")
    assert taken.authenticate(written) == taken.authenticate(in_header) == "key 1"
    assert taken.space(written) == taken.space(in_header) == taken.space(key)
    assert taken.authenticate("a-key-in-latin-1-é") == "key 2"
    assert taken.authenticate(written[:-1]) is None


def test_a_key_of_the_environment_may_be_utf_8_or_latin_1(monkeypatch: pytest.MonkeyPatch) -> None:
    for written in ("schlüssel-des-hauses".encode(), "schlüssel-des-hauses".encode("latin-1")):
        monkeypatch.setenv("MULTIPLEX_API_KEYS", os.fsdecode(written))
        assert Keys.from_environment().authenticate("schlüssel-des-hauses") == "key 1"


async def test_many_wrong_keys_wait_and_those_of_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = list[float]()
    free = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await free.wait()

    now, counted = [0.0], list[str]()
    strangers = Strangers(counted.append, clock=lambda: now[0])
    monkeypatch.setattr(keys.asyncio, "sleep", sleep)
    assert all([await strangers.delay("192.0.2.1") for _ in range(keys.FREE)])
    assert waited == []
    waiting = [asyncio.ensure_future(strangers.delay("192.0.2.1")) for _ in range(keys.WAITING)]
    while len(waited) < keys.WAITING:
        await asyncio.wait(waiting, timeout=0)
    assert await strangers.delay("192.0.2.1") is False
    assert await strangers.delay("192.0.2.2") is True
    free.set()
    assert all(await asyncio.gather(*waiting))
    assert len(counted) == keys.FREE + keys.WAITING + 2
    now[0] = 61.0
    waited.clear()
    assert await strangers.delay("192.0.2.1") is True
    assert waited == []


def test_wrong_keys_are_counted_and_logged_once_and_readiness_tells_strangers_nothing() -> None:
    with away() as gone, serving(gone, env={"MULTIPLEX_API_KEYS": KEY}) as served:
        for _ in range(3):
            assert ask(served, "no-such-key-at-all").status_code == 401
        assert httpx.get(f"{served.url}/readyz?key=secret").text == "not ready\n"
        assert httpx.get(f"{served.url}/readyz", headers={"Authorization": "Bearer no-such"}).status_code == 401
        known = httpx.get(f"{served.url}/readyz", headers={"Authorization": f"Bearer {KEY}"})
        assert known.status_code == 503
        assert "127.0.0.1" in known.text
        assert metric(served, "multiplex_wrong_keys_total", KEY) == 4
        httpx.get(f"{served.url}/no-such?key=secret")
        assert served.stop() == 0
        lines = [line for line in served.logs if line["event"] == "wrong key"]
        assert [(line["count"], line["peer"]) for line in lines] == [(1, "127.0.0.1")]
        assert not any("secret" in line or "no-such" in line for line in served.errors)
