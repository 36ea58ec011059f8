"""The graph inside other people's: checkpointers, subgraphs, streams, and what front ends can tell apart."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from pydantic import SecretStr
from typing_extensions import TypedDict

from multiplex.council.answer import Synthesis, Voice
from multiplex.council.graph import build_graph
from multiplex.council.personas import Council
from multiplex.council.planning import Plan
from multiplex.errors import UsageError, VoicesLostError
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
    pieces, tags, ids = list[str](), set[str](), set[str]()
    stream = build_graph(None, chat, plan_mode="model").astream({"messages": talk}, stream_mode="messages")
    async for message, about in stream:  # type: ignore[misc]
        if isinstance(message, AIMessageChunk):
            pieces.append(str(message.text))
            tags |= set(about["tags"])  # type: ignore[index]
        ids.add(message.id)  # type: ignore[union-attr]
    await chat.aclose()
    assert "".join(pieces) == "This is what synthesis says."
    assert len(ids) == 1
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


async def test_what_our_code_adds_to_a_streamed_answer_is_a_piece_of_the_same_message(backend: Backend) -> None:
    backend.script = scripted({"african": Say(status=500)})
    chat, shown, ids = chat_for(backend), "", set[str]()
    state: Any = {}
    stream = build_graph(None, chat).astream({"messages": [HumanMessage("Why?")]}, stream_mode=["messages", "values"])
    async for mode, data in stream:
        if mode == "values":
            state = data
        else:
            shown += str(data[0].text)  # type: ignore[index]
            ids.add(data[0].id)  # type: ignore[index]
    await chat.aclose()
    assert shown == state["messages"][-1].text
    assert shown.endswith("*Missing from this answer: African, whose voice was lost.*")
    assert ids == {state["messages"][-1].id}


async def test_the_answer_says_who_gives_it_and_what_all_calls_took(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    state = await build_graph(None, chat, name="elders").ainvoke({"messages": [HumanMessage("Why?")]})
    await chat.aclose()
    message = state["messages"][-1]
    assert message.name == "elders"
    spent = [voice.usage for voice in state["voices"]] + [state["synthesis"].usage]
    assert message.usage_metadata["input_tokens"] == sum(usage.input_tokens for usage in spent)
    assert message.usage_metadata["output_tokens"] == sum(usage.output_tokens for usage in spent) == 8 * 5


class OfTheirOwn(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    question: str
    round: Annotated[int, operator.add]
    tasks: Annotated[list[str], operator.add]
    voices: int
    planning: str
    synthesis: str


def beside_their_keys(council: Any) -> tuple[Any, dict[str, Any]]:
    outer = StateGraph(OfTheirOwn).add_node("council", council).add_edge(START, "council").compile()
    mine = {"question": "mine", "round": 2, "tasks": ["mine"], "voices": 5, "planning": "mine"}
    return outer, {"messages": [HumanMessage("Why?")], **mine}


async def test_the_keys_of_another_graph_are_its_own(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    outer, given = beside_their_keys(build_graph(None, chat))
    state = await outer.ainvoke(given)
    await chat.aclose()
    assert state["messages"][-1].text == "This is what synthesis says."
    assert {k: v for k, v in state.items() if k != "messages"} == {k: v for k, v in given.items() if k != "messages"}
    assert "Why?" in asked(backend.requests[0])
    assert "mine" not in asked(backend.requests[0])


async def test_a_node_that_calls_the_council_by_hand_gets_its_voices(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    council = build_graph(None, chat)

    async def call(_: OfTheirOwn) -> dict[str, Any]:
        return {"voices": len((await council.ainvoke({"messages": [HumanMessage("Why?")]}))["voices"])}

    outer = StateGraph(OfTheirOwn).add_node("call", call).add_edge(START, "call").compile()
    state = await outer.ainvoke({"messages": []})
    await chat.aclose()
    assert state["voices"] == 7


def test_it_is_asked_without_an_event_loop(backend: Backend) -> None:
    backend.script = talking
    graph = build_graph(None, chat_for(backend), checkpointer=InMemorySaver())
    state = graph.invoke({"messages": [HumanMessage("One?")]}, THREAD)
    assert state["messages"][-1].text == "This is what synthesis says."
    kinds = [data["type"] for data in graph.stream({"messages": [HumanMessage("Two?")]}, THREAD, stream_mode="custom")]
    assert kinds.count("voice.finished") == 7
    assert '<turn speaker="assistant">\nThis is what synthesis says.' in asked(backend.requests[8])
    outer, given = beside_their_keys(build_graph(None, chat_for(backend)))
    assert outer.invoke(given)["voices"] == 5


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_inside_an_event_loop_it_is_asked_without_awaiting_too(backend: Backend) -> None:
    backend.script = talking
    tool = build_graph(None, chat_for(backend)).as_tool(name="council", description="Asks a council.")
    assert set(tool.args) == {"messages"}
    state = tool.invoke({"messages": [{"role": "user", "content": "Why?"}]})
    assert state["messages"][-1].text == "This is what synthesis says."


def test_its_input_has_a_schema() -> None:
    schema = build_graph().get_input_jsonschema()
    assert set(schema["properties"]) == {"messages", "seed", "language", "language_chosen"}


async def test_a_chat_model_of_langchain_can_be_the_model(backend: Backend) -> None:
    backend.script = talking
    model = ChatOpenAI(model="m", base_url=backend.base_url, api_key=SecretStr("none"), temperature=0.3, max_retries=0)
    state = await build_graph(None, model).ainvoke({"messages": [HumanMessage("Why?")]})
    await model.root_async_client.close()
    assert state["messages"][-1].text.startswith("This is what synthesis says.")
    assert {body["temperature"] for body in backend.requests} == {0.3}
    assert not any("seed" in body or "max_tokens" in body for body in backend.requests)
    assert {voice.model for voice in state["voices"]} == {"m"}


async def test_any_chat_model_of_langchain_can_be_a_voice(backend: Backend) -> None:
    backend.script = talking
    chat = chat_for(backend)
    fake = FakeListChatModel(responses=["Said by a model of another kind."])
    state = await build_graph(None, chat, voice_models={"african": fake}).ainvoke({"messages": [HumanMessage("Why?")]})
    await chat.aclose()
    said = {voice.perspective: voice.text for voice in state["voices"]}
    assert said["african"] == "Said by a model of another kind."
    assert state["messages"][-1].usage_metadata is None


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="a chat model of LangChain is wanted, not a dict"):
        build_graph(None, {"model": "m"})  # type: ignore[arg-type]
