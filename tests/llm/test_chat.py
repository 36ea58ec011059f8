from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import get_args

import pytest
from langchain_core.messages import HumanMessage

from multiplex.errors import CallError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.pacing import Pacing
from multiplex.llm.spec import ModelSpec, parse_spec
from multiplex.llm.transport import Transport
from multiplex.llm.types import Call, Reply
from tests.backend import Backend, Body, Crowd, Say

KEY = "sk-veryverysecret1234567890"


def spec_of(backend: Backend, **changes: object) -> ModelSpec:
    return parse_spec("test-model", backend.base_url).model_copy(update={"retries": 2, "timeout": 5.0, **changes})


@pytest.fixture(params=get_args(Transport), autouse=True)
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Transport:
    """Every test here holds for each way to hear a reply."""
    monkeypatch.setitem(Chat.__init__.__kwdefaults__, "transport", request.param)
    way: Transport = request.param
    return way


async def asks(spec: ModelSpec, text: str = "Why?", call: Call | None = None) -> Reply:
    chat = Chat(spec)
    try:
        return await chat.complete([HumanMessage(text)], call)
    finally:
        await chat.aclose()


async def test_a_reply_comes_with_its_tokens(backend: Backend) -> None:
    backend.script = lambda body, n: Say("one two three")
    reply = await asks(spec_of(backend), "why is this so")
    assert reply.text == "one two three"
    assert (reply.usage.calls, reply.usage.input_tokens, reply.usage.output_tokens) == (1, 4, 3)
    assert not reply.cut


async def test_an_endpoint_without_usage_leaves_tokens_unknown_not_zero(backend: Backend) -> None:
    backend.script = lambda body, n: Say(usage=False)
    usage = (await asks(spec_of(backend))).usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens) == (1, None, None)


async def test_thinking_is_neither_returned_nor_streamed(backend: Backend) -> None:
    backend.script = lambda body, n: Say("<think> secret plan </think> The answer is care.")
    heard: list[str] = []
    chat = Chat(spec_of(backend))
    reply = await chat.complete([HumanMessage("Why?")], on_delta=heard.append)
    await chat.aclose()
    assert reply.text == "The answer is care."
    assert "".join(heard).strip() == "The answer is care."


@pytest.mark.parametrize("name", ["temperature", "stream_options", "seed", "response_format"])
async def test_a_refused_parameter_is_left_out_and_stays_out(backend: Backend, name: str, wire: Transport) -> None:
    if name == "stream_options" and wire == "whole":
        pytest.skip("it is not sent")

    def script(body: Body, n: int) -> Say:
        refusal = {
            "message": f"Unsupported parameter: '{name}' is not supported.",
            "type": "invalid_request_error",
            "param": name,
        }
        return Say(status=400, error=refusal) if name in body else Say("fine.")

    backend.script = script
    chat, call = Chat(spec_of(backend)), Call(seed=3, response_format={"type": "json_object"})
    for _ in range(2):
        assert (await chat.complete([HumanMessage("Why?")], call)).text == "fine."
    await chat.aclose()
    assert [name in body for body in backend.requests] == [True, False, False]
    others = {"temperature", "seed", "response_format", *(["stream_options"] if wire != "whole" else [])} - {name}
    assert all(others <= body.keys() for body in backend.requests)


@pytest.mark.parametrize(
    ("told", "stays"),
    [("Unrecognized request argument supplied: user", False), ("role must be 'user' or 'assistant'", True)],
)
async def test_user_is_left_out_only_where_it_is_refused_by_name(backend: Backend, told: str, stays: bool) -> None:
    backend.script = lambda body, n: Say(status=400, error={"message": told, "type": "x"}) if n == 0 else Say()
    chat = Chat(spec_of(backend, retries=0)).adjusted(user="u1")
    with suppress(CallError):
        await chat.complete([HumanMessage("Why?")])
    await chat.complete([HumanMessage("Why?")])
    await chat.aclose()
    assert ["user" in body for body in backend.requests] == ([True, True] if stays else [True, False, False])


async def test_retry_after_is_honoured_for_every_call_to_the_endpoint(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=429, headers={"Retry-After": "1"}) if n == 0 else Say("fine.")
    chat = Chat(spec_of(backend))
    began = time.monotonic()
    first = asyncio.create_task(chat.complete([HumanMessage("first")]))
    while chat.limiter is None or not chat.limiter.held:
        await asyncio.sleep(0.01)
    second = await chat.complete([HumanMessage("second")])
    await first
    await chat.aclose()
    assert second.text == "fine."
    while len(backend.times) < len(backend.requests):  # the server notes the end after it has sent it
        await asyncio.sleep(0.01)
    later = [times[0] - began for times, body in zip(sorted(backend.times), backend.requests, strict=True)][1:]
    assert all(start >= 1.0 for start in later)


async def test_a_wait_longer_than_a_minute_is_told_not_waited_for(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=429, headers={"Retry-After": "3600"})
    with pytest.raises(CallError, match="asks to wait 3600 s") as caught:
        await asks(spec_of(backend))
    assert caught.value.kind == "rate_limited"
    assert len(backend.requests) == 1


MISMADE = {"message": "Failed to validate JSON.", "type": "invalid_request_error", "code": "json_validate_failed"}


