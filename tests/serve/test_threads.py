"""What a thread holds: messages and no commands, its last state alone, for as long as its server is told to keep it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import ormsgpack
import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base.id import uuid6
from langgraph.types import Send

from multiplex.errors import MemoryLostError
from multiplex.llm.spec import ModelSpec
from multiplex.serve.app import create_app
from multiplex.serve.conversation import checkpointers
from multiplex.serve.conversation.checkpointers import PostgresMemory, first_id
from multiplex.serve.conversation.memory import memory
from multiplex.serve.conversation.plain_serde import ForeignValueError, PlainSerializer
from multiplex.serve.http.keys import Keys
from multiplex.serve.options import ServeOptions
from multiplex.serve.service import opened
from tests.backend import Backend, Say
from tests.serve.luck import ANSWER, council, is_synthesis, until
from tests.serve.postgres import Postgres, running
from tests.serve.server import KEY, serving
from tests.serve.test_memory import ask_thread, folding, talking


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "memory.db")
        return
    with running() as server:
        yield server.url


def crafted(*value: Any, code: int = 0) -> bytes:
    return ormsgpack.packb({"v": 4, "channel_values": {"seed": ormsgpack.Ext(code, ormsgpack.packb(value))}})


def nested(depth: int) -> bytes:
    value = ormsgpack.packb(1)
    for _ in range(depth):
        value = ormsgpack.packb(ormsgpack.Ext(7, value))
    return value


# --- what is restored


async def test_a_crafted_checkpoint_runs_nothing_and_other_threads_go_on(backend: Backend, tmp_path: Path) -> None:
    file, mark = tmp_path / "memory.db", tmp_path / "ran"
    async with talking(backend, file) as ask:
        await ask("One?")
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE checkpoints SET checkpoint = ?", (crafted("os", "system", f"touch {mark}"),))
    calls = len(backend.requests)
    async with talking(backend, file) as ask:
        with pytest.raises(MemoryLostError, match=r"memory\.db: holds os\.system, which multiplex does not write"):
            await ask("Two?")
        assert not mark.exists()
        assert len(backend.requests) == calls
        await ask.kept.checkpointer.adelete_thread("anyone/t")  # type: ignore[union-attr]
        assert await ask("Three?") == ["Three?", "answer"]


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("msgpack", crafted("os", "system", ["id"], code=1), "os.system"),
        ("msgpack", crafted("subprocess", "Popen", {"args": "id"}, code=2), "subprocess.Popen"),
        ("msgpack", crafted("datetime", "datetime", "x", "fromisoformat", code=3), "datetime.datetime"),
        ("msgpack", crafted("\x1b]0;", "x"), r"\x1b]0;.x"),
        ("msgpack", crafted(code=9), "an extension 9"),
        ("msgpack", crafted("langchain_core.messages.human", "HumanMessage",
                            {"content": ormsgpack.Ext(0, ormsgpack.packb(("builtins", "eval", "1")))}, code=5), "eval"),
        ("msgpack", nested(20_000), "nested too deep"),
        ("json", b'{"lc": 2}', "kind 'json'"),
        ("pickle", b"cos\nsystem\n(S'id'\ntR.", "kind 'pickle'"),
    ],
)  # fmt: skip
def test_what_names_other_code_is_refused_before_it_is_restored(kind: str, content: bytes, told: str) -> None:
    with pytest.raises(ForeignValueError) as caught:
        PlainSerializer().loads_typed((kind, content))
    assert told in str(caught.value)


def test_a_conversation_is_restored_as_it_was() -> None:
    serializer = PlainSerializer()
    for value in (None, b"x", [HumanMessage("q", id="1"), AIMessage("a", id="2")], Send("speak", {"persona": "a"})):
        assert serializer.loads_typed(serializer.dumps_typed(value)) == value
    assert serializer.with_msgpack_allowlist([Path]) is serializer


# --- what a lost database costs


def test_an_answer_is_given_though_the_memory_went_away_meanwhile(backend: Backend, tmp_path: Path) -> None:
    backend.script, file = folding, tmp_path / "memory.db"
    hasty = "import multiplex.serve.conversation.checkpointers as it; it.CONNECTING = 1.0"
    with serving(backend, "--memory", str(file), before=hasty) as served, ThreadPoolExecutor() as pool:
        for streamed in (False, True):
            backend.script = lambda body, n: Say(ANSWER, delay=1.0) if is_synthesis(body) else Say("Kin first.")
            before = len(backend.requests)
            asking = pool.submit(served.chat, metadata={"thread_id": f"t{streamed}"}, stream=streamed)
            until(lambda before=before: len(backend.requests) == before + 8, "the synthesis")  # type: ignore[misc]
            with closing(sqlite3.connect(file)) as other:
                other.execute("BEGIN IMMEDIATE")
                told = asking.result()
            assert told.status_code == 200
            assert "this turn is not remembered: conversation memory" in told.text
            assert "[DONE]" in told.text or not streamed
        backend.script = lambda body, n: Say(ANSWER, delay=1.0, finish="length")
        before = len(backend.requests)
        asking = pool.submit(served.chat, model="uniplex", metadata={"thread_id": "cut"})
        until(lambda: len(backend.requests) == before + 1, "the call")
        with closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN IMMEDIATE")
            cut = asking.result().json()["choices"][0]
        assert (cut["finish_reason"], cut["message"]["content"]) == ("length", ANSWER)
        assert any("this turn is not remembered" in note for note in cut["message"]["multiplex"]["notes"])
        backend.script = council
        assert "not remembered" not in served.chat(metadata={"thread_id": "t"}).text


async def test_a_turn_that_fails_leaves_no_trace(backend: Backend, tmp_path: Path) -> None:
    backend.script = folding
    file = str(tmp_path / "memory.db")
    with serving(backend, "--memory", file, env={"MULTIPLEX_RETRIES": "0"}) as served:
        await asyncio.to_thread(ask_thread, served, "One?")
        backend.script = lambda body, n: Say(status=500) if "Kin" not in str(body) else folding(body, n)
        assert (await asyncio.to_thread(ask_thread, served, "Two?")).status_code >= 500
    async with memory(file) as kept:
        rows = await kept.checkpointer.conn.execute_fetchall("SELECT checkpoint FROM checkpoints")  # type: ignore[union-attr]
    assert len(rows) == 1
    assert b"One?" in rows[0][0]
    assert b"Two?" not in rows[0][0]


async def test_a_pool_full_of_dead_connections_costs_no_wait(backend: Backend) -> None:
    with running() as postgres:
        async with talking(backend, postgres.url) as ask:
            saver = ask.kept.checkpointer
            assert isinstance(saver, PostgresMemory)
            held = [await saver.pool.getconn() for _ in range(checkpointers.POOL)]
            for connection in held:
                await saver.pool.putconn(connection)
            await asyncio.to_thread(restart, postgres)
            async with asyncio.timeout(5):
                assert await ask("One?") == ["One?", "answer"]


def restart(postgres: Postgres) -> None:
    postgres.stop()
    postgres.start()


# --- how much is kept, and how long


async def counted(saver: Any) -> dict[str, int]:
    """Rows of each table."""
    tables = ("checkpoints", "writes") if hasattr(saver, "conn") and not hasattr(saver, "pool") else (
        "checkpoints", "checkpoint_writes", "checkpoint_blobs")  # fmt: skip
    count = dict[str, int]()
    for table in tables:
        query = f"SELECT count(*) AS n FROM {table}"  # noqa: S608
        if len(tables) == 2:
            count[table] = next(iter(await saver.conn.execute_fetchall(query)))[0]
        else:
            async with saver.pool.connection() as connection:
                count[table] = (await (await connection.execute(query)).fetchone())["n"]
    return count


async def test_a_thread_keeps_its_last_state_alone(backend: Backend, place: str) -> None:
    async with talking(backend, place) as ask:
        await ask("One?")
        first = await counted(ask.kept.checkpointer)
        for question in ("Two?", "Three?"):
            messages = await ask(question)
        assert messages == ["One?", "answer", "Two?", "answer", "Three?", "answer"]
        assert await counted(ask.kept.checkpointer) == first
        assert first["checkpoints"] == 1


async def test_what_nobody_went_on_with_is_forgotten_after_its_time(backend: Backend, place: str) -> None:
    async with talking(backend, place) as ask:
        foreign: Any = {"configurable": {"thread_id": "another-program-s"}}
        await ask.graph.ainvoke({"messages": [("user", "One?")]}, foreign)
        saver: Any = ask.kept.checkpointer
        of_others = await counted(saver)
        await ask("One?")
        now = datetime.now(UTC)
        assert await saver.forget_before(now - timedelta(hours=1)) == 0
        assert await ask("Two?") == ["One?", "answer", "Two?", "answer"]
        assert await saver.forget_before(now + timedelta(hours=1)) == 1
        assert await counted(saver) == of_others
        assert await ask("Three?") == ["Three?", "answer"]


def test_ids_of_checkpoints_are_ordered_by_their_time() -> None:
    made, now = str(uuid6()), datetime.now(UTC)
    assert first_id(now - timedelta(seconds=5)) < made < first_id(now + timedelta(seconds=5))


async def test_a_thread_has_a_largest_size(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(backend, tmp_path / "memory.db") as ask:
        await ask("One?")
        monkeypatch.setattr(checkpointers, "THREAD", 100)
        with pytest.raises(MemoryLostError, match="100 is the most that one may hold; begin another"):
            await ask("Two?")


def test_a_thread_is_deleted_by_the_key_that_began_it(backend: Backend, tmp_path: Path) -> None:
    backend.script = folding
    other = "another-key-for-the-tests"
    flags = ("--memory", str(tmp_path / "memory.db"), "--keep-days", "30")
    with serving(backend, *flags, env={"MULTIPLEX_API_KEYS": f"{KEY},{other}"}) as served:

        def ask(method: str, path: str, key: str = KEY, **options: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.request(method, f"{served.base_url}{path}", headers=headers, timeout=60, **options)

        def turns(question: str) -> int:
            before = len(backend.requests)
            body = {"model": "uniplex", "messages": [{"role": "user", "content": question}]}
            assert ask("POST", "/chat/completions", json={**body, "metadata": {"thread_id": "a/b"}}).status_code == 200
            return len(backend.requests[before]["messages"])

        assert turns("One?") == 1
        assert ask("DELETE", "/threads/a/b", other).status_code == 204
        assert turns("Two?") == 3
        assert ask("DELETE", "/threads/a/b").status_code == 204
        assert turns("Three?") == 1
        assert ask("DELETE", "/threads/a/b", "no-such-key").status_code == 401


async def test_a_thread_takes_the_next_question_when_the_end_of_its_answer_is_sent(
    backend: Backend, tmp_path: Path
) -> None:
    options = ServeOptions(
        ModelSpec(name="m", model="m", base_url=backend.base_url), memory=str(tmp_path / "memory.db")
    )
    seen: list[int] = []
    async with opened(options, Keys()) as service:
        app = create_app(service)

        async def ask(question: str, **more: Any) -> None:
            message = {"role": "user", "content": question}
            body = {"model": "uniplex", "metadata": {"thread_id": "a"}, "messages": [message], **more}

            async def send(event: Any) -> None:
                if event["type"] == "http.response.start":
                    seen.append(event["status"])
                elif b'"finish_reason":"stop"' in event.get("body", b"") and more:  # a client that reads no further
                    await ask("And the living?")

            async def receive() -> Any:
                return {"type": "http.request", "body": json.dumps(body).encode()} if received.pop() else await never

            received, never = [False, True], asyncio.get_running_loop().create_future()
            scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
                     "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")]}  # fmt: skip
            await app(scope, receive, send)

        await ask("What do we owe the dead?", stream=True)
    assert seen == [200, 200]
