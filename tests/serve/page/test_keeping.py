"""What is kept of an answer: as files, over a restart, and when the server or its database goes away."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from multiplex.answering import Result
from multiplex.serve.conversation.memory import memory
from multiplex.serve.page import exchanges
from tests.backend import Backend
from tests.serve import postgres
from tests.serve.luck import QUESTION, bugs, thinking, until
from tests.serve.page.scripted import ALONE, SIMPLY_ASKED, SYNTHESIZER, VOICES
from tests.serve.page.visit import UNMEASURED, House, Page, kinds, numbered, opened, told

STOPPED = "the server was told to stop before this answer was whole; ask again"
# a database that is away is given up sooner
HURRIED = "import multiplex.serve.conversation.checkpointers as it; it.CONNECTING = 1.0"


def test_an_answer_outlives_the_server_that_keeps_it(house: House, tmp_path: Path) -> None:
    memory = ("--memory", str(tmp_path / "memory.sqlite"))
    with opened(house.backend, *memory) as served:
        before = Page(served).answered()
        assert before["lasting"] is True
    with opened(house.backend, *memory) as served:
        page = Page(served)
        assert page.get(f"/page/answers/{before['id']}") == before
        assert page.request("GET", f"/page/answers/{before['id']}/download.json").status_code == 200
        after = page.answered("And the unborn?", after=before["id"])
        assert after["thread"] == [{"id": before["id"], "question": QUESTION}]
        assert after["asked"] == ALONE
        assert page.request("DELETE", f"/page/answers/{before['id']}").status_code == 204
    with opened(house.backend, *memory) as served:
        told(Page(served).request("GET", f"/page/answers/{before['id']}"), 404)


def test_an_answer_outlives_the_server_in_postgresql(house: House) -> None:
    with postgres.running() as database:
        memory = ("--memory", database.url)
        with opened(house.backend, *memory, measured=True) as served:
            before = Page(served).answered()
        with opened(house.backend, *memory, before=f"{UNMEASURED}{HURRIED}") as served:
            page = Page(served)
            assert page.get(f"/page/answers/{before['id']}") == before
            told(page.request("GET", "/page/answers/a%00b"), 404)
            told(page.post("/page/answers", question=QUESTION, after="a\0b"), 404)
            database.stop()
            lost = page.answered()  # is answered and can be read all the same
            assert lost["failed"] == {}
            told(page.request("GET", "/page/answers/no-such"), 503, code="memory_lost")
            database.start()
            assert page.get(f"/page/answers/{before['id']}") == before
            assert bugs(served) == []


def test_a_memory_that_went_away_is_told_and_the_answer_can_still_be_read(house: House, tmp_path: Path) -> None:
    file = tmp_path / "memory.sqlite"
    with opened(house.backend, "--memory", str(file)) as served:
        page = Page(served)
        kept = page.answered()
        with house.play.holding([SYNTHESIZER]), ThreadPoolExecutor() as pool:
            name = page.ask()
            reader = pool.submit(lambda: numbered(page.follow(name)))
            until(lambda: SYNTHESIZER in house.play.asked[9:], "the synthesis asked for")
            for path in tmp_path.iterdir():
                path.rename(path.with_name(f"away-{path.name}"))
            house.play.let()
            end = reader.result()[-1][1]
        assert re.match(r"this answer is not kept: conversation memory .*: the file was moved", end["note"])
        shown = page.ended(name)
        assert (shown["failed"], shown["lasting"]) == ({}, False)
        assert page.request("GET", f"/page/answers/{name}/download.md").status_code == 200
        told(page.request("GET", "/page/answers/no-such"), 503, code="memory_lost")
        for path in list(tmp_path.iterdir()):
            path.rename(path.with_name(path.name.removeprefix("away-")))
        again = page.answered(after=kept["id"])
    with opened(house.backend, "--memory", str(file)) as served:
        page = Page(served)
        assert page.get(f"/page/answers/{again['id']}")["thread"][0]["id"] == kept["id"]
        told(page.request("GET", f"/page/answers/{name}"), 404)


def test_a_server_that_must_stop_finishes_and_keeps_what_nobody_reads(house: House, tmp_path: Path) -> None:
    memory = ("--memory", str(tmp_path / "memory.sqlite"))
    house.play.change(VOICES, delay=1.5)
    with opened(house.backend, *memory, measured=True) as served:
        name = Page(served).ask()
        until(lambda: len(house.backend.requests) == 8, "all asked")
        assert served.stop() == 0
        assert [line["under_way"] > 0 for line in served.logs if line["event"] == "stopping"] == [True]
        assert bugs(served) == []
    with opened(house.backend, *memory) as served:
        shown = Page(served).get(f"/page/answers/{name}")
        assert shown["failed"] == {}
        assert shown["answers"]["multiplex"]["measures"]["n"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["memory.sqlite"]


def test_what_takes_too_long_for_a_server_that_must_stop_is_kept_with_its_cause(house: House, tmp_path: Path) -> None:
    memory = ("--memory", str(tmp_path / "memory.sqlite"))
    house.play.change(["western", SIMPLY_ASKED], delay=60.0)
    with opened(house.backend, *memory, "--grace", "0.5") as served, ThreadPoolExecutor() as pool:
        page = Page(served)
        name = page.ask()
        reader = pool.submit(lambda: numbered(page.follow(name)))
        until(lambda: len(house.backend.requests) == 8, "all asked")
        assert served.stop() == 0
        events = reader.result()
        assert {event["strategy"]: event["error"] for event in kinds(events, "failed")} == {
            "multiplex": STOPPED, "uniplex": STOPPED,
        }  # fmt: skip
        assert events[-1][1] == {"type": "ended", "note": None}
        assert bugs(served) == []
    with opened(house.backend, *memory) as served:
        shown = Page(served).get(f"/page/answers/{name}")
        assert shown["failed"] == {"multiplex": STOPPED, "uniplex": STOPPED}
        assert len(shown["voices"]) == 6


def test_a_second_interrupt_stops_at_once_though_a_question_is_under_way(backend: Backend) -> None:
    backend.script = thinking(60)
    with opened(backend) as served:
        Page(served).ask()
        until(lambda: len(backend.requests) == 8, "all asked")
        served.process.send_signal(signal.SIGINT)
        until(lambda: any(line["event"] == "stopping" for line in served.logs), "the server stops")
        served.process.send_signal(signal.SIGINT)
        served.process.wait(20)


def test_an_answer_that_is_damaged_is_told_as_such_and_others_are_not(house: House, tmp_path: Path) -> None:
    file = tmp_path / "memory.sqlite"
    with opened(house.backend, "--memory", str(file)) as served:
        page = Page(served)
        names = [page.answered(strategies=["uniplex"])["id"] for _ in range(2)]
        names.append(page.answered(strategies=["uniplex"], after=names[0])["id"])
    with sqlite3.connect(file) as database:
        damaged = database.execute("UPDATE store SET value = replace(value, 'uniplex', '?') WHERE key = ?", names[:1])
        assert damaged.rowcount == 1
    database.close()
    with opened(house.backend, "--memory", str(file)) as served:
        page = Page(served)
        reply = page.request("GET", f"/page/answers/{names[0]}")
        assert "damaged or was kept by another version" in told(reply, 503, code="memory_lost")
        assert page.get(f"/page/answers/{names[1]}")["failed"] == {}
        assert page.get(f"/page/answers/{names[2]}")["thread"] == [{"id": names[0], "question": None}]
        assert bugs(served) == []


def exchange(name: str, *thread: str) -> exchanges.Exchange:
    """An exchange without an answer."""
    return exchanges.Exchange(
        id=name, owner="anyone", council="multiplex", model="m", strategies=(), thread=thread, asked=QUESTION,
        result=Result(question=QUESTION, seed=0, frame=(), answers={}),
    )  # fmt: skip


async def aged(saver: Any) -> None:
    """Have all records of a memory be a year old."""
    if hasattr(saver, "pool"):
        async with saver.pool.connection() as connection:
            await connection.execute("UPDATE store SET updated_at = updated_at - interval '1 year'")
    else:
        await saver.conn.execute("UPDATE store SET updated_at = datetime(updated_at, '-1 year')")
        await saver.conn.commit()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_conversation_is_kept_as_long_as_its_last_question_and_then_by_no_server(
    kind: str, tmp_path: Path
) -> None:
    with postgres.running() if kind == "postgresql" else nullcontext() as database:
        place = database.url if database else str(tmp_path / "memory.sqlite")
        async with (
            memory(place) as kept, exchanges.answers(kept) as here,
            memory(place) as other, exchanges.answers(other) as there,
        ):  # fmt: skip
            assert here._shelf is not None
            saver: Any = kept.checkpointer
            await here._shelf._store.aput(("another", "program"), "k", {"of": "theirs"})
            await here.keep(exchange("first"))
            await here.keep(exchange("alone"))
            await aged(saver)
            await here.keep(exchange("second", "first"))
            month = datetime.now(UTC) - timedelta(days=30)
            assert await saver.forget_before(month) == 1
            assert [await here.get(name) is None for name in ("first", "second", "alone")] == [False, False, True]
            await there.delete("second")
            assert await here.get("second") is None
            assert await here._shelf._store.aget(("another", "program"), "k") is not None


async def test_what_is_called_off_while_it_is_kept_spoils_nothing_that_follows(tmp_path: Path) -> None:
    async with memory(str(tmp_path / "memory.sqlite")) as kept, exchanges.answers(kept) as held:
        for steps in range(1, 12):
            keeping = asyncio.ensure_future(held.keep(exchange("called-off")))
            for _ in range(steps):
                await asyncio.sleep(0)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        await held.keep(exchange("next"))
        assert held.lasts("next")


async def test_a_server_without_memory_holds_the_latest_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "HELD", 2)
    held = exchanges.Answers(None)
    for name in ("first", "second", "third"):
        await held.keep(exchange(name))
    assert await held.get("first") is None
    assert [(await held.get(name)).id for name in ("second", "third")] == ["second", "third"]  # type: ignore[union-attr]
