"""The graph inside other people's: checkpointers, subgraphs, streams, and what front ends can tell apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from multiplex.council.answer import Synthesis, Voice
from multiplex.council.graph import build_graph
from multiplex.council.personas import Council
from multiplex.council.planning import Plan
from multiplex.errors import VoicesLostError
from tests.backend import Backend, Body, Say, asked
from tests.council.test_graph import chat_for, role, scripted

THREAD: Any = {"configurable": {"thread_id": "t"}}


def talking(body: Body, n: int) -> Say:
    folded = "Rewrite the newest message" in asked(body)
    return Say("Both together?") if folded else Say(f"This is what {role(body)} says.")


async def test_a_second_question_in_a_thread_sees_the_first_and_starts_with_fresh_voices(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    graph = build_graph(None, chat, checkpointer=InMemorySaver())
    await graph.ainvoke({"messages": [HumanMessage("First question?")]}, THREAD)
    state = await graph.ainvoke({"messages": [HumanMessage("Second question?")]}, THREAD)
    await chat.aclose()
    assert state["question"] == "Both together?"
    assert len(backend.requests) == 8 + 9
    read = asked(backend.requests[8])
    assert '<turn speaker="user">\nFirst question?\n</turn>' in read
    assert '<turn speaker="assistant">\nThis is what synthesis says.' in read
    assert len(state["voices"]) == 7
    assert state["planning"].usage.calls == 1


async def test_voices_of_a_question_that_failed_do_not_come_back_with_the_next(backend: Backend) -> None:
    backend.script = scripted({p: Say(status=500) for p in ("african", "indigenous", "islamic")})
    chat = chat_for(backend)
    graph = build_graph(None, chat, checkpointer=InMemorySaver())
    with pytest.raises(VoicesLostError):
        await graph.ainvoke({"messages": [HumanMessage("First question?")]}, THREAD)
    backend.script = talking
    state = await graph.ainvoke({"messages": [HumanMessage("Second question?")]}, THREAD)
    await chat.aclose()
    assert [voice.error for voice in state["voices"]] == [None] * 7
    assert [message.type for message in state["messages"]] == ["human", "human", "ai"]


RESUMING = """
import asyncio, logging, sys
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from multiplex.council.graph import build_graph
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec

async def talk(graph, thread):
    for question in ("One?", "Two?"):
        state = await graph.ainvoke({"messages": [("user", question)]}, thread)
    async for snapshot in graph.aget_state_history(thread):
        for task in snapshot.tasks:
            assert task.error is None
    return await graph.aget_state(thread)

async def main():
    chat, thread = Chat(parse_spec("m", sys.argv[1])), {"configurable": {"thread_id": "t"}}
    async with AsyncSqliteSaver.from_conn_string(sys.argv[2]) as file:
        for saver in (InMemorySaver(), file):
            kept = (await talk(build_graph(None, chat, checkpointer=saver), thread)).values
            print(*(type(kept[name]).__name__ for name in ("planning", "synthesis")), type(kept["voices"][0]).__name__)
            print(len(kept["voices"]), kept["planning"].usage.calls, kept["synthesis"].scaffold)
            outer = StateGraph(MessagesState).add_node("council", build_graph(None, chat)).add_edge(START, "council")
            nested = await talk(outer.compile(checkpointer=saver), {"configurable": {"thread_id": "outer"}})
            print(len(nested.values["messages"]))
    await chat.aclose()

logging.basicConfig(format="LOGGED %(message)s", stream=sys.stdout, level=logging.WARNING)
asyncio.run(main())
"""


@pytest.mark.parametrize("strict", ["true", "false"])
def test_any_checkpointer_keeps_a_thread_without_a_warning(backend: Backend, tmp_path: Path, strict: str) -> None:
    """In a process of its own: LangGraph reads the variable once, and warns of a class once."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RESUMING, backend.base_url, str(tmp_path / "threads.db")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": strict},
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["Plan Synthesis Voice", "7 1 ()", "4"] * 2


