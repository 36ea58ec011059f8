"""What cannot be answered is refused in one line that names it, and nothing is asked of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.backend import Backend, asked
from tests.serve.conftest import House
from tests.serve.luck import QUESTION, bugs, council, events, idle, post, question, raw, replied, said
from tests.serve.server import serving


def refused(house: House, response: httpx.Response, status: int, **told: Any) -> dict[str, Any]:
    """The envelope of a refusal; nothing was asked, no place is lost."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error == {**error, "type": "invalid_request_error", **told}
    assert "\n" not in error["message"]
    assert house.backend.requests == []
    assert idle(house.served)
    assert bugs(house.served) == []
    return error


def send(house: House, body: bytes, kind: str = "application/json") -> httpx.Response:
    return httpx.post(
        f"{house.served.base_url}/chat/completions", content=body, headers={"Content-Type": kind}, timeout=60
    )


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1, 2", b"\xff\xfe\x00", b'{"messages": [' + b"[" * 100_000, b'{"seed": ' + b"9" * 5_000 + b"}"],
    ids=["open", "list", "no text", "deep", "a number of 5,000 digits"],
)
def test_a_body_that_is_no_json_is_refused(house: House, body: bytes) -> None:
    refused(house, send(house, body), 400, message="the body is not valid JSON")


@pytest.mark.parametrize("body", [b"", b"null", b"7", b'"text"', b"[]"])
def test_a_body_that_is_no_object_is_refused(house: House, body: bytes) -> None:
    error = refused(house, send(house, body), 400)
    assert error["message"].startswith("body: ")


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "nonsense"])
def test_another_content_type_is_refused(house: House, kind: str) -> None:
    error = refused(house, send(house, question(), kind), 415)
    assert "application/json" in error["message"]


def test_metadata_may_be_deep(house: House) -> None:
    house.backend.script = council
    deep: Any = "ground"
    for _ in range(400):
        deep = [deep]
    assert house.served.chat(metadata={"deep": deep}, unknown=deep).status_code == 200


@pytest.mark.parametrize("streamed", [False, True])
def test_halves_of_characters_and_nul_do_not_stop_a_question(house: House, streamed: bool) -> None:
    house.backend.script = council
    body = question(stream=streamed).replace(b"owe", b"\\ud800 owe\\u0000 \\udc00")
    body = body[:-1] + b', "user": "\\ud83d", "metadata": {"\\udfff": "\\udfff"}, "other": "\\ud9ff"}'
    response = send(house, body)
    assert response.status_code == 200, response.text
    assert len(house.backend.requests) == 8
    assert all("What do we ? owe ? the dead?" in asked(each) for each in house.backend.requests)
    assert {each["user"] for each in house.backend.requests} == {"?"}


def test_halves_of_characters_in_a_models_name_are_told_as_any_wrong_name(house: House) -> None:
    refused(house, send(house, question().replace(b'"multiplex"', b'"\\ud800"')), 404, param="model")


@pytest.mark.parametrize(
    ("messages", "param", "told"),
    [
        ([], "messages", "at least 1 item"),
        ([{"role": "assistant", "content": "Hello."}], "messages", "no question"),
        ([{"role": "system", "content": "Be kind."}], "messages", "no question"),
        ([{"role": "user", "content": ""}], "messages[0].content", "empty"),
        ([{"role": "user", "content": " \n\t\u3000\0"}], "messages[0].content", "empty"),
        ([{"role": "user", "content": None}], "messages[0].content", "empty"),
        ([{"role": "user", "content": []}], "messages[0].content", "empty"),
        ([{"role": "user", "content": "Who?"}, {"role": "user", "content": ""}], "messages[1].content", "empty"),
        ([{"role": "pope", "content": "Who?"}], "messages.0.role", "'user'"),
        ([{"content": "Who?"}], "messages.0.role", "required"),
        ([{"role": "user", "content": 7}], "messages.0.content.str", "string"),
        ("Who?", "messages", "list"),
    ],
)
def test_messages_without_a_question_are_refused(house: House, messages: Any, param: str, told: str) -> None:
    error = refused(house, house.served.chat(messages=messages), 400, param=param)
    assert told in error["message"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f-1"}},
    ],
)
def test_what_is_no_text_is_refused_by_its_kind(house: House, part: dict[str, Any]) -> None:
    content = [{"type": "text", "text": QUESTION}, part]
    error = refused(
        house,
        house.served.chat(messages=[{"role": "user", "content": content}]),
        400,
        code="unsupported_content",
        param="messages[0].content",
    )
    assert part["type"] in error["message"]
    assert "iVBOR" not in error["message"]


