"""The text of a chat, as files of chats hold it: `messages` of OpenAI, `conversations` of ShareGPT, an API's reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHATS = ("messages", "conversations", "conversation")
_SPEAKERS = {
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "ai": "assistant", "bot": "assistant",
    "user": "user", "human": "user", "system": "system", "developer": "system",
}  # fmt: skip


@dataclass(frozen=True)
class ChatRow:
    """What a chat holds of use to a measurement; a part is empty where the chat lacks it."""

    text: str = ""
    question: str = ""
    prompt: str = ""


def find_messages(row: Mapping[str, Any]) -> Sequence[object] | None:
    """The messages of a row: its chat, or the reply of a chat completion, which a batch holds in `response`."""
    for name in CHATS:
        if isinstance(row.get(name), list):
            found: list[object] = row[name]
            return found
    response = row.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    for reply in (row, response, body):
        choices = reply.get("choices") if isinstance(reply, Mapping) else None
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            return [choices[0].get("message")]
    return None


def read_chat(messages: Sequence[object]) -> ChatRow | None:
    """The last reply of a chat, what the user said last before it, and the system's words; None where there is none."""
    said = [
        (_SPEAKERS.get(str(each.get("role") or each.get("from"))), _content(each.get("content", each.get("value"))))
        for each in messages
        if isinstance(each, dict)
    ]
    last = next(
        (place for place in reversed(range(len(said))) if said[place][0] == "assistant" and said[place][1]), None
    )
    if last is None:
        return None
    asked = [words for speaker, words in said[:last] if speaker == "user"]
    told = [words for speaker, words in said[:last] if speaker == "system"]
    return ChatRow(said[last][1], asked[-1] if asked else "", "\n\n".join(told))


def _content(value: object) -> str:
    """A message's text: as it stands, or the text of its parts, a line each."""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else []
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))