async def test_a_checkpoint_holds_plain_data_and_a_reader_sees_objects(backend: Backend) -> None:
    backend.script = scripted({"african": Say(status=500)})
    chat, saver = chat_for(backend), InMemorySaver()
    graph = build_graph(None, chat, checkpointer=saver)
    await graph.ainvoke({"messages": [HumanMessage("Why?")]}, THREAD)
    await chat.aclose()
    stored = (await saver.aget_tuple(THREAD)).checkpoint["channel_values"]  # type: ignore[union-attr]
    assert type(stored["planning"]) is type(stored["synthesis"]) is type(stored["voices"][0]) is dict
    kept = (await graph.aget_state(THREAD)).values
    assert isinstance(kept["planning"], Plan)
    assert isinstance(kept["synthesis"], Synthesis)
    assert all(isinstance(voice, Voice) for voice in kept["voices"])
    ((start, end),) = kept["synthesis"].scaffold
    assert kept["synthesis"].text[start:end].strip() == "*Missing from this answer: African, whose voice was lost.*"


def nested_in(council: Any, **options: Any) -> Any:
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [HumanMessage("What do elders owe the young?")]}

    outer = StateGraph(MessagesState)
    outer.add_node("ask", ask)
    outer.add_node("council", council)
    outer.add_edge(START, "ask")
    outer.add_edge("ask", "council")
    outer.add_edge("council", END)
    return outer.compile(**options)


async def test_nested_in_another_graph_it_takes_and_gives_messages_only(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    app = nested_in(build_graph(None, chat), checkpointer=InMemorySaver())
    for _ in range(2):
        state = await app.ainvoke({"messages": []}, THREAD)
    await chat.aclose()
    assert set(state) == {"messages"}
    assert [message.type for message in state["messages"]] == ["human", "ai", "human", "ai"]
    assert isinstance(state["messages"][-1], AIMessage)
    assert '<turn speaker="assistant">\nThis is what synthesis says.' in asked(backend.requests[8])


async def test_the_events_of_a_nested_council_come_with_its_place(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    app, events = nested_in(build_graph(None, chat)), list[dict[str, Any]]()
    async for place, event in app.astream({"messages": []}, stream_mode="custom", subgraphs=True):
        assert place[0].startswith("council:")
        events.append(event)
    await chat.aclose()
    finished = [event["perspective"] for event in events if event["type"] == "voice.finished"]
    assert sorted(finished) == sorted(Council.load().perspectives)
    pieces = [event["text"] for event in events if event["type"] == "synthesis.delta"]
    assert "".join(pieces) == "This is what synthesis says."


async def test_a_front_end_sees_the_tokens_of_the_synthesis_and_of_nothing_else(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    talk = [HumanMessage("One?"), AIMessage("Yes."), HumanMessage("Two?")]
    pieces, tags = list[str](), set[str]()
    stream = build_graph(None, chat, plan_mode="model").astream({"messages": talk}, stream_mode="messages")
    async for message, about in stream:  # type: ignore[misc]
        if isinstance(message, AIMessageChunk):
            pieces.append(str(message.text))
            tags |= set(about["tags"])  # type: ignore[index]
    await chat.aclose()
    assert "".join(pieces) == "This is what synthesis says."
    assert tags >= {"multiplex:synthesis"}
    assert not tags & {"multiplex:voice", "multiplex:plan", "nostream"}


async def test_every_inner_call_is_tagged_so_that_a_front_end_can_hide_it(backend: Backend) -> None:
    backend.script = talking
    chat, calls = chat_for(backend), list[tuple[str, ...]]()
    talk = [HumanMessage("One?"), AIMessage("Yes."), HumanMessage("Two?")]
    graph = build_graph(None, chat, plan_mode="model")
    async for event in graph.astream_events({"messages": talk}, version="v2"):
        if event["event"] == "on_chat_model_start":
            ours = (tag for tag in event["tags"] if tag.startswith("multiplex:") or tag == "nostream")
            calls.append(tuple(sorted(ours)))
    await chat.aclose()
    assert sorted(calls) == [
        *[("multiplex:plan", "nostream")] * 2, ("multiplex:synthesis",), *[("multiplex:voice", "nostream")] * 7
    ]  # fmt: skip
