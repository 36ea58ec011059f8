"""A chat's messages as a question and what came before it, kept short enough for a model to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.content import storable
from multiplex.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_SPEAKERS = {"human": "user", "ai": "assistant"}
IN_A_ROW = 2  # earlier questions that still say what the newest is about
_GAP = " [...] "


@dataclass(frozen=True)
class Conversation:
    """The newest question, the instructions that stand over the chat, and (speaker, text) of each earlier turn."""

    question: str
    instructions: str = ""
    turns: tuple[tuple[str, str], ...] = ()

    @property
    def alone(self) -> bool:
        """Whether the question is all there is."""
        return not self.turns and not self.instructions

    def shortened(self, limit: int) -> Conversation:
        """The same with less than `limit` characters before the question.

        The newest turns are kept. A text longer than a quarter of what there is room for loses its middle.
        """
        instructions = cut(self.instructions, limit // 4)
        room = limit - len(instructions) - 2 * len("\n\n")
        longest, turns = room // 4, list[tuple[str, str]]()
        for speaker, text in reversed(self.turns):
            turn = speaker, cut(text, longest)
            room -= len(speaker) + len(turn[1]) + len(": \n")
            if room < 0:
                break
            turns.append(turn)
        return Conversation(self.question, instructions, tuple(reversed(turns)))

    def history(self) -> str:
        """The earlier turns, a line each."""
        return "\n".join(f"{speaker}: {text}" for speaker, text in self.turns)

    def pasted(self) -> str:
        """Everything as one text that ends with the question."""
        return "\n\n".join(filter(None, (self.instructions, self.history(), self.question)))

    def in_a_row(self, limit: int) -> str:
        """What the user asked last, in the user's own words, and the question after it: less than `limit` before it."""
        asked = tuple((speaker, text) for speaker, text in self.turns if speaker == "user")[-IN_A_ROW:]
        short = Conversation(self.question, self.instructions, asked).shortened(limit)
        return " ".join(filter(None, (short.instructions, *(text for _, text in short.turns), self.question)))


def conversation(messages: Sequence[BaseMessage]) -> Conversation:
    """The conversation that ends with the last human message.

    Only text is read: images, tools' calls and their results are left out. A turn of the assistant that is empty keeps
    its place, so that questions which nobody answered stay apart. System messages are the instructions,
    wherever they stand; one that is repeated counts once.

    Raises:
        UsageError: there is no human message.
    """
    asked = [i for i, message in enumerate(messages) if message.type == "human"]
    if not asked:
        raise UsageError("there is no question: `messages` holds no human message")
    said = [(message.type, _text(message)) for message in messages]
    stays_empty = [message.type == "ai" and not getattr(message, "tool_calls", None) for message in messages]
    return Conversation(
        said[asked[-1]][1],
        "\n\n".join(dict.fromkeys(text for kind, text in said if kind == "system" and text)),
        tuple(
            (_SPEAKERS[kind], text)
            for (kind, text), stays in zip(said[: asked[-1]], stays_empty, strict=False)
            if kind in _SPEAKERS and (text or stays)
        ),
    )


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of a text: its beginning and its end."""
    if len(text) <= limit:
        return text
    kept = max(limit - len(_GAP), 0)
    return (text[: kept - kept // 2] + _GAP + text[len(text) - kept // 2 :])[:limit]


def _text(message: BaseMessage) -> str:
    return storable(str(message.text)).strip()
