"""A server's compiled graphs, each made once: to compile one costs as much as two calls to a model."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from multiplex.serve.conversation.memory import Memory
    from multiplex.serve.conversation.request import TurnRequest

KEPT = 64


class Graphs:
    """The graphs of the questions that came last, by all that they depend on."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._made: OrderedDict[Hashable, CompiledStateGraph[Any, Any, Any, Any]] = OrderedDict()

    def of(self, asked: TurnRequest) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph that answers this; its models are those of the first who asked for it so."""
        voices = tuple(sorted((name, chat.spec) for name, chat in asked.voice_models.items()))
        key = asked.offer.name, asked.thread is None, asked.watched, asked.chat.spec, voices
        if key not in self._made:
            self._made[key] = graph_of(asked, self._memory.checkpointer)
        self._made.move_to_end(key)
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return self._made[key]


def graph_of(
    asked: TurnRequest, checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph that answers this, new; `checkpointer` serves where a thread is named."""
    from multiplex.council.graph import build_graph
    from multiplex.council.single_call import plain_graph
    from multiplex.council.strategies import check_strategy, system_prompt

    keeper = checkpointer if asked.thread is not None else None
    council = asked.offer.council
    if council is None:
        check_strategy(asked.offer.strategy, asked.chat.spec)
        return plain_graph(asked.offer.strategy, system_prompt(asked.offer.strategy), asked.chat, keeper)
    chats = {name: asked.voice_models.get(name, asked.chat) for name in council.perspectives}
    if not asked.watched:
        chats = {name: chat.with_transport("whole") for name, chat in chats.items()}
    return build_graph(council, asked.chat, voice_models=chats, checkpointer=keeper)
