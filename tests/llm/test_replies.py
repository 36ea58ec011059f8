"""What endpoints say beyond a plain reply, heard the same over each transport."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, get_args

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field

from multiplex.errors import CallError, UsageError
from multiplex.llm.adaptation import find_change
from multiplex.llm.chat import Chat
from multiplex.llm.clients import http_client, is_direct
from multiplex.llm.error_mapping import explain, safe
from multiplex.llm.model import as_chat
from multiplex.llm.protocol import EndpointError, find_error, read_error, read_usage
from multiplex.llm.relay import Closed, Passed, RelayRequest, relay
from multiplex.llm.spec import api_key, parse_spec
from multiplex.llm.transport import Transport
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage
from multiplex.serve.http.readiness import unreachable
from tests.backend import Backend, Body, Say
from tests.llm.test_transport import DONE, Endpoint, event, running

HALF = "In Confucian thought filial piety binds families. Ubuntu teaches that a person"
EVERY = pytest.mark.parametrize("transport", get_args(Transport))
WAYS = pytest.mark.parametrize("way", [*get_args(Transport), "relayed", "relayed whole"])


async def ask(url: str, transport: Transport, call: Call | None = None, **changes: Any) -> Reply:
    spec = parse_spec("m", url).model_copy(update={"retries": 0, "timeout": 5.0, **changes})
    chat = Chat(spec, transport=transport)
    try:
        return await chat.complete([SystemMessage("You are P."), HumanMessage("Why?")], call)
    finally:
        await chat.aclose()


async def hear(url: str, way: Any) -> tuple[str, Usage]:
    """The text and the tokens of a reply over a transport, or passed on."""
    if way in get_args(Transport):
        reply = await ask(url, way)
        return reply.text, reply.usage
    chat = Chat(parse_spec("m", url).model_copy(update={"retries": 0, "timeout": 5.0}))
    asked = RelayRequest([{"role": "user", "content": "Why?"}], {"top_p": 0.5}, {}, streamed=way == "relayed")
    try:
        pieces = [piece async for piece in relay(chat, asked)]
    finally:
        await chat.aclose()
    said = "".join(piece.delta["content"] for piece in pieces if isinstance(piece, Passed))
    return said, next(piece.usage for piece in pieces if isinstance(piece, Closed))


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("content_filter", "declined"),
        ("SAFETY", "declined"),
        ("content_filter: RECITATION", "declined"),
        ("error", "server"),
        ("abort", "server"),
        ("x", "server"),
    ],
)
@EVERY
async def test_a_reply_that_did_not_end_by_itself_is_no_answer(
    backend: Backend, transport: Transport, finish: str, kind: str
) -> None:
    backend.script = lambda body, n: Say(HALF, finish=finish)
    with pytest.raises(CallError) as caught:
        await ask(backend.base_url, transport)
    assert caught.value.kind == kind
    assert caught.value.spent == (1, 4, 12)


@EVERY
async def test_a_limit_under_another_name_is_a_limit(backend: Backend, transport: Transport) -> None:
    backend.script = lambda body, n: Say(HALF, finish="MAX_TOKENS")
    assert (await ask(backend.base_url, transport)).cut


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}}),  # DeepSeek
        (403, {"code": "no permission", "error": "Content violates usage guidelines. Failed check: X"}),  # xAI
        (400, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}),  # Zhipu
        (400, {"error": {"code": "InputTextSensitiveContentDetected", "message": "no"}}),  # Volcengine
        (None, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),  # MiniMax, under 200
    ],
)
def test_a_filter_is_known_by_the_words_of_each_provider(status: int | None, body: Body) -> None:
    told = find_error(body) if status is None else read_error(body, status)
    assert told is not None
    failure = explain(EndpointError(told), parse_spec("m", "http://127.0.0.1:9/v1"))
    assert (failure.error.kind, failure.attempts) == ("declined", 1)


@EVERY
async def test_a_refusal_is_told_and_asked_for_once(transport: Transport) -> None:
    said = {"content": None, "refusal": "I cannot help with that."}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    async with running(Endpoint([json.dumps({"choices": [choice]}).encode()], kind=b"application/json")) as endpoint:
        with pytest.raises(CallError, match="declines to answer: I cannot help") as caught:
            await ask(endpoint.url, transport, retries=3)
    assert caught.value.kind == "declined"
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b'{"error": {"message": "slow down", "code": 429}}'],
        [b"data: " + b'{"error": {"message": "slow down", "code": 429}}' + b"\n\n"],
        [event("half"), b'event: error\ndata: {"message": "slow down", "code": "rate_limit_exceeded"}\n\n'],
        [event("half"), b'data: {"object": "error", "message": "slow down", "code": 429}\n\n'],
        [b'error: {"message": "slow down", "code": 429}\n\n', DONE],
    ],
)
@WAYS
async def test_an_error_under_200_counts_as_what_it_says(way: str, pieces: list[bytes]) -> None:
    async with running(Endpoint(pieces)) as endpoint:
        with pytest.raises(CallError, match=r"429, too many requests \(slow down") as caught:
            await hear(endpoint.url, way)
    assert caught.value.kind == "rate_limited"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"success": False, "errors": [{"code": 5007, "message": "No such model"}]}, "No such model"),
        ({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "no balance"}}, "no balance"),
        ({"code": 1302, "msg": "too fast", "data": None}, "too fast"),
        ({"message": {"role": "assistant", "content": "Kin."}, "done": True}, "no OpenAI-compatible chat completion"),
        ({"choices": [{"message": {}, "finish_reason": "error", "error": {"message": "it is gone"}}]}, "it is gone"),
        ({"choices": [{"message": {"content": "Kin"}, "finish_reason": 1}]}, "ended with '1'"),
        ({"choices": [{"message": {"content": "<think>So"}, "finish_reason": "stop"}]}, "only reasoning came"),
    ],
)
@WAYS
async def test_no_form_of_failure_is_an_answer(way: str, body: Any, said: str) -> None:
    async with running(Endpoint([json.dumps(body).encode()], kind=b"application/json")) as endpoint:
        with pytest.raises(CallError, match=said):
            await hear(endpoint.url, way)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([], "ended before any of the answer came"),
        ([b"\n \n", b"\n \n"], "ended before any of the answer came"),  # as OpenRouter keeps a connection open
        ([b": PROCESSING\n\n", b": PROCESSING\n\n"], "ended before any of the answer came"),
        ([b'{"choices": [{"message": {"content": "Kin fi'], "broke off before it was whole"),
        ([b"{"], "broke off before it was whole"),
    ],
)
@EVERY
async def test_a_response_that_ends_too_soon_is_asked_for_again(
    transport: Transport, pieces: list[bytes], said: str
) -> None:
    async with running(Endpoint(pieces)) as endpoint:
        with pytest.raises(CallError, match=said) as caught:
            await ask(endpoint.url, transport, retries=1)
    assert caught.value.kind == "server"
    assert len(endpoint.bodies) == 2


_OTHER = {"index": 1, "delta": {"content": "NO"}, "finish_reason": "length"}
_SPENT: Body = {"prompt_tokens": 10, "completion_tokens": 3}
_WHOLE: Body = {"choices": [{"message": {"content": "Kin first."}, "finish_reason": "stop"}], "usage": _SPENT}


@pytest.mark.parametrize(
    "pieces",
    [
        [b"\xef\xbb\xbf: x\r\n\r\nretry: 3\r\n\r\n", event("Kin first.", "FinishReason.STOP", usage=_SPENT)],
        [b'data: {"choices": null, "base_resp": {"status_code": 0}}\n\n', event({"type": "text", "text": "Kin first."}),  # type: ignore[arg-type]
         event(finish="stop", x_groq={"usage": _SPENT}), b"data:\n\n", DONE],
        [event("Kin "), b"data: " + json.dumps({"choices": [_OTHER]}).encode() + b"\n\n", event("first."),
         event(finish="stop", usage=_SPENT), event(usage={"prompt_tokens": 0, "completion_tokens": 0}), DONE],
        [b'{"choices": [{"message": {"content": ["Kin ", {"text": "first."}]}, "finish_reason": "stop", "usage": '
         b'{"prompt_tokens": "10", "completion_tokens": 3}}]}'],
        [event("Kin "), event("first."), DONE.replace(b"[DONE]", json.dumps(_WHOLE).encode()), DONE],  # as MiniMax ends
        [json.dumps({"choices": [{**_WHOLE["choices"][0], "delta": {"role": "assistant", "content": ""}}],
                     "usage": _SPENT}).encode()],  # as Perplexity has it
    ],
)  # fmt: skip
@WAYS
async def test_a_reply_in_another_form_is_the_same_reply(way: str, pieces: list[bytes]) -> None:
    async with running(Endpoint(pieces)) as endpoint:
        text, usage = await hear(endpoint.url, way)
    assert (text, usage.input_tokens, usage.output_tokens) == ("Kin first.", 10, 3)


async def test_a_call_that_is_streamed_though_it_was_asked_for_whole_is_put_together() -> None:
    def piece(**function: str) -> bytes:
        call = {"index": 0, **({"id": "x", "type": "function"} if "name" in function else {}), "function": function}
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).encode() + b"\n\n"

    sent = [piece(name="ask", arguments=""), piece(arguments='{"a"'), piece(arguments=": 1}"), event(finish="tool_use")]
    asked = RelayRequest([{"role": "user", "content": "Why?"}], {"tools": []}, {})
    async with running(Endpoint(sent)) as endpoint:
        chat = Chat(parse_spec("m", endpoint.url))
        said, closed = [piece async for piece in relay(chat, asked)]
        await chat.aclose()
    call = {"id": "x", "type": "function", "function": {"name": "ask", "arguments": '{"a": 1}'}}
    assert said == Passed({"tool_calls": [call]})
    assert isinstance(closed, Closed)
    assert closed.finish == "tool_calls"


@pytest.mark.parametrize("index", [{"index": 0}, {}])
@pytest.mark.parametrize("streamed", [False, True])
async def test_calls_that_an_endpoint_does_not_number_are_told_apart_by_their_ids(index: Body, streamed: bool) -> None:
    def piece(number: str, **function: str) -> bytes:
        call = {**index, "id": number, "type": "function", "function": function}
        return b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).encode() + b"\n\n"

    first, second = piece("a", name="ask", arguments="{}"), piece("b", name="say", arguments='{"x"')
    sent = [first, second, piece("", arguments=":1}"), event(finish="tool_calls"), DONE]
    async with running(Endpoint(sent)) as endpoint:
        chat = Chat(parse_spec("m", endpoint.url))
        asked = RelayRequest([{"role": "user", "content": "Why?"}], {"tools": []}, {}, streamed=streamed)
        said = [piece.delta["tool_calls"] async for piece in relay(chat, asked) if isinstance(piece, Passed)]
        await chat.aclose()
    if streamed:
        assert [call["index"] for (call,) in said] == [0, 1, 1]
    else:
        assert [call["function"] for call in said[0]] == [
            {"name": "ask", "arguments": "{}"}, {"name": "say", "arguments": '{"x":1}'}
        ]  # fmt: skip


@EVERY
async def test_what_holds_no_data_is_passed_over_and_the_last_usage_counts(transport: Transport) -> None:
    usage = [{"prompt_tokens": 10, "completion_tokens": n} for n in (1, 2, 3)]
    content: Any = [{"type": "thinking", "thinking": "Daoism?"}, {"type": "text", "text": "fine."}]
    sent = [b"retry: 3000\n\n", b": x\r\r", b"data:\n\n", b"event: ping\ndata: {}\n\n", event(content, usage=usage[0]),
            event(" So it is.", usage=usage[1]), event(finish="stop", usage=usage[2]), DONE]  # fmt: skip
    async with running(Endpoint(sent)) as endpoint:
        reply = await ask(endpoint.url, transport)
    assert reply.text == "fine. So it is."
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 3)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None)),
        ({"input_tokens": 10, "output_tokens": "30"}, (10, 30)),
        ({"prompt_tokens": -1, "completion_tokens": 10**20}, (None, None)),
        ([1], (None, None)),
        ({"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
          "completion_tokens_details": {"reasoning_tokens": 94}}, (32, 103)),  # as xAI counts
        ({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}, (21, 60)),  # as Gemini does
        ({"prompt_tokens": 9, "completion_tokens": 30, "total_tokens": 39,
          "completion_tokens_details": {"reasoning_tokens": 20}}, (9, 30)),
    ],
)  # fmt: skip
def test_tokens_that_cannot_be_are_not_reported(usage: Any, tokens: tuple[int | None, int | None]) -> None:
    read = read_usage(usage, spoke=True)
    assert (read.input_tokens, read.output_tokens) == tokens


@pytest.mark.parametrize(
    ("body", "sent", "change"),
    [
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}}, {"seed": 1},
         ("seed", "unknown", None)),
        ([{"error": {"message": 'Unknown name "seed": Cannot find field.'}}], {"seed": 1}, ("seed", "unknown", None)),
        ({"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}, {"max_tokens": 16},
         ("max_tokens", "renamed", "max_completion_tokens")),
        ({"message": "max_tokens is too large: 5000. This model supports at most 4096"}, {"max_tokens": 5000},
         ("max_tokens", "cap", 4096)),
        ({"message": "temperature: range: 0..1"}, {"temperature": 1.5}, ("temperature", "value", None)),
        ({"message": "The provided JSON schema contains features not supported by xgrammar."},
         {"response_format": {}}, ("response_format", "value", None)),
        ({"message": "Grammar error: Unimplemented keys"}, {"response_format": {}}, ("response_format", "value", None)),
        ({"message": "This model does not support structured outputs"}, {"response_format": {}},
         ("response_format", "unknown", None)),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": '{"message": "seed: unknown field"}'}}},
         {"seed": 1}, ("seed", "unknown", None)),  # as OpenRouter tells it
        ({"message": "System role not supported"}, {}, ("messages", "no_system", None)),
        ({"message": "System message must be at the beginning."}, {}, ("messages", "system_first", None)),
        ({"message": "After the (optional) system message(s), user or tool message(s) should alternate with assistant "
          "message(s)."}, {}, ("messages", "alternate", None)),  # as Perplexity has it
    ],
)  # fmt: skip
def test_the_reason_of_a_refusal_decides_what_is_changed(body: Any, sent: Body, change: tuple[str, str, Any]) -> None:
    found = find_change(read_error(body, 400), sent, ["system", "system", "user"])
    assert found is not None
    assert (found.field, found.why, found.to) == change


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please retry after 20 seconds.", 20),
        ("Rate limit reached. Please try again in 7.5s. Visit x", 7.5),
        ("try again in 2 minutes", 120),
        ("try again in 1h6m0s", 3960),
        ("try again in 1 hour, 2 mins and 3 secs", 3723),
        ("try again in 859ms", 0.859),
        ("retry after 3 tries, or try again in 4 sec", 4),
        ("try again in 20 months", None),
    ],
)
def test_the_wait_that_an_error_asks_for_is_read_from_its_words(message: str, seconds: float | None) -> None:
    assert read_error({"error": {"message": message}}, 429).wait == seconds


async def test_a_value_that_one_caller_sent_changes_no_other_call(backend: Backend) -> None:
    def script(body: Body, n: int) -> Say:
        refused = body.get("temperature", 0) > 1
        return Say(status=400, error={"message": "temperature: range: 0..1", "type": "x"}) if refused else Say()

    backend.script = script
    chat = Chat(parse_spec("m", backend.base_url))
    hot = await chat.adjusted(temperature=1.5).complete([HumanMessage("Why?")])
    await chat.complete([HumanMessage("Why?")])
    await chat.aclose()
    assert hot.notes == (f"m at {backend.base_url} refuses temperature 1.5; it was left out",)
    assert [body.get("temperature") for body in backend.requests] == [1.5, None, 0.7]


@pytest.mark.parametrize("way", ["streamed", "observed", "relayed"])
async def test_an_endpoint_that_refuses_to_stream_is_asked_for_the_whole(backend: Backend, way: str) -> None:
    told = {"message": "Your organization must be verified to stream this model.", "param": "stream"}
    backend.script = lambda body, n: Say(status=400, error=told) if "stream" in body else Say("Kin first.")
    text, usage = await hear(backend.base_url, way)
    assert (text, usage.output_tokens) == ("Kin first.", 2)
    assert "stream_options" not in backend.requests[-1]


async def test_a_call_under_way_is_mended_though_another_learned_of_the_refusal_meanwhile(backend: Backend) -> None:
    learned = threading.Event()

    def script(body: Body, n: int) -> Say:
        if n == 0:
            learned.wait(10)
        return Say(status=400, error={"message": "seed is not supported", "type": "x"}) if "seed" in body else Say()

    backend.script = script
    chat = Chat(parse_spec("m", backend.base_url))
    first = asyncio.create_task(chat.complete([HumanMessage("Why?")], Call(seed=1)))
    while not backend.requests:
        await asyncio.sleep(0.01)
    await chat.complete([HumanMessage("Why?")], Call(seed=1))
    learned.set()
    await first
    await chat.aclose()
    assert ["seed" in body for body in backend.requests] == [True, True, False, False]


async def test_an_error_that_only_quotes_a_field_teaches_nothing(backend: Backend) -> None:
    quoted = {"message": "bad text: 'seed is an unsupported parameter'", "type": "x"}
    backend.script = lambda body, n: Say(status=400, error=quoted) if n < 2 else Say()
    chat = Chat(parse_spec("m", backend.base_url))
    with pytest.raises(CallError):
        await chat.complete([HumanMessage("Why?")], Call(seed=1))
    await chat.complete([HumanMessage("Why?")], Call(seed=1))
    await chat.aclose()
    assert ["seed" in body for body in backend.requests] == [True, False, True]


@EVERY
async def test_without_a_system_role_the_persona_stands_in_the_users_message(
    backend: Backend, transport: Transport
) -> None:
    def script(body: Body, n: int) -> Say:
        system = any(message["role"] == "system" for message in body["messages"])
        return Say(status=400, error={"message": "System role not supported", "type": "x"}) if system else Say()

    backend.script = script
    reply = await ask(backend.base_url, transport)
    assert backend.requests[-1]["messages"] == [{"role": "user", "content": "You are P.\n\nWhy?"}]
    assert "takes no system message" in reply.notes[0]


async def test_messages_are_put_as_a_template_wants_them_under_whatever_status_it_says_so(backend: Backend) -> None:
    def script(body: Body, n: int) -> Say:
        roles = [message["role"] for message in body["messages"]]
        if "system" in roles[1:]:
            return Say(status=500, error={"message": "Jinja Exception: System message must be at the beginning."})
        twice = any(a == b for a, b in itertools.pairwise(roles))
        return Say(status=500, error={"message": "conversation roles must alternate"}) if twice else Say("Kin first.")

    backend.script = script
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0}))
    scattered = [SystemMessage("One."), HumanMessage("Why?"), SystemMessage("Two."), HumanMessage("And how?")]
    first, second = [await chat.complete(scattered) for _ in range(2)]
    await chat.aclose()
    assert backend.requests[-1]["messages"] == [
        {"role": "system", "content": "One.\n\nTwo."}, {"role": "user", "content": "Why?\n\nAnd how?"}
    ]  # fmt: skip
    assert len(backend.requests) == 4
    assert "takes one system message, at the beginning" in first.notes[0] == second.notes[0]


async def test_tokens_of_failed_attempts_are_counted(backend: Backend) -> None:
    backend.script = lambda body, n: Say("one two", finish="abort" if n == 0 else "stop")
    reply = await ask(backend.base_url, "whole", retries=1)
    assert (reply.usage.calls, reply.usage.output_tokens, reply.attempts) == (2, 4, 2)


async def test_a_slow_stream_that_keeps_coming_is_waited_for(backend: Backend) -> None:
    backend.script = lambda body, n: Say("one two three four five", pace=0.3)
    assert (await ask(backend.base_url, "streamed", timeout=0.8)).text == "one two three four five"


@EVERY
async def test_thinking_that_was_cut_off_is_no_answer(backend: Backend, transport: Transport) -> None:
    thought = "I wonder what is asked.\nDaoism says wu wei."
    backend.script = lambda body, n: (
        Say(f"{thought}\n</think>\n\nKin first.") if n == 0 else Say(thought, finish="length")
    )
    chat, heard = Chat(parse_spec("m", backend.base_url), transport=transport), list[str]()
    assert (await chat.complete([HumanMessage("Why?")])).text == "Kin first."
    with pytest.raises(CallError, match="spent before the answer began"):
        await chat.complete([HumanMessage("Why?")], on_delta=heard.append)
    for streamed in (False, True):
        asked = RelayRequest([{"role": "user", "content": "Why?"}], {"top_p": 0.5}, {}, streamed=streamed)
        (closed,) = [piece async for piece in relay(chat, asked)]
        assert isinstance(closed, Closed)
        assert closed.finish == "length"
    await chat.aclose()
    assert heard == []


async def test_a_reply_that_stops_coming_is_asked_for_once_more_and_no_oftener() -> None:
    async with running(Endpoint([event("half")], ends=False)) as endpoint:
        with pytest.raises(CallError, match="nothing more of the answer came"):
            await ask(endpoint.url, "streamed", timeout=0.2, retries=3)
    assert len(endpoint.bodies) == 2


class Own(BaseChatModel):
    """A caller's own chat model, which says some chunks and then fails, where it has an error to raise."""

    chunks: list[AIMessageChunk] = Field(default_factory=list)
    error: Any = None
    asked: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "own"

    def _generate(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def _astream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        self.asked.append(str(messages[0].content))
        for chunk in self.chunks:
            yield ChatGenerationChunk(message=chunk)
        if self.error is not None:
            raise self.error


def failing(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://api.example.org/v1")
    return httpx.HTTPStatusError(f"{status}", request=request, response=httpx.Response(status, headers=headers))


def with_code(status: int, **headers: str) -> Exception:
    error: Any = RuntimeError("slow down")
    error.code, error.response = status, SimpleNamespace(headers=headers)
    return error


HOUR_OFF = {"retry-after": formatdate(time.time() + 7200), "date": formatdate(time.time() + 3600)}


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (with_code(429, **{"retry-after": "3600"}), "rate_limited", "429, asks to wait 3600 s"),
        (failing(429, **HOUR_OFF), "rate_limited", "429, asks to wait 3600 s"),  # by the endpoint's own clock
        (failing(401), "refused", "401, the key is refused or missing"),
        (failing(400), "bad_request", "400 "),
    ],
)
async def test_the_status_that_a_callers_own_model_is_given_counts(error: Exception, kind: str, said: str) -> None:
    model = Own(error=error)
    with pytest.raises(CallError, match=said) as caught:
        await as_chat(model).complete([HumanMessage("Why?")])
    assert caught.value.kind == kind
    assert model.asked == ["Why?"]


