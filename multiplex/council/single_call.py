"""A conversation with the model itself as a LangGraph of one node: remembered and streamed as a council is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.messages import AnyMessage, BaseMessage, SystemMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from multiplex.council.answer import Answer
from multiplex.council.events import AnswerDelta, AnswerRestarted, writer
from multiplex.council.messages import answer_message
from multiplex.council.seeds import call_seed
from multiplex.council.state import Kept, plain
from multiplex.llm.chat import Chat
from multiplex.llm.local.server import PLAIN_SLOT
from multiplex.llm.types import Call

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph


class PlainState(TypedDict, total=False):
    """The conversation, and the answer to its newest message."""

    messages: Annotated[list[AnyMessage], add_messages]
    seed: int
    answer: Annotated[Answer, Kept]


def plain_graph(
    strategy: str, system: str, chat: Chat, checkpointer: BaseCheckpointSaver[Any] | None = None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The compiled graph: the model is sent the conversation as it stands, after `system` where there is one.

    Running it raises CallError where the call failed for good.
    """

    async def reply_node(state: PlainState) -> dict[str, Any]:
        emit = writer()
        messages: list[BaseMessage] = [*([SystemMessage(system)] if system else []), *state["messages"]]
        call = Call(
            max_tokens=chat.spec.answer_tokens,
            seed=call_seed(state["seed"], strategy),
            slot=PLAIN_SLOT,
            tags=(f"multiplex:{strategy}",),
        )
        reply = await chat.complete(
            messages,
            call,
            on_delta=lambda piece: emit(AnswerDelta(strategy=strategy, text=piece)),
            on_retry=lambda error: emit(AnswerRestarted(strategy=strategy, reason=str(error))),
        )
        answer = Answer(
            strategy=strategy,
            text=reply.text,
            model=chat.spec.name,
            prompt=system,
            usage=reply.usage,
            seconds=reply.seconds,
            cut=reply.cut,
            notes=reply.notes,
        )
        return {"answer": plain(answer), "messages": [answer_message(reply.text, reply.usage, reply.message_id)]}

    graph = StateGraph(PlainState)
    graph.add_node("reply", reply_node)
    graph.add_edge(START, "reply")
    graph.add_edge("reply", END)
    return graph.compile(checkpointer=checkpointer, name=strategy)
