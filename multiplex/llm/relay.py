"""A request that is passed to an endpoint as its caller wrote it, and the reply as the endpoint gave it.

What `Chat.complete` reads of a reply is its text. Here tools' calls, log probabilities and refusals come back too; what
comes is read as it is there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from multiplex.content import storable
from multiplex.llm.adaptation import LIMITS
from multiplex.llm.attempts import Attempts
from multiplex.llm.outcome import check_end, note_rest
from multiplex.llm.reading import THOUGHTS, ReplyReader, read_content
from multiplex.llm.reasoning import Manner
from multiplex.llm.spec import limit_name
from multiplex.llm.tracing import trace_call
from multiplex.llm.transport import Request, exchange
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from multiplex.llm.chat import Chat
    from multiplex.llm.connection import Connection

_KEPT = ("tool_calls", "function_call", "audio", "annotations")
_FINISHES = {"whole": "stop", "cut": "length", "declined": "content_filter", "tools": "tool_calls"}


@dataclass(frozen=True)
class Passed:
    """A piece of a reply: the fields of OpenAI's `delta` or `message`, and their `logprobs`.

    Thinking is in it only beside a call of a tool.
    """

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
        wanted |= {"stream": True, "stream_options": True}
    attempts = Attempts(line, spec, wanted, asked.messages, fixed={*LIMITS, *asked.given})
    messages = ((each["role"], str(each["content"] or "")) for each in asked.messages)
    began, text = perf_counter(), ""
    with trace_call(spec, messages, Call(tags=("multiplex:passed",))) as end:
        for attempt in attempts:
            async with attempt:
                sent = attempt.sent
                request = Request(spec.model, sent.messages, sent.parameters, spec.timeout, at, line.secret)
                most = next((sent.parameters[name] for name in LIMITS if name in sent.parameters), None)
                reader = RelayReader(asked, most, line.manner)
                attempt.spent = reader.spent
                async with aclosing(_pieces(line, request, reader, asked)) as pieces:
                    async for piece in pieces:
                        attempt.last = True
                        text += piece.delta.get("content") or ""
                        yield piece
                finish, usage = reader.finish(at)
                end(Reply(text, usage, perf_counter() - began, finish == "length", attempts.number))
                notes = sent.notes + ((note_rest(at),) if reader.too_long else ())
                yield Closed(finish, attempts.lost + usage, notes)


async def _pieces(
    line: Connection, request: Request, reader: RelayReader, asked: RelayRequest
) -> AsyncGenerator[Passed]:
    """The pieces of a stream as they come; of a reply that was asked for whole one piece, if it ended as it should."""
    body = request.streaming_body if asked.streamed else request.body
    whole: list[Passed] = []
    async with aclosing(exchange(_client(line), request, reader, body)) as pieces:
        async for piece in pieces:
            if asked.streamed:
                yield piece
            else:
                whole.append(piece)
    if not asked.streamed:
        reader.finish(request.at)
    if whole:
        yield _together(whole)


class RelayReader:
    """A reply as it comes in, read as any other; what its caller gets of it are the fields that are passed on.

    With log probabilities the text is that of the tokens, any thinking included. Beside a call of a tool goes what the
    model thought before it, which DeepSeek and Kimi want back with the result. `most` tokens were asked for.
    """

    def __init__(self, asked: RelayRequest, most: int | None, manner: Manner) -> None:
        # a reply that is shown whole can be held back whole: a closing mark alone is then never missed
        self._reply = ReplyReader(most, manner, hold=not asked.streamed)
        self._by_token = bool(asked.given.get("logprobs"))
        self._streamed = asked.streamed
        self._passed = False
        self._calls, self._thought = _ToolIndex(), dict[str, str]()

    @property
    def begun(self) -> bool:
        """Whether anything came that belongs to a chat completion."""
        return self._reply.begun

    @property
    def too_long(self) -> bool:
        """Whether the rest need not be read."""
        return self._reply.too_long

    def take(self, event: Any, kind: str = "") -> Passed | None:
        """Take in one event or a whole reply; what of it is passed on now.

        Raises:
            EndpointError: it tells of an error.
        """
        shown = self._reply.take(event, kind)
        choice, said = self._reply.choice, self._reply.said
        text, _, refusal = read_content(said)
        logprobs = choice.get("logprobs") if self._by_token else None
        made = {name: said[name] for name in _KEPT if said.get(name)}
        for name in THOUGHTS:
            if isinstance(thought := said.get(name), str) and thought:
                self._thought[name] = self._thought.get(name, "") + thought
        if "tool_calls" in made:
            made, self._thought = {**self._thought, **made}, {}
        pieced = self._streamed or said is choice.get("delta")
        if pieced and isinstance(calls := made.get("tool_calls"), list):
            made["tool_calls"] = [{**call, "index": self._calls.of(call, place)} for place, call in enumerate(calls)]
        if shown := storable(text) if self._by_token else shown:
            made["content"] = shown
        if refusal:
            made["refusal"] = refusal
        self._passed = self._passed or bool(made)
        return Passed(made, logprobs) if made or logprobs else None

    def close(self) -> Passed | None:
        """What is still passed on, once nothing more comes.

        Raises:
            ValueError: nothing came that belongs to a chat completion.
        """
        rest = self._reply.close()
        if not rest or self._by_token:
            return None
        self._passed = True
        return Passed({"content": rest})

    def spent(self) -> Usage:
        """What the reply has cost so far."""
        return self._reply.spent

    def finish(self, at: str) -> tuple[str, Usage]:
        """OpenAI's reason for the end of the reply, and what it cost.

        Raises:
            UnusableError: it is none, or not the whole of one.
            EndpointError: the endpoint tells of an error.
        """
        said = self._reply.finished()
        check_end(said, at, passed=self._passed)
        ended = _FINISHES.get(str(said.ending), "stop")
        return ("function_call" if said.finish.lower() == "function_call" else ended), said.usage


class _ToolIndex:
    """Which call of a tool a piece belongs to: Gemini sends every call of a stream with index 0, or with none."""

    def __init__(self) -> None:
        self._ids: list[str] = []  # by our index; empty where a call has none
        self._newest: dict[int, int] = {}  # ours by the endpoint's

    def of(self, call: Mapping[str, Any], place: int) -> int:
        """Our index of the call, whose piece stands at `place` of its event."""
        index, name = call.get("index"), call.get("id") or ""
        key = index if isinstance(index, int) else place
        known = self._newest.get(key)
        if known is not None and name and self._ids[known] not in ("", name):
            known = self._ids.index(name) if name in self._ids else None
        if known is None:
            known = len(self._ids)
            self._ids.append("")
        self._newest[key], self._ids[known] = known, self._ids[known] or name
        return known


def _together(pieces: Sequence[Passed]) -> Passed:
    """The pieces of one message as the message; an endpoint may stream what it was asked for whole."""
    if len(pieces) == 1:
        return pieces[0]
    made, calls, logprobs = dict[str, Any](), dict[int, dict[str, Any]](), list[Any]()
    for piece in pieces:
        for name, value in piece.delta.items():
            made[name] = made.get(name, "") + value if isinstance(value, str) else value
        for place, call in enumerate(piece.delta.get("tool_calls") or ()):
            begun = calls.setdefault(call.get("index", place), {**call, "function": {"name": "", "arguments": ""}})
            for name, value in (call.get("function") or {}).items():
                begun["function"][name] = begun["function"].get(name, "") + value if isinstance(value, str) else value
        logprobs += (piece.logprobs or {}).get("content") or ()
    if calls:
        made["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for _, call in sorted(calls.items())]
    return Passed(made, {"content": logprobs} if logprobs else None)


def _client(line: Connection) -> AsyncOpenAI:
    if line.client is None:
        raise AssertionError("a server's models are endpoints, and no chat models of LangChain")
    return line.client