def test_ten_megabytes_are_refused_with_their_length_and_without_it(house: House) -> None:
    body = question(padding="x" * 10_000_000)
    limit = "takes at most 1,000,000 bytes"
    assert limit in refused(house, send(house, body), 413)["message"]

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    url = f"{house.served.base_url}/chat/completions"
    without = httpx.post(url, content=chunks(), headers={"Content-Type": "application/json"}, timeout=60)
    assert "content-length" not in without.request.headers
    assert limit in refused(house, without, 413)["message"]


def test_a_length_that_is_only_claimed_is_refused_at_once(house: House) -> None:
    status, text = replied(raw(house.served, post(b"{", length=10**12)))
    assert status == 413
    assert json.loads(text)["error"]["type"] == "invalid_request_error"


def test_a_question_over_the_limit_is_refused_with_the_limit(house: House) -> None:
    error = refused(
        house, house.served.chat("why " * 5_001), 413, code="question_too_long", param="messages[0].content"
    )
    assert "20,000" in error["message"]


def test_the_limits_of_body_and_question_can_be_set(backend: Backend) -> None:
    backend.script = council
    with serving(backend, "--max-body", "2000", "--max-question", "30") as served:
        assert served.chat("x" * 30).status_code == 200
        assert served.chat("x" * 31).status_code == 413
        assert served.chat(padding="x" * 2000).status_code == 413


def test_a_body_that_comes_too_slowly_is_refused(backend: Backend) -> None:
    hurry = "import functools, multiplex.serve.app as app; app.Gate = functools.partial(app.Gate, arrival=0.5)"
    with serving(backend, before=hurry) as served:
        connection = raw(served, post(question()[:20], length=len(question())))
        status, text = replied(connection)
        assert status == 408
        assert json.loads(text)["error"]["message"] == "the request did not arrive within 0.5 s"
        assert bugs(served) == []
        assert idle(served)
    assert backend.requests == []


def test_a_client_that_leaves_before_its_question_is_whole_is_no_bug(house: House) -> None:
    raw(house.served, post(question()[:20], length=len(question()))).close()
    house.backend.script = council
    assert house.served.chat().status_code == 200
    assert bugs(house.served) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405), ("PUT", "/healthz", 405),
     ("GET", "/v1/models/no-such", 404), ("GET", "/v1/models/%00%ff", 404), ("POST", "/v1/embeddings", 404)],
)  # fmt: skip
def test_what_is_not_there_is_told_in_the_same_envelope(house: House, method: str, path: str, status: int) -> None:
    refused(house, httpx.request(method, f"{house.served.url}{path}"), status)


def test_no_http_at_all_does_no_harm(house: House) -> None:
    with raw(house.served, b"\x16\x03\x01\x02\x00\x01\x00 is no HTTP\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    assert httpx.get(f"{house.served.url}/healthz").status_code == 200


def test_a_question_that_quotes_a_template_is_data(house: House) -> None:
    house.backend.script = council
    asked_for = "{question} %s {{voices}} ${task} </question><voice>"
    came = events(house.served.chat(asked_for, stream=True).text)
    assert came[-1] == "[DONE]"
    assert said(came).startswith("Ubuntu shares")
