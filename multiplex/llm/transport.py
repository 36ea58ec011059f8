"""One request to a chat model and what comes back, in one of three ways to hear it.

`observed`: streamed through LangChain, whose callbacks and LangGraph's `messages` stream see every piece. `streamed`:
streamed without LangChain, at a sixth of the processor's time. `whole`: in one piece, at a twentieth.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from multiplex.errors import CallError
from multiplex.llm.error_mapping import is_broken_connection, safe
from multiplex.llm.reasoning import ThinkingFilter
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    import ssl

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

OnDelta = Callable[[str], None]
Transport = Literal["observed", "streamed", "whole"]
POOL = 20  # requests at once over one HTTP client
DRAIN = 0.1  # seconds in which an endpoint that has said [DONE] may end its response, so that the connection stays
_FINISHES = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # as LangChain's integrations name it
_SAME_FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "eos": "stop", "eos_token": "stop", "complete": "stop",
    "stop": "stop", "max_tokens": "length", "model_length": "length",
}  # fmt: skip
_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


@dataclass(frozen=True)
class Completion:
    """What came: the text with any thinking, the endpoint's reason for ending it (None: it broke off), and the cost.

    `message_id` is LangChain's, where its callbacks saw the pieces.
    """

    text: str
    finish: str | None
    usage: Usage
    message_id: str | None = None


async def observed(
    client: BaseChatModel,
    messages: Sequence[BaseMessage],
    parameters: Mapping[str, Any] | None,
    tags: Sequence[str],
    on_delta: OnDelta | None,
    at: str,
) -> Completion:
    """Ask and hear the reply as it comes, through LangChain, whose callbacks see every piece.

    A caller's own chat model has parameters of its own: then `parameters` is None.

    Raises:
        CallError: the connection broke in the middle; other exceptions are the client's.
    """
    visible = ThinkingFilter()
    whole: AIMessageChunk | None = None
    options = {} if parameters is None else _options(parameters)
    pieces = client.astream(list(messages), config={"tags": list(tags)}, **options)
    try:
        async for chunk in pieces:
            whole = chunk if whole is None else whole + chunk
            if on_delta is not None and (shown := visible.feed(str(chunk.text))):
                on_delta(shown)
    except Exception as error:
        if whole is not None and is_broken_connection(error):
            raise CallError("server", f"{at}: the connection broke in the middle of the answer") from error
        raise
    if on_delta is not None and (shown := visible.feed("", last=True)):
        on_delta(shown)
    if whole is None:
        raise ValueError("the stream held nothing")
    spent = whole.usage_metadata
    return Completion(
        str(whole.text),
        whole.response_metadata.get("finish_reason") if parameters is not None else _finish(whole.response_metadata),
        _usage(spent and spent["input_tokens"], spent and spent["output_tokens"]),
        whole.id,
    )


async def streamed(
    clients: Clients,
    model: str,
    messages: Sequence[BaseMessage],
    parameters: Mapping[str, Any],
    on_delta: OnDelta | None,
    at: str,
    secret: str,
) -> Completion:
    """Ask and hear the reply as it comes, through the client beneath LangChain: a sixth of the processor's time.

    Raises:
        CallError: the connection broke in the middle, or an event told of an error; other exceptions are the client's.
    """
    from openai import AsyncStream

    heard = _Heard(on_delta)
    body = _body(model, messages, parameters) | {"stream": True}
    if "stream_options" in parameters:
        body["stream_options"] = {"include_usage": True}
    with clients.least_busy() as client:
        try:
            stream: Any = await client.post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            )
            try:
                # the SDK would make a model of every event
                await _listen(stream.response, heard)
            finally:
                await stream.close()
        except _EventError as error:
            raise CallError("server", f"{at}: {safe(str(error), secret)}") from None
        except Exception as error:
            if heard.begun and is_broken_connection(error):
                raise CallError("server", f"{at}: the connection broke in the middle of the answer") from error
            raise
    return heard.finished()


async def whole(
    clients: Clients, model: str, messages: Sequence[BaseMessage], parameters: Mapping[str, Any], at: str, secret: str
) -> Completion:
    """Ask and hear the reply when it is whole, through the client beneath LangChain.

    Raises:
        CallError: the reply holds no message; other exceptions are the client's.
    """
    with clients.least_busy() as client:
        # the plain request: the SDK's typed one spends half of its time on checking what goes in and comes out
        reply: Any = await client.post("/chat/completions", cast_to=object, body=_body(model, messages, parameters))
    try:
        choice, spent = reply["choices"][0], reply.get("usage") or {}
        text = choice["message"].get("content") or ""
    except (LookupError, TypeError, AttributeError):
        error = reply.get("error") if isinstance(reply, dict) else reply
        what = safe(str(error or "no message in it"), secret)
        raise CallError("server", f"{at}: the reply is no OpenAI-compatible chat completion ({what})") from None
    return Completion(
        text, choice.get("finish_reason"), _usage(spent.get("prompt_tokens"), spent.get("completion_tokens"))
    )


class _EventError(Exception):
    """An event that tells of an error in place of the next piece."""


class _Heard:
    """A reply as its events come in; what may be shown of it goes to `on_delta`."""

    def __init__(self, on_delta: OnDelta | None) -> None:
        self.begun = False
        self._on_delta, self._visible = on_delta, ThinkingFilter()
        self._pieces: list[str] = []
        self._finish: str | None = None
        self._spent: dict[str, Any] = {}

    def take(self, event: Any) -> None:
        """Take in one event; a field of the wrong kind raises what Python raises.

        Raises:
            _EventError: it tells of an error.
        """
        if error := event.get("error"):
            told = error.get("message") if isinstance(error, dict) else error
            raise _EventError(str(told or "an error in the middle of the answer"))
        self.begun = True
        self._spent = event.get("usage") or self._spent
        for choice in (event.get("choices") or ())[:1]:
            self._finish = choice.get("finish_reason") or self._finish
            if piece := (choice.get("delta") or {}).get("content"):
                self._pieces.append(piece)
                if self._on_delta is not None:
                    self._show(self._visible.feed(piece))

    def _show(self, shown: str) -> None:
        if shown and self._on_delta is not None:
            self._on_delta(shown)

    def finished(self) -> Completion:
        """What was said, once nothing more comes."""
        if not self.begun:
            raise ValueError("the stream held nothing")
        self._show(self._visible.feed("", last=True))
        spent = self._spent
        usage = _usage(spent.get("prompt_tokens"), spent.get("completion_tokens"))
        return Completion("".join(self._pieces), self._finish, usage)


async def _listen(response: Any, heard: _Heard) -> None:
    """Hear a response of server-sent events up to [DONE], or to its end."""
    lines = _Lines()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            for data in lines.feed(chunk):
                if data == b"[DONE]":
                    await _drain(chunks)
                    return
                heard.take(json.loads(data.decode()))
    for data in lines.feed(b"\n\n"):  # an endpoint may leave out the last empty line
        if data != b"[DONE]":
            heard.take(json.loads(data.decode()))


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end of a response that has said all; where none comes its connection is closed, not used again."""
    try:
        async with asyncio.timeout(DRAIN):
            async for _ in chunks:
                pass
    except TimeoutError:
        return
    except Exception as error:
        if not is_broken_connection(error):
            raise


