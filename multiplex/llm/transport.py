"""One request to a chat model, in one of several ways to hear its reply; one reader serves them all.

`observed`: streamed as a chat model of LangChain, whose callbacks and LangGraph's `messages` stream see every piece.
`streamed`: streamed without LangChain, for less of the processor's time. `whole`: in one piece, for least of it.
`Deferred`: another sends the request, with many, and hears the replies later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from multiplex.errors import CallError
from multiplex.llm.error_mapping import is_broken_connection, safe
from multiplex.llm.protocol import EndpointError
from multiplex.llm.reading import (
    MOST_BYTES,
    BrokenOffError,
    Completion,
    ReplyReader,
    ReplySink,
    Shown,
    TooLargeError,
    read_response,
)

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from openai import AsyncOpenAI

OnDelta = Callable[[str], None]
Transport = Literal["observed", "streamed", "whole"]
TOTAL = 10  # times the longest silence: what a whole reply may take
DRAIN = 0.1  # seconds in which an endpoint that has said [DONE] may end its response, so that the connection stays


@dataclass(frozen=True)
class Request:
    """One request: what is sent, and how long its endpoint may be silent (seconds).

    `at` names the model and its endpoint in errors; `secret` is the key, which no error shows; `key` is the name
    under which a ledger keeps the reply, or empty.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    silence: float
    at: str
    secret: str
    key: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The body of a request for a reply in one piece."""
        asked = {name: value for name, value in self.parameters.items() if name not in ("stream", "stream_options")}
        return {"model": self.model, "messages": list(self.messages), **asked}

    @property
    def streaming_body(self) -> dict[str, Any]:
        """The body of a request for a stream; for a reply in one piece where the endpoint refuses to stream."""
        if "stream" not in self.parameters:
            return self.body
        told = {"stream_options": {"include_usage": True}} if "stream_options" in self.parameters else {}
        return {**self.body, "stream": True, **told}


class Deferred(Protocol):
    """A transport that sends nothing itself: replies come some other way, such as in a batch."""

    async def fetch(self, request: Request) -> Mapping[str, Any]:
        """The body of the endpoint's response; it may wait for it for as long as it likes.

        Raises:
            EndpointError: the endpoint refused the request.
        """


async def observed(
    client: AsyncOpenAI,
    request: Request,
    reader: ReplyReader,
    on_delta: OnDelta | None,
    messages: Sequence[BaseMessage],
    tags: Sequence[str],
) -> Completion:
    """Ask and hear the reply as it comes, through LangChain, whose callbacks see what may be shown of it.

    Raises:
        CallError: the connection broke, or the endpoint was silent, in the middle; other exceptions are the client's.
    """
    from multiplex.llm.observed_model import ObservedModel

    pieces = exchange(client, request, reader, request.streaming_body)
    model, message_id = ObservedModel(model=request.model, pieces=pieces, reader=reader), None
    async for chunk in model.astream(list(messages), config={"tags": list(tags)}):
        message_id = chunk.id
        if on_delta is not None and (shown := str(chunk.text)):
            on_delta(shown)
    return replace(reader.finished(), message_id=message_id)


async def streamed(client: AsyncOpenAI, request: Request, reader: ReplyReader, on_delta: OnDelta | None) -> Completion:
    """Ask and hear the reply as it comes.

    Raises:
        CallError: as `observed`.
    """
    async for shown in exchange(client, request, reader, request.streaming_body):
        if on_delta is not None:
            on_delta(shown)
    return reader.finished()


async def whole(client: AsyncOpenAI, request: Request, reader: ReplyReader) -> Completion:
    """Ask and hear the reply when it is whole.

    Raises:
        CallError: as `observed`.
    """
    async for _ in exchange(client, request, reader, request.body):
        pass
    return reader.finished()


async def deferred(transport: Deferred, request: Request, reader: ReplyReader) -> Completion:
    """Hear a reply that somebody else fetched.

    Raises:
        EndpointError, ValueError, TypeError, AttributeError: as `multiplex.llm.reading.read_response`.
    """
    reader.take(await transport.fetch(request))
    reader.close()
    return reader.finished()


async def exchange(
    client: AsyncOpenAI, request: Request, reader: ReplySink[Shown], body: Mapping[str, Any]
) -> AsyncGenerator[Shown]:
    """Send a request and read its response into `reader`; yields what may be shown.

    Raises:
        CallError: the connection broke, the endpoint was silent for too long, or what came is no end of a reply.
        EndpointError: an error object came; other exceptions are the client's.
    """
    from openai import AsyncStream

    loop, at = asyncio.get_running_loop(), request.at
    end = loop.time() + TOTAL * request.silence
    try:
        async with asyncio.timeout(request.silence):
            # the plain request: the SDK would make a model of every event
            stream: Any = await client.post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            )
        try:
            async with aclosing(stream.response.aiter_bytes()) as chunks:
                async with aclosing(read_response(_patient(chunks, request.silence, end), reader)) as pieces:
                    async for shown in pieces:
                        yield shown
                if not reader.too_long:
                    await _drain(chunks)
        finally:
            await stream.close()
        if rest := reader.close():
            yield rest
    except TooLargeError:
        raise CallError(
            "server", f"{at}: the response has more than {MOST_BYTES:,} bytes; is --base-url right?"
        ) from None
    except BrokenOffError as error:
        raise CallError("server", f"{at}: {error}") from None
    except TimeoutError as error:
        if not reader.begun:
            raise
        what = "the answer was not whole within" if loop.time() >= end else "nothing more of the answer came for"
        seconds = TOTAL * request.silence if loop.time() >= end else request.silence
        raise CallError("timeout", f"{at}: {what} {seconds:g} s; raise MULTIPLEX_TIMEOUT") from error
    except (CallError, EndpointError):
        raise
    except Exception as error:
        if not reader.begun:
            raise
        if is_broken_connection(error):
            raise CallError("server", f"{at}: the connection broke in the middle of the answer") from error
        if isinstance(error, ValueError | TypeError | AttributeError):
            said = safe(f"{type(error).__name__}: {error}", request.secret)
            raise CallError("server", f"{at}: a piece in the middle of the answer cannot be read ({said})") from error
        raise


async def _patient(chunks: AsyncIterator[bytes], silence: float, end: float) -> AsyncGenerator[bytes]:
    """The chunks, as long as none takes longer than `silence` seconds and all come before `end` (the loop's time)."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout_at(min(end, loop.time() + silence)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        yield chunk


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
