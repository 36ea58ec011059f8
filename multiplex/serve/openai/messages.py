"""From the messages of a request to the conversation that a council is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiplex.llm.spec import ModelSpec
from multiplex.serve.openai.schema import ApiError, Message

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_TEXT = ("text", "input_text", "output_text", "refusal")


def conversation(messages: Sequence[Message], spec: ModelSpec, most: int) -> tuple[BaseMessage, ...]:
    """The messages up to the newest of the user, which is the question.

    What tools said is left out, since no council uses any. A message without words is left out too, but a turn of the
    assistant, which keeps its place: some endpoints refuse two turns of the user in a row.

    Raises:
        ApiError: 400 there is no question, or a message holds something that is no text; 413 it is too long.
    """
    for i, message in enumerate(messages):
        _check(message, i)
    last = max((i for i, message in enumerate(messages) if message.role == "user"), default=None)
    if last is None:
        raise ApiError(400, "there is no question: no message has the role 'user'", param="messages")
    check_question(messages[last].text, spec, most, where=f"messages[{last}].content")
    return tuple(made for message in messages[: last + 1] if (made := _made(message)) is not None)


def check_question(question: str, spec: ModelSpec, most: int, where: str) -> None:
    """Whether a model takes this question on a server that takes `most` characters; `where` it stands in the request.

    Raises:
        ApiError: 400 it is empty; 413 it is too long.
    """
    limit = most_characters(spec, most)
    if len(question) > limit:
        raised = "" if limit < most else "; --max-question raises it"
        said = f"the question has {len(question):,} characters; this server takes at most {limit:,}{raised}"
        raise ApiError(413, said, code="question_too_long", param=where)
    if not question.strip():
        raise ApiError(400, "the question is empty", param=where)


def most_characters(spec: ModelSpec, most: int) -> int:
    """The longest question that a model takes on a server that takes `most` characters."""
    from multiplex.council.planning import LOCAL_QUESTION_LIMIT

    return min(most, LOCAL_QUESTION_LIMIT) if spec.local else most


def _check(message: Message, place: int) -> None:
    if message.content is None or isinstance(message.content, str):
        return
    for part in message.content:
        if part.type not in _TEXT or part.words is None:
            raise ApiError(
                400,
                f"a part of this message is {part.type!r}: text alone can be read here; leave the part out",
                code="unsupported_content",
                param=f"messages[{place}].content",
            )


def _made(message: Message) -> BaseMessage | None:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    if not message.text.strip() and (message.role != "assistant" or message.tool_calls):
        return None
    kinds: dict[str, type[BaseMessage]] = {
        "user": HumanMessage, "assistant": AIMessage, "system": SystemMessage, "developer": SystemMessage,
    }  # fmt: skip
    kind = kinds.get(message.role)
    return None if kind is None else kind(message.text)
