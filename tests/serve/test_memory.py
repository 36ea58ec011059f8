"""Conversations outlive the process, and a database that fails says so and serves again once it can."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from multiplex.council.graph import build_graph
from multiplex.errors import MemoryLostError, UsageError
from multiplex.serve.conversation import checkpointers
from multiplex.serve.conversation.memory import Memory, memory
from tests.backend import Backend, Body, Say, asked
from tests.council.test_graph import chat_for
from tests.serve.luck import until
from tests.serve.postgres import PASSWORD, Postgres, running
from tests.serve.server import Served, serving

THREAD: Any = {"configurable": {"thread_id": "anyone/t"}}


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer is given up sooner."""
    monkeypatch.setattr(checkpointers, "CONNECTING", 1.0)


class Asker:
    """Asks the council in one thread."""

    def __init__(self, backend: Backend, kept: Memory) -> None:
        self.chat, self.kept = chat_for(backend), kept
        self.graph = build_graph(None, self.chat, checkpointer=kept.checkpointer)

    async def __call__(self, question: str) -> list[str]:
        """The thread's messages after this question, "question" and "answer" in turn."""
        state = await self.graph.ainvoke({"messages": [("user", question)]}, THREAD)
        return [message.text if message.type == "human" else "answer" for message in state["messages"]]


@asynccontextmanager
async def talking(backend: Backend, where: str | Path) -> AsyncIterator[Asker]:
    async with memory(str(where)) as kept:
        ask = Asker(backend, kept)
        try:
            yield ask
        finally:
            await ask.chat.aclose()


async def test_without_a_place_nothing_is_remembered() -> None:
    async with memory(None) as kept:
        assert kept == Memory(None, "none")


async def test_a_thread_goes_on_from_its_file_which_only_its_owner_reads(backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    for expected in (["One?", "answer"], ["One?", "answer", "One?", "answer"]):
        async with talking(backend, file) as ask:
            assert await ask("One?") == expected
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ask.kept.place == str(file)


def other_database(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE accounts (name TEXT)")
    other.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: file.mkdir(), "this is a folder"),
        (lambda file: file.write_text("a letter, and no database" * 99), "file is not a database"),
        (other_database, "a database of something else"),
    ],
)
async def test_a_file_that_is_no_memory_is_refused_and_left_alone(tmp_path: Path, make: Any, why: str) -> None:
    make(tmp_path / "memory.db")
    before = (tmp_path / "memory.db").stat()
    with pytest.raises(MemoryLostError, match=f"memory.db: {why}"):
        await memory(str(tmp_path / "memory.db")).__aenter__()
    assert (tmp_path / "memory.db").stat().st_size == before.st_size


@pytest.mark.parametrize("place", ["/proc/memory.db", "/nowhere/memory.db"])
async def test_a_place_that_cannot_be_written_is_refused(place: str) -> None:
    with pytest.raises(MemoryLostError, match=rf"{place}: .*; name a file that can be written"):
        await memory(place).__aenter__()


