"""What one request asks for, whichever door it came through: chat API, page or MCP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from multiplex.llm.chat import Chat
from multiplex.serve.openai.served_models import ServedModel

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


@dataclass(frozen=True)
class TurnRequest:
    """What one request asks for.

    Attributes:
        messages: the conversation; its last human message is the question.
        chat: the model, as this request wants it.
        voice_models: by perspective, models of its own.
        thread: the name of a conversation that is kept, or None.
        replaces: whether `messages` are the whole conversation, in place of what the thread holds.
        streamed: whether pieces of the answer are said as they come; else it is said when it is whole.
        language: the language in which a council is asked to answer; None: that of the question.
        watched: whether the voices' pieces are counted as they come too, for one who watches them speak.
    """

    offer: ServedModel
    messages: tuple[BaseMessage, ...]
    chat: Chat
    voice_models: Mapping[str, Chat] = field(default_factory=dict)
    seed: int = 0
    thread: str | None = None
    replaces: bool = False
    streamed: bool = True
    language: str | None = None
    watched: bool = False
