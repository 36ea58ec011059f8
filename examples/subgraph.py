"""The council as a part of someone else's LangGraph: questions of value go to it, the rest gets a line.

    python examples/subgraph.py "What do we owe our elders?"

MULTIPLEX_MODEL and MULTIPLEX_BASE_URL name the model; without them it is the embedded one.
"""

import asyncio
import sys
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from multiplex import Council, build_graph

WORDS = {"should", "ought", "owe", "just", "right", "wrong", "good", "fair"}


def desk(state: MessagesState) -> str:
    """Where the newest message goes."""
    asked = str(state["messages"][-1].text).lower().split()
    return "council" if WORDS & {word.strip(".,;:?!") for word in asked} else "clerk"


def clerk(_: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage("This desk takes questions of value only.")]}


def build(**options: Any) -> Any:
    """The outer graph, compiled. The council shares its `messages`; everything else it keeps to itself."""
    graph = StateGraph(MessagesState)
    graph.add_node("clerk", clerk)
    graph.add_node("council", build_graph(Council.load("african", "east_asian", "western"), **options))
    graph.add_conditional_edges(START, desk, ["clerk", "council"])
    graph.add_edge("clerk", END)
    graph.add_edge("council", END)
    return graph.compile()


async def main(question: str) -> None:
    asked: Any = {"messages": [("user", question)]}
    async for _, mode, data in build().astream(asked, stream_mode=["custom", "values"], subgraphs=True):
        if mode == "custom" and data["type"] == "voice.finished":
            print(f"{data['title']} has spoken, {data['seconds']:.0f} s", file=sys.stderr)
        elif mode == "custom" and data["type"] == "voice.failed":
            print(f"{data['title']} is lost: {data['error']}", file=sys.stderr)
        elif mode == "values":
            state = data
    print(state["messages"][-1].text)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What do we owe our elders?"))