async def test_a_damaged_file_is_told_as_such(backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    async with talking(backend, file) as ask:
        await ask("One?")
    content = bytearray(file.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(MemoryLostError, match="malformed"):
        async with talking(backend, file) as ask:
            await ask("Two?")


async def test_a_lock_held_elsewhere_fails_a_question_and_not_the_next(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointers, "CONNECTING", 0.2)
    async with talking(backend, tmp_path / "memory.db") as ask:
        await ask("One?")
        with sqlite3.connect(tmp_path / "memory.db") as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(MemoryLostError, match="database is locked"):
                await ask("Two?")
            assert not ask.kept.checkpointer.conn.in_transaction  # type: ignore[union-attr]
        assert (await ask("Three?"))[-2:] == ["Three?", "answer"]
        other.close()


async def test_a_full_disk_fails_a_question_and_not_the_next(backend: Backend, tmp_path: Path) -> None:
    async with talking(backend, tmp_path / "memory.db") as ask:
        await ask("One?")
        connection = ask.kept.checkpointer.conn  # type: ignore[union-attr]
        await connection.execute("PRAGMA max_page_count = 1")  # as few as there are
        with pytest.raises(MemoryLostError, match="full"):
            await ask("Two? " + "x" * 9_000)
        await connection.execute("PRAGMA max_page_count = 1000000")
        assert (await ask("Three?"))[-2:] == ["Three?", "answer"]


async def test_a_write_that_is_called_off_holds_no_lock(tmp_path: Path) -> None:
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}
    async with memory(str(tmp_path / "memory.db")) as kept:
        saver: Any = kept.checkpointer
        for steps in range(20):
            writing = asyncio.create_task(saver.aput_writes(place, [("voices", [])], f"task {steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await asyncio.sleep(0.005)
            assert not saver.conn.in_transaction


async def test_a_file_that_is_taken_away_is_missed_and_serves_again_when_put_back(
    backend: Backend, tmp_path: Path
) -> None:
    file = tmp_path / "memory.db"
    async with talking(backend, file) as ask:
        await ask("One?")
        file.rename(tmp_path / "away.db")
        with pytest.raises(MemoryLostError, match="the file was moved"):
            await ask("Two?")
        (tmp_path / "away.db").rename(file)
        assert await ask("Three?") == ["One?", "answer", "Three?", "answer"]


@pytest.mark.parametrize("where", ["", "mysql://host/db", "sqlite:///memory.db"])
async def test_a_place_of_another_kind_is_refused(where: str) -> None:
    with pytest.raises(UsageError, match="a file's path or a URL that begins with postgresql://"):
        await memory(where).__aenter__()


@pytest.mark.parametrize("password", ["SEC/RET", "SEC@RET", "SEC%RET", "SEC RET"])
async def test_a_password_that_breaks_the_url_is_not_shown(password: str) -> None:
    with pytest.raises(UsageError, match="write @ as %40") as caught:
        await memory(f"postgresql://user:{password}@127.0.0.1:1/db").__aenter__()
    assert not re.search("SEC|RET", str(caught.value))


async def test_a_postgresql_that_is_not_there_is_told_at_the_start() -> None:
    with pytest.raises(MemoryLostError, match=r"127\.0\.0\.1:1/db: .*Connection refused") as caught:
        await memory("postgresql://user:SECRET@127.0.0.1:1/db").__aenter__()
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("hasty")
async def test_a_postgresql_that_goes_away_and_returns_needs_no_restart(backend: Backend, postgres: Postgres) -> None:
    async with talking(backend, postgres.url) as ask:
        assert await ask("One?") == ["One?", "answer"]
        await asyncio.to_thread(postgres.stop)
        for _ in range(2):
            with pytest.raises(MemoryLostError, match=r"conversation memory 127\.0\.0\.1:\d+/postgres: .*connection"):
                await ask("Two?")
        await asyncio.to_thread(postgres.start)
        assert await ask("Three?") == ["One?", "answer", "Three?", "answer"]


@pytest.mark.usefixtures("hasty")
async def test_a_postgresql_that_goes_away_in_the_middle_of_an_answer_is_what_the_error_names(
    backend: Backend, postgres: Postgres
) -> None:
    async with talking(backend, postgres.url) as ask:
        await ask("One?")
        backend.script = lambda body, n: Say(delay=0.5)
        asking = asyncio.create_task(ask("Two?"))
        while len(backend.requests) < 9:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(postgres.stop)
        with pytest.raises(MemoryLostError) as caught:
            await asking
        assert ask.kept.trouble(caught.value) is caught.value


async def test_servers_that_start_at_once_make_the_tables_together(backend: Backend, postgres: Postgres) -> None:
    async with talking(backend, postgres.url) as a, talking(backend, postgres.url) as b:
        assert await a("One?") == ["One?", "answer"]
        assert await b("Two?") == ["One?", "answer", "Two?", "answer"]


async def test_a_refused_password_is_no_traceback(postgres: Postgres) -> None:
    with pytest.raises(MemoryLostError, match='password authentication failed for user "multiplex"') as caught:
        await memory(postgres.url.replace("p%40ss", "wrong-one")).__aenter__()
    assert "wrong-one" not in str(caught.value)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "memory.db") if request.param == "sqlite" else request.getfixturevalue("postgres").url


def folding(body: Body, _: int) -> Say:
    return Say("Both together?") if "Rewrite the newest message" in asked(body) else Say("Kin first.")


def ask_thread(served: Served, question: str) -> httpx.Response:
    return served.chat(question, metadata={"thread_id": "t"})


def test_a_server_killed_in_the_middle_of_a_conversation_goes_on_with_it(backend: Backend, place: str) -> None:
    backend.script = folding
    with serving(backend, "--memory", place) as served, ThreadPoolExecutor() as pool:
        assert ask_thread(served, "What do the young owe?").status_code == 200
        backend.script = lambda body, n: Say("Kin first.", delay=2.0)
        cut_off = pool.submit(ask_thread, served, "And what is never answered?")
        until(lambda: len(backend.requests) > 8, "the second question")
        served.stop(signal.SIGKILL)
        assert isinstance(cut_off.exception(), httpx.HTTPError)
    backend.script = folding
    with serving(backend, "--memory", place) as served:
        assert ask_thread(served, "And the old?").status_code == 200
    read = next(asked(body) for body in reversed(backend.requests) if "Rewrite the newest" in asked(body))
    assert '<turn speaker="user">\nWhat do the young owe?\n</turn>\n<turn speaker="assistant">\nKin first.' in read
    assert "<newest>\nAnd the old?\n</newest>" in read


def test_a_server_whose_database_goes_away_says_so_and_answers_again_when_it_is_back(
    backend: Backend, postgres: Postgres
) -> None:
    with serving(backend, "--memory", postgres.url) as served:
        assert ask_thread(served, "One?").status_code == 200
        postgres.stop()
        gone = ask_thread(served, "Two?")
        assert gone.status_code == 503
        assert "conversation memory 127.0.0.1" in gone.json()["error"]["message"]
        assert served.chat("Without a thread?").status_code == 200
        postgres.start()
        assert ask_thread(served, "Three?").status_code == 200
        assert PASSWORD not in "".join(served.errors)


def test_the_trouble_behind_an_error_is_found_wherever_it_stands() -> None:
    lost, other = MemoryLostError("gone"), ValueError("other")
    wrapped = ExceptionGroup("two", [other, RuntimeError("outer")])
    wrapped.exceptions[1].__cause__ = lost
    assert Memory().trouble(wrapped) is lost
    assert Memory().trouble(other) is None
    other.__context__ = other
    assert Memory().trouble(other) is None
