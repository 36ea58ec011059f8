"""The answer as a message of LangChain, and as LangGraph's stream of messages shows it."""

from __future__ import annotations

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langgraph.graph.message import push_message

from multiplex.llm.usage import Usage


def answer_message(text: str, usage: Usage, message_id: str | None, name: str | None = None) -> AIMessage:
    """The answer as a graph's last message, under the id of its pieces, so that no front end shows it twice."""
    return AIMessage(text, id=message_id, name=name, usage_metadata=_metadata(usage))


def show_piece(text: str, message_id: str) -> None:
    """Show a further piece of a message that has been streamed, in the running node's stream of messages."""
    push_message(AIMessageChunk(content=text, id=message_id), state_key=None)


def _metadata(usage: Usage) -> UsageMetadata | None:
    """The tokens; None where an endpoint told none."""
    given, made = usage.input_tokens, usage.output_tokens
    if given is None or made is None:
        return None
    return UsageMetadata(input_tokens=given, output_tokens=made, total_tokens=given + made)
