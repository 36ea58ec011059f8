"""One request to a chat model and what comes back, streamed or whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multiplex.errors import CallError
from multiplex.llm.failures import is_broken_connection, safe
from multiplex.llm.thinking import ThinkingFilter
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_openai import ChatOpenAI
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

OnDelta = Callable[[str], None]
POOL = 20  # requests at once over one HTTP client
_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


@dataclass(frozen=True)
class Said:
    """What came: the text with any thinking, the endpoint's reason for ending it (None: it broke off), and the cost."""

    text: str
    finish: str | None
    usage: Usage


async def streamed(
    client: ChatOpenAI,
    messages: Sequence[BaseMessage],
    parameters: Mapping[str, Any],
    tags: Sequence[str],
    on_delta: OnDelta | None,
    at: str,
) -> Said:
    """Ask and hear the reply as it comes, through LangChain, whose callbacks see every piece.

    Raises:
        CallError: the connection broke in the middle; other exceptions are the client's.
    """
    visible = ThinkingFilter()
    whole: AIMessageChunk | None = None
    known, others = _parted(parameters)
    usage = others.pop("stream_options", None) is not None
    pieces = client.astream(
        list(messages), config={"tags": list(tags)}, stream_usage=usage, extra_body=others or None, **known
    )
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
    return Said(
        str(whole.text),
        whole.response_metadata.get("finish_reason"),
        _usage(spent and spent["input_tokens"], spent and spent["output_tokens"]),
    )


async def unstreamed(
    clients: Clients, model: str, messages: Sequence[BaseMessage], parameters: Mapping[str, Any], at: str, secret: str
) -> Said:
    """Ask and hear the reply when it is whole, through the client beneath LangChain: a tenth of the processor's time.

    Raises:
        CallError: the reply holds no message; other exceptions are the client's.
    """
    asked = {name: value for name, value in parameters.items() if name != "stream_options"}
    said = [{"role": _ROLES[message.type], "content": str(message.text)} for message in messages]
    with clients.least_busy() as client:
        # the plain request: the SDK's typed one spends half of its time on checking what goes in and comes out
        reply: Any = await client.post(
            "/chat/completions", cast_to=object, body={"model": model, "messages": said, **asked}
        )
    try:
        choice, spent = reply["choices"][0], reply.get("usage") or {}
        text = choice["message"].get("content") or ""
    except (LookupError, TypeError, AttributeError):
        error = reply.get("error") if isinstance(reply, dict) else reply
        what = safe(str(error or "no message in it"), secret)
        raise CallError("server", f"{at}: the reply is no OpenAI-compatible chat completion ({what})") from None
    return Said(text, choice.get("finish_reason"), _usage(spent.get("prompt_tokens"), spent.get("completion_tokens")))


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

    return DefaultAsyncHttpxClient(timeout=timeout)


def _parted(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters that the client takes by name, and those that go into the body as they are."""
    names = ("temperature", "seed", "top_p")
    known = {name: value for name, value in parameters.items() if name in names}
    return known, {name: value for name, value in parameters.items() if name not in names}


def _usage(given: int | None, made: int | None) -> Usage:
    return Usage(calls=1, input_tokens=given, output_tokens=made)