@pytest.mark.parametrize(
    "failure",
    [Say(status=500), Say(status=503), Say(cut_after=2), Say(broken_event=True), Say(text=""),
     Say(status=400, error=MISMADE)],
)  # fmt: skip
async def test_a_passing_failure_is_tried_again(backend: Backend, failure: Say) -> None:
    backend.script = lambda body, n: failure if n == 0 else Say("fine.")
    assert (await asks(spec_of(backend))).text == "fine."
    assert len(backend.requests) == 2


async def test_a_reply_that_breaks_off_is_told_from_an_endpoint_that_is_not_there(backend: Backend) -> None:
    backend.script = lambda body, n: Say(cut_after=2)
    with pytest.raises(CallError, match="the connection broke") as caught:
        await asks(spec_of(backend, retries=0))
    assert caught.value.kind == "server"


async def test_a_lasting_failure_ends_after_the_retries_with_one_line(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=500, error={"message": "first line\nsecond line", "type": "x"})
    with pytest.raises(CallError, match="500") as caught:
        await asks(spec_of(backend))
    assert caught.value.kind == "server"
    assert "\n" not in str(caught.value)
    assert len(backend.requests) == 3


@pytest.mark.parametrize(("status", "said"), [(401, "Incorrect API key"), (400, "API key not valid")])
async def test_a_refused_key_is_not_tried_again_and_never_shown(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    backend.script = lambda body, n: Say(status=status, error={"message": f"{said}: {KEY}", "type": "auth"})
    with pytest.raises(CallError, match="TEST_KEY") as caught:
        await asks(spec_of(backend, api_key_env="TEST_KEY"))
    assert caught.value.kind == "refused"
    assert KEY not in str(caught.value)
    assert len(backend.requests) == 1
    assert backend.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_an_error_that_quotes_the_key_does_not_show_it(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "unusual.key.format")
    backend.script = lambda body, n: Say(status=400, error={"message": "bad: unusual.key.format", "type": "x"})
    with pytest.raises(CallError) as caught:
        await asks(spec_of(backend, api_key_env="TEST_KEY"))
    assert "unusual.key.format" not in str(caught.value)


async def test_openais_key_is_never_sent_to_another_endpoint(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await asks(spec_of(backend))
    assert "authorization" not in backend.headers[0]


async def test_half_a_character_which_no_request_can_hold_is_replaced(backend: Backend) -> None:
    await asks(spec_of(backend), "caf\udce9?")
    assert backend.requests[0]["messages"][0]["content"] == "caf??"


async def test_a_missing_key_is_a_usage_error(backend: Backend) -> None:
    with pytest.raises(UsageError, match="set TEST_KEY"):
        await asks(spec_of(backend, api_key_env="TEST_KEY"))
    assert backend.requests == []


async def test_nothing_at_the_address_says_so() -> None:
    spec = parse_spec("m", "http://127.0.0.1:9/v1").model_copy(update={"retries": 0})
    with pytest.raises(CallError, match="nothing answers there") as caught:
        await asks(spec)
    assert caught.value.kind == "unreachable"


async def test_a_reply_that_takes_too_long_is_given_up(backend: Backend) -> None:
    backend.script = lambda body, n: Say(delay=2.0)
    with pytest.raises(CallError, match=r"no answer within 0\.3 s") as caught:
        await asks(spec_of(backend, timeout=0.3, retries=0))
    assert caught.value.kind == "timeout"


async def test_a_page_that_is_no_api_is_told_from_a_failure(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=404, error="<html>not here</html>")
    with pytest.raises(CallError, match="404, no such model or address") as caught:
        await asks(spec_of(backend))
    assert caught.value.kind == "bad_request"
    assert len(backend.requests) == 1


async def test_a_cut_off_reply_says_so(backend: Backend) -> None:
    backend.script = lambda body, n: Say("A whole sentence. And half of", finish="length")
    reply = await asks(spec_of(backend))
    assert reply.cut


async def test_a_model_that_spends_its_tokens_thinking_is_told_apart(backend: Backend) -> None:
    backend.script = lambda body, n: Say("<think> and on and on", finish="length")
    with pytest.raises(CallError, match="spent before the answer began") as caught:
        await asks(spec_of(backend))
    assert caught.value.kind == "cut_off"
    assert len(backend.requests) == 1


async def test_no_more_calls_run_at_once_than_the_limit(backend: Backend) -> None:
    crowd = Crowd(3)

    def script(body: Body, number: int) -> Say:
        crowd.meet()
        return Say()

    backend.script = script
    chat = Chat(spec_of(backend, limit=3))
    await asyncio.gather(*(chat.complete([HumanMessage(str(i))]) for i in range(9)))
    await chat.aclose()
    assert crowd.most == 3


async def test_a_refusal_that_names_no_time_holds_the_others_back_too(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=429)
    chat = Chat(spec_of(backend, limit=8, retries=0))
    with suppress(CallError):
        await chat.complete([HumanMessage("Why?")])
    limiter = chat.limiter
    await chat.aclose()
    assert limiter is not None
    assert limiter.limit == 4
    assert limiter.held > 0


async def test_calls_that_take_turns_lose_none(backend: Backend) -> None:
    turns = Pacing()
    chat = Chat(spec_of(backend), pacing=turns).with_transport("whole")
    replies = await asyncio.gather(*(chat.complete([HumanMessage(str(i))]) for i in range(9)))
    await chat.aclose()
    assert [reply.text for reply in replies] == [Say().text] * 9
    await asyncio.wait_for(turns.take(), 1.0)