async def test_every_piece_of_a_callers_own_model_may_say_how_the_reply_ends() -> None:
    chunks = [AIMessageChunk(content=each, response_metadata={"finish_reason": "STOP"}) for each in ("Kin ", "first.")]
    assert (await as_chat(Own(chunks=chunks)).complete([HumanMessage("Why?")])).text == "Kin first."


async def test_a_reply_without_end_is_cut_and_told() -> None:
    async with running(Endpoint([event("a" * 50_000), event("b" * 50_000)], ends=False)) as endpoint:
        reply = await ask(endpoint.url, "streamed", Call(max_tokens=10))
        chat = Chat(parse_spec("m", endpoint.url))
        asked = RelayRequest([{"role": "user", "content": "Why?"}], {"top_p": 0.5}, {}, limit=10, streamed=True)
        *_, closed = [piece async for piece in relay(chat, asked)]
        await chat.aclose()
    assert reply.cut
    assert len(reply.text) == 20_400
    assert isinstance(closed, Closed)
    assert "sent more than the call can have asked for" in reply.notes[0] == closed.notes[0]


async def test_a_redirect_to_another_host_is_not_followed(backend: Backend) -> None:
    there = {"Location": "http://localhost:9/v1/chat/completions"}
    backend.script = lambda body, n: Say(status=307, headers=there)
    with pytest.raises(CallError, match="redirects to another address, http://localhost"):
        await ask(backend.base_url, "whole", retries=2)
    assert len(backend.requests) == 1


