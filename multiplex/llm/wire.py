"""One request to a chat model and what comes back, streamed or whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multiplex.errors import CallError
from multiplex.llm.failures import is_broken_connection, safe
from multiplex.llm.thinking import ThinkingFilter
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_openai import ChatOpenAI

OnDelta = Callable[[str], None]
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
    client: ChatOpenAI, messages: Sequence[BaseMessage], parameters: Mapping[str, Any], at: str, secret: str
) -> Said:
    """Ask and hear the reply when it is whole, through the client beneath LangChain: a tenth of the processor's time.

    Raises:
        CallError: the reply holds no message; other exceptions are the client's.
    """
    known, others = _parted(parameters)
    others.pop("stream_options", None)
    reply = await client.root_async_client.chat.completions.create(
        model=client.model_name,
        messages=[{"role": _ROLES[message.type], "content": str(message.text)} for message in messages],
        extra_body=others or None,
        **known,
    )
    if not getattr(reply, "choices", None):
        said = safe(str(getattr(reply, "error", None) or "no message in it"), secret)
        raise CallError("server", f"{at}: the reply is no OpenAI-compatible chat completion ({said})")
    choice, spent = reply.choices[0], reply.usage
    return Said(
        choice.message.content or "",
        choice.finish_reason,
        _usage(spent and spent.prompt_tokens, spent and spent.completion_tokens),
    )


def _parted(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters that the client takes by name, and those that go into the body as they are."""
    names = ("temperature", "seed", "top_p")
    known = {name: value for name, value in parameters.items() if name in names}
    return known, {name: value for name, value in parameters.items() if name not in names}


def _usage(given: int | None, made: int | None) -> Usage:
    return Usage(calls=1, input_tokens=given, output_tokens=made)
