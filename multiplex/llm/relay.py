"""A request that is passed to an endpoint as its caller wrote it, and the reply as the endpoint gave it.

What `Chat.complete` reads of a reply is its text. Here tools' calls, log probabilities and refusals come back too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from multiplex.errors import CallError
from multiplex.llm.adaptation import LIMITS
from multiplex.llm.attempts import Attempts
from multiplex.llm.error_mapping import safe
from multiplex.llm.outcome import UnusableError
from multiplex.llm.protocol import EndpointError, find_ending, find_error, read_usage
from multiplex.llm.reasoning import ThinkingFilter, without_thinking
from multiplex.llm.spec import limit_name
from multiplex.llm.tracing import trace_call
from multiplex.llm.transport import Request
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from multiplex.llm.chat import Chat
    from multiplex.llm.connection import Connection

_KEPT = ("content", "tool_calls", "function_call", "refusal", "audio", "annotations")
_FINISHES = {"whole": "stop", "cut": "length", "declined": "content_filter"}  # OpenAI's reasons; of tools it has two


@dataclass(frozen=True)
class Passed:
    """A piece of a reply: the fields of OpenAI's `delta` or `message`, without thinking, and their `logprobs`."""

    delta: Mapping[str, Any]
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Closed:
    """The end of a reply: OpenAI's reason for it, what all attempts cost, and what was not sent as it was wanted."""

    finish: str
    usage: Usage
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RelayRequest:
    """What is asked.

    Attributes:
        messages: as in OpenAI's chat API.
        given: fields of the caller; none is ever left out.
        ours: fields that the caller did not ask for, each left out where the endpoint refuses it.
        limit: most tokens of the reply, sent under the name that the endpoint takes, lowered where it takes no more.
    """

    messages: Sequence[Mapping[str, Any]]
    given: Mapping[str, Any]
    ours: Mapping[str, Any]
    limit: int | None = None
    streamed: bool = False


async def relay(chat: Chat, asked: RelayRequest) -> AsyncGenerator[Passed | Closed]:
    """The pieces of the reply as they come; `Closed` is the last. An attempt that failed before its first is repeated.

    Raises:
        CallError: the call failed for good, or the reply broke off.
        UsageError: the key's environment variable is not set.
        WeightsError: the embedded model cannot be had.
    """
    line, spec = await chat.connection(), chat.spec
    at = f"{spec.name} at {spec.place}"
    limit = {} if asked.limit is None else {limit_name(spec): asked.limit}
    wanted = {**asked.ours, **limit, **asked.given}
    if asked.streamed:
        wanted["stream_options"] = True
    attempts = Attempts(line, spec, wanted, asked.messages, fixed={*LIMITS, *asked.given})
    messages = ((each["role"], str(each["content"] or "")) for each in asked.messages)
    began, text = perf_counter(), ""
    with trace_call(spec, messages, Call(tags=("multiplex:passed",))) as end:
        for attempt in attempts:
            async with attempt:
                sent = attempt.sent
                request = Request(spec.model, sent.messages, sent.parameters, spec.timeout, at, line.secret)
                async with aclosing((_streamed if asked.streamed else _whole)(line, request)) as pieces:
                    async for piece in pieces:
                        attempt.last = True
                        if isinstance(piece, Closed):
                            piece = Closed(piece.finish, attempts.lost + piece.usage, sent.notes)
                            took, cut = perf_counter() - began, piece.finish == "length"
                            end(Reply(text, piece.usage, took, cut, attempts.number))
                        else:
                            text += piece.delta.get("content") or ""
                        yield piece


async def _streamed(line: Connection, request: Request) -> AsyncGenerator[Passed | Closed]:
    from openai import AsyncStream

    visible, finish, spent = ThinkingFilter(line.manner), None, dict[str, Any]()
    stream: Any = await _client(line).with_options(timeout=request.silence).post(
        "/chat/completions", cast_to=object, body=request.streaming_body, stream=True,
        stream_cls=AsyncStream[object],
    )  # fmt: skip
    try:
        async for event in stream:
            if not event.get("choices") and (error := find_error(event)) is not None:
                raise EndpointError(error)
            spent = event.get("usage") or spent
            for choice in (event.get("choices") or ())[:1]:
                finish = choice.get("finish_reason") or finish
                passed = _passed(choice.get("delta") or {})
                text = passed.get("content")
                if text and not choice.get("logprobs"):  # which belong to the tokens as they came
                    passed["content"] = visible.feed(text)
                if any(passed.values()):
                    yield Passed({name: value for name, value in passed.items() if value}, choice.get("logprobs"))
    finally:
        await stream.close()
    if rest := visible.feed("", last=True):
        yield Passed({"content": rest})
    yield _closed(finish, spent, request.at)


async def _whole(line: Connection, request: Request) -> AsyncGenerator[Passed | Closed]:
    at = request.at
    reply: Any = (
        await _client(line)
        .with_options(timeout=request.silence)
        .post("/chat/completions", cast_to=object, body=request.body)
    )
    if (error := find_error(reply)) is not None and not reply.get("choices"):
        raise EndpointError(error)
    try:
        choice = reply["choices"][0]
        passed = _passed(choice["message"])
    except (LookupError, TypeError, AttributeError):
        what = "no message in it" if isinstance(reply, dict) else safe(str(reply), line.secret)
        raise CallError("server", f"{at}: the reply is no OpenAI-compatible chat completion ({what})") from None
    if passed.get("content") and not choice.get("logprobs"):
        passed["content"] = without_thinking(passed["content"])
    closed = _closed(choice.get("finish_reason"), reply.get("usage") or {}, at)
    if not any(passed.values()) and closed.finish == "stop":
        raise UnusableError(CallError("empty", f"{at}: the reply is empty"), 2, closed.usage)
    yield Passed({name: value for name, value in passed.items() if value}, choice.get("logprobs"))
    yield closed


def _client(line: Connection) -> AsyncOpenAI:
    if line.client is None:
        raise AssertionError("a server's models are endpoints, and no chat models of LangChain")
    return line.client


def _passed(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are passed on; content that comes in parts as one text."""
    kept = {name: said[name] for name in _KEPT if said.get(name)}
    if isinstance(kept.get("content"), list):
        kept["content"] = "".join(str(part.get("text") or "") for part in kept["content"] if isinstance(part, dict))
    return kept


def _closed(finish: str | None, spent: Mapping[str, Any], at: str) -> Closed:
    """The end of a reply.

    Raises:
        UnusableError: the endpoint says that it failed, or gives no reason, which is how a reply looks that broke off.
    """
    ending = find_ending(finish)
    usage = read_usage(spent, spoke=ending in ("whole", "tools"))
    if finish is None:
        why = "the stream ended in the middle of the answer"
    elif ending == "broken":
        why = f"the endpoint ended the answer with {safe(finish)!r}"
    else:
        return Closed(_FINISHES.get(str(ending), finish.lower()), usage)
    raise UnusableError(CallError("server", f"{at}: {why}"), None, usage)