async def test_a_redirect_that_would_drop_the_question_names_the_address(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=301, headers={"Location": "/api/v1/chat/completions?key=abc"})
    with pytest.raises(CallError, match=rf"301, moved to {backend.url}/api/v1; name that as --base-url"):
        await ask(backend.base_url, "whole", retries=2)
    assert len(backend.requests) == 1


async def test_a_packed_reply_is_read() -> None:
    choice = {"index": 0, "message": {"content": "fine."}, "finish_reason": "stop"}
    packed = gzip.compress(json.dumps({"choices": [choice]}).encode())
    kind = b"application/json\r\nContent-Encoding: gzip"
    async with running(Endpoint([packed], kind=kind)) as endpoint:
        assert (await ask(endpoint.url, "whole")).text == "fine."


async def test_a_model_on_this_machine_is_asked_past_every_proxy(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ALL_PROXY", "socks5://127.0.0.1:9"), ("SSL_CERT_FILE", "/nonexistent/ca.pem")):
        monkeypatch.setenv(name, value)
    assert (await ask(backend.base_url, "whole")).text == Say().text
    assert is_direct("http://[::1]:8000/v1")
    assert not is_direct("https://api.example.org/v1")


async def test_what_the_environment_says_of_openai_goes_to_no_other_endpoint(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = "X-Gateway-Key: gateway-secret\nAuthorization: Bearer sk-of-openai"
    named = {"OPENAI_CUSTOM_HEADERS": headers, "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "project-1"}
    for name, value in {**named, "MK": "the-key-of-this-endpoint", "OPENAI_API_KEY": "sk-of-openai"}.items():
        monkeypatch.setenv(name, value)
    await ask(backend.base_url, "whole", api_key_env="MK")
    assert await unreachable(parse_spec("m", backend.base_url)) is None
    monkeypatch.setenv("OPENAI_BASE_URL", f"{backend.base_url}\n")
    spec = parse_spec("openai:m")
    assert spec.place == backend.base_url
    chat = Chat(spec, transport="whole")
    await chat.complete([HumanMessage("Why?")])
    await chat.aclose()
    other, openais = backend.headers
    assert other["authorization"] == "Bearer the-key-of-this-endpoint"
    assert not {"x-gateway-key", "openai-organization", "openai-project"} & other.keys()
    assert openais["openai-organization"] == "org-1"
    monkeypatch.setenv("OPENAI_BASE_URL", "nowhere")
    with pytest.raises(UsageError, match="OPENAI_BASE_URL is no"):
        parse_spec("openai:m")


async def test_a_user_of_the_address_logs_in_in_place_of_a_key(backend: Backend) -> None:
    url = backend.base_url.replace("//", "//ann:p%40ss@")
    assert (await ask(url, "whole")).text == Say().text
    assert backend.headers[0]["authorization"] == f"Basic {b64encode(b'ann:p@ss').decode()}"
    with pytest.raises(UsageError, match="is sent one of them"):
        parse_spec("m", url, "MK")


@pytest.mark.parametrize(
    ("status", "message", "there"),
    [(405, "no", True), (403, "Missing scopes: api.model.read.", True), (403, "no", False), (401, "no", False)],
)
async def test_an_endpoint_that_lists_no_models_is_there(status: int, message: str, there: bool) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await unreachable(parse_spec("m", f"http://127.0.0.1:{port}/v1")) is None) is there


@pytest.mark.parametrize(
    "key",
    ["sk-proj-abcdef12", "gsk-abcdef12", f"gsk_{'a1' * 20}", f"hf_{'a1' * 17}", f"AIza{'Sy9' * 12}", "eyJh.eyJi.x-1"],
)
def test_a_key_in_the_words_of_a_callers_own_model_is_not_shown(key: str) -> None:
    assert safe(f"bad key {key}, sorry") == "bad key [key], sorry"


def test_an_error_that_holds_endless_brackets_is_read() -> None:
    assert read_error({"message": "bad", "metadata": {"raw": "[" * 50_000}}, 400).message.startswith("bad; [[")


async def test_a_query_of_the_address_goes_with_every_request() -> None:
    async with running(Endpoint([b'{"error": "no route /v1/chat/completions?v=1&key=abc"}'])) as endpoint:
        with pytest.raises(CallError, match=r"\?v=1&key=\[key\]"):
            await ask(f"{endpoint.url}?v=1&key=abc", "whole")
    assert endpoint.paths == ["/v1/chat/completions?v=1&key=abc"]


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UsageError, match=r"^ALL_PROXY names a "):
        http_client("https://api.example.org/v1", 5.0)


def test_a_key_with_a_character_outside_ascii_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MK", "sk-abcdef…ghijkl")
    with pytest.raises(UsageError, match=r"the key in MK holds a character that no key has \(U\+2026\)") as caught:
        api_key(parse_spec("m", "http://127.0.0.1:9/v1", "MK"))
    assert "abcdef" not in str(caught.value)