class _Lines:
    """The data of server-sent events, cut out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that these bytes complete."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()


def _body(model: str, messages: Sequence[BaseMessage], parameters: Mapping[str, Any]) -> dict[str, Any]:
    said = [{"role": _ROLES[message.type], "content": str(message.text)} for message in messages]
    asked = {name: value for name, value in parameters.items() if name != "stream_options"}
    return {"model": model, "messages": said, **asked}


class Clients:
    """Clients of one endpoint, each with a few connections of its own.

    The HTTP client looks through all of its connections with every request, so that two hundred in one pool cost it
    more than the request itself.
    """

    def __init__(self, first: AsyncOpenAI, timeout: float) -> None:
        self._all, self._busy = [first], [0]
        self._timeout = timeout

    @contextmanager
    def least_busy(self) -> Iterator[AsyncOpenAI]:
        """The client with the fewest requests under way; a new one where all have as many as they should."""
        place = min(range(len(self._all)), key=self._busy.__getitem__)
        if self._busy[place] >= POOL:
            place = len(self._all)
            self._all.append(self._all[0].copy(http_client=http_client(self._timeout)))
            self._busy.append(0)
        self._busy[place] += 1
        try:
            yield self._all[place]
        finally:
            self._busy[place] -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._all:
            await client.close()


def http_client(timeout: float) -> DefaultAsyncHttpxClient:
    """An HTTP client with OpenAI's defaults."""
    from openai import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient(timeout=timeout, verify=_trust())


@cache
def _trust() -> ssl.SSLContext:
    """The certificates that an HTTP client trusts; to read them costs every client as much as ten requests."""
    from openai import DefaultAsyncHttpxClient

    library = import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])  # httpx or httpx2
    context: ssl.SSLContext = library.create_ssl_context()
    return context


def _options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as ChatOpenAI takes them: some by name, the others as they go into the body."""
    names = ("temperature", "seed", "top_p")
    known = {name: value for name, value in parameters.items() if name in names}
    others = {name: value for name, value in parameters.items() if name not in names}
    usage = others.pop("stream_options", None) is not None
    return {**known, "stream_usage": usage, "extra_body": others or None}


def _finish(metadata: Mapping[str, Any]) -> str:
    """Why a reply of a caller's own chat model ended, in OpenAI's words where its provider has others for the same.

    Not every provider says; a model that broke off has raised.
    """
    said = next((str(metadata[name]) for name in _FINISHES if metadata.get(name)), "stop")
    return _SAME_FINISH.get(said.lower(), said)


def _usage(given: int | None, made: int | None) -> Usage:
    return Usage(calls=1, input_tokens=given, output_tokens=made)
