"""What becomes of each field of a chat request: honoured here, passed to the endpoint, or refused by name.

A single call (`uniplex`, `contextual`) passes on whatever it does not honour itself. A council makes one answer of many
calls, so it refuses what it cannot honour unless the value asks for nothing; a field that nobody knows is named in the
notes. `docs/serve.md` has the table.
"""

from __future__ import annotations

import json
from typing import Any

from multiplex.content import storable
from multiplex.serve.openai.schema import ApiError, ChatRequest, Message

HONOURED = frozenset(
    {"model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens", "seed", "n",
     "user", "metadata", "thread_id", "measures", "language"}
)  # fmt: skip
_NOTHING: tuple[Any, ...] = (None, [], {}, "")
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": (),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "tools": (),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": (),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "reasoning_effort": (),
    "verbosity": (),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "service_tier": ("auto", "default"),
    "store": (False,),
}
"""By field that a council refuses, the values that ask for nothing."""
_SHOWN = 10  # unknown fields named in a note
_ALL_TOOLS = ("tools", "functions")
_OF_TOOLS = ("tool", "function")


def check_council(body: ChatRequest, model: str) -> None:
    """Refuse the first field that a council cannot honour.

    Raises:
        ApiError: 400, with the field and what to do.
    """
    for name, neutral in NEUTRAL.items():
        value = getattr(body, name)
        if value not in _NOTHING and value not in neutral:
            said = (
                f"{name}: {model!r} makes one answer of many calls and cannot honour it; leave it out, or ask the "
                "model 'uniplex', which passes it to the endpoint"
            )
            raise ApiError(400, said, code="unsupported_parameter", param=name)


def unused(body: ChatRequest) -> tuple[str, ...]:
    """Notes for the caller of a council: the fields and messages that had no part in the answer."""
    notes = []
    unknown = [name for name, value in (body.model_extra or {}).items() if value not in _NOTHING]
    if unknown:
        shown = ", ".join(storable(name)[:60] for name in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        notes.append(f"not used by a council: {shown}{more}")
    tools = sum(message.role in _OF_TOOLS for message in body.messages)
    if tools:
        notes.append(f"a council reads no results of tools: {tools} of the messages were left out")
    last = max(i for i, message in enumerate(body.messages) if message.role == "user")
    later = [each for each in body.messages[last + 1 :] if each.role not in _OF_TOOLS and not each.tool_calls]
    if spoken := sum(bool(message.text.strip()) for message in later):
        notes.append(f"a council goes on with no answer: {spoken} of the messages, after the question, were left out")
    return tuple(notes)


def passed_on(body: ChatRequest) -> dict[str, Any]:
    """The fields that a single call passes to its endpoint, as they were given."""
    given = body.model_dump(exclude_unset=True, exclude=set(HONOURED))
    chosen = {name: value for name, value in given.items() if value is not None and value not in ([], {})}
    if not any(name in chosen for name in _ALL_TOOLS):  # some endpoints refuse a choice where there are no tools
        for name in ("tool_choice", "parallel_tool_calls", "function_call"):
            chosen.pop(name, None)
    if chosen.get("response_format") == {"type": "text"}:
        del chosen["response_format"]
    return _sound(chosen)


def is_plain(body: ChatRequest) -> bool:
    """Whether the messages are nothing but words of a system, a user and an assistant, and end with the user's."""
    return body.messages[-1].role == "user" and not any(
        message.tool_calls or message.role in _OF_TOOLS or _more(message) for message in body.messages
    )


def as_given(message: Message) -> dict[str, Any]:
    """A message in OpenAI's form with its text in one piece; every other field as it was given."""
    given = {"tool_calls": message.tool_calls} if message.tool_calls is not None else {}
    given |= _more(message)
    role = "system" if message.role == "developer" else message.role
    content = None if message.tool_calls and not message.text else message.text
    return _sound({"role": role, "content": content, **given})


def _more(message: Message) -> dict[str, Any]:
    """The fields of a message that this server does not know. A client that sends our own reply back adds none."""
    more = {name: value for name, value in (message.model_extra or {}).items() if value is not None}
    if more.pop("multiplex", None) is not None and not message.tool_calls:
        more.pop("reasoning_content", None)  # the voices, which most endpoints refuse
    return more


def _sound(given: dict[str, Any]) -> dict[str, Any]:
    """The same without halves of characters and NUL, which cannot be sent on."""
    made: dict[str, Any] = json.loads(storable(json.dumps(given, ensure_ascii=False)))
    return made
