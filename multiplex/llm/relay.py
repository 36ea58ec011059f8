"""A request that is passed to an endpoint as its caller wrote it, and the reply as the endpoint gave it.

What `Chat.complete` reads of a reply is its text. Here tools' calls, log probabilities and refusals come back too.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multiplex.errors import CallError
from multiplex.llm.error_mapping import FailedAttempt, explain, safe
from multiplex.llm.protocol import find_ending
from multiplex.llm.reasoning import ThinkingFilter, without_thinking
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from multiplex.llm.chat import Chat
    from multiplex.llm.clients import Clients
    from multiplex.llm.connection import Connection

_KEPT = ("content", "tool_calls", "function_call", "refusal", "audio", "annotations")
_FINISHES = {"whole": "stop", "cut": "length", "declined": "content_filter"}  # OpenAI's reasons; of tools it has two
_LONGEST_BACKOFF = 8.0  # seconds


@dataclass(frozen=True)
class Passed:
    """A piece of a reply: the fields of OpenAI's `delta` or `message`, without thinking, and their `logprobs`."""

    delta: Mapping[str, Any]
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Closed:
    """The end of a reply: OpenAI's reason for it, the cost, and the fields of ours that the endpoint refused."""

    finish: str
    usage: Usage
    refused: tuple[str, ...] = ()


@dataclass
class RelayRequest:
    """What is asked.

    Attributes:
        messages: as in OpenAI's chat API.
        given: fields of the caller; none is ever left out.
        ours: fields that the caller did not ask for, each left out where the endpoint refuses it by name.
        limit: most tokens of the reply, sent under the name that the endpoint takes.
    """

    messages: Sequence[Mapping[str, Any]]
    given: Mapping[str, Any]
    ours: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    streamed: bool = False

    def body(self, model: str, limit_name: str) -> dict[str, Any]:
        """The body of the request."""
        limit = {} if self.limit is None else {limit_name: self.limit}
        return {"model": model, "messages": list(self.messages), **self.ours, **limit, **self.given}


async def relay(chat: Chat, asked: RelayRequest) -> AsyncGenerator[Passed | Closed]:
    """The pieces of the reply as they come; `Closed` is the last. An attempt that failed before its first is repeated.

    Raises:
        CallError: the call failed for good, or the reply broke off.
        UsageError: the key's environment variable is not set.
        WeightsError: the embedded model cannot be had.
    """
    line, spec = await chat.connection(), chat.spec
    at = f"{spec.name} at {spec.place}"
    limit_name = "max_completion_tokens" if spec.base_url is None and not spec.local else "max_tokens"
    wanted = set(asked.ours)
    if asked.streamed:
        asked.ours["stream_options"] = {"include_usage": True}
    attempt, begun = 1, False
    while True:
        place = line.limiter.place()
        try:
            async with place:
                body = asked.body(spec.model, limit_name)
                async with aclosing((_streamed if asked.streamed else _whole)(line, body, at, spec.timeout)) as pieces:
                    async for piece in pieces:
                        begun = True
                        if isinstance(piece, Closed):
                            piece = Closed(piece.finish, piece.usage, tuple(sorted(wanted - set(asked.ours))))
                        yield piece
            return
        except CallError as error:
            failure = FailedAttempt(error)
            cause: Exception = error
        except Exception as error:
            said = _refusal(error)
            if refused := [name for name in asked.ours if name in said]:
                for name in refused:
                    del asked.ours[name]
                continue
            if "max_completion_tokens" in said and asked.limit is not None and limit_name == "max_tokens":
                limit_name = "max_completion_tokens"
                continue
            failure, cause = explain(error, spec, line.secret), error
        place.failed(failure)
        if begun or attempt >= min(spec.retries + 1, failure.attempts or spec.retries + 1):
            raise failure.error from cause
        backoff = random.uniform(0, min(0.5 * 2**attempt, _LONGEST_BACKOFF))
        await asyncio.sleep(max(failure.wait or 0.0, backoff))
        attempt += 1


def _refusal(error: Exception) -> str:
    """What an endpoint says of a request that it refuses; empty for anything else."""
    import openai

    if not isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError):
        return ""
    return f"{error.param or ''} {error.message}".lower()


async def _streamed(line: Connection, body: dict[str, Any], at: str, silence: float) -> AsyncGenerator[Passed | Closed]:
    from openai import AsyncStream

    visible, finish, spent = ThinkingFilter(), None, dict[str, Any]()
    with _clients(line).least_busy() as client:
        stream: Any = await client.with_options(timeout=silence).post(
            "/chat/completions", cast_to=object, body=body | {"stream": True}, stream=True,
            stream_cls=AsyncStream[object],
        )  # fmt: skip
        try:
            async for event in stream:
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
    yield _closed(finish, spent, at)


async def _whole(line: Connection, body: dict[str, Any], at: str, silence: float) -> AsyncGenerator[Passed | Closed]:
    with _clients(line).least_busy() as client:
        reply: Any = await client.with_options(timeout=silence).post("/chat/completions", cast_to=object, body=body)
    try:
        choice = reply["choices"][0]
        passed = _passed(choice["message"])
    except (LookupError, TypeError, AttributeError):
        error = reply.get("error") if isinstance(reply, dict) else reply
        what = safe(str(error or "no message in it"), line.secret)
        raise CallError("server", f"{at}: the reply is no OpenAI-compatible chat completion ({what})") from None
    if passed.get("content") and not choice.get("logprobs"):
        passed["content"] = without_thinking(passed["content"])
    closed = _closed(choice.get("finish_reason"), reply.get("usage") or {}, at)
    if not any(passed.values()) and closed.finish == "stop":
        raise CallError("empty", f"{at}: the reply is empty")
    yield Passed({name: value for name, value in passed.items() if value}, choice.get("logprobs"))
    yield closed


def _clients(line: Connection) -> Clients:
    if line.clients is None:
        raise AssertionError("a server's models are endpoints, and no chat models of LangChain")
    return line.clients


def _passed(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are passed on; content that comes in parts as one text."""
    kept = {name: said[name] for name in _KEPT if said.get(name)}
    if isinstance(kept.get("content"), list):
        kept["content"] = "".join(str(part.get("text") or "") for part in kept["content"] if isinstance(part, dict))
    return kept


def _closed(finish: str | None, spent: Mapping[str, Any], at: str) -> Closed:
    """The end of a reply.

    Raises:
        CallError: the endpoint says that it failed, or gives no reason, which is how a reply looks that broke off.
    """
    if finish is None:
        raise CallError("server", f"{at}: the stream ended in the middle of the answer")
    ending = find_ending(finish)
    if ending in (None, "broken"):
        raise CallError("server", f"{at}: the endpoint ended the answer with {safe(finish)!r}")
    usage = Usage(calls=1, input_tokens=spent.get("prompt_tokens"), output_tokens=spent.get("completion_tokens"))
    return Closed(_FINISHES.get(str(ending), finish.lower()), usage)
