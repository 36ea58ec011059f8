"""Calls to a chat model of LangChain that the caller brought, with parameters and connections of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multiplex.errors import CallError
from multiplex.llm.error_mapping import is_broken_connection
from multiplex.llm.protocol import find_ending
from multiplex.llm.reading import Completion
from multiplex.llm.reasoning import ThinkingFilter
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

_FINISHES = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # as LangChain's integrations name it


async def ask_own(
    client: BaseChatModel,
    messages: Sequence[BaseMessage],
    tags: Sequence[str],
    on_delta: Callable[[str], None] | None,
    at: str,
) -> Completion:
    """Ask and hear the reply as it comes; LangChain's callbacks see every piece.

    Raises:
        CallError: the connection broke in the middle; other exceptions are the client's.
    """
    visible = ThinkingFilter()
    whole: AIMessageChunk | None = None
    finish = ""
    try:
        async for chunk in client.astream(list(messages), config={"tags": list(tags)}):
            whole = chunk if whole is None else whole + chunk
            finish = _find_finish(chunk.response_metadata) or finish  # of a sum the words of all stand in a row
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
    finish = finish or "stop"  # not every provider says; a model that broke off has raised
    usage = Usage(
        calls=1,
        input_tokens=spent["input_tokens"] if spent else None,
        output_tokens=spent["output_tokens"] if spent else None,
    )
    return Completion(str(whole.text), find_ending(finish), finish, usage, message_id=whole.id)


def _find_finish(metadata: Mapping[str, Any]) -> str:
    """The provider's word for why a reply ended; empty where it does not say."""
    return next((str(metadata[name]) for name in _FINISHES if metadata.get(name)), "")
