from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import Unit, matrix
from multiplex.bench.store import schema, writer
from multiplex.bench.store.records import Failure, Score
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer, Voice
from multiplex.errors import CallError, MultiplexError, UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from multiplex.llm.types import Reply
from multiplex.llm.usage import Usage
from tests.backend import Backend, Say
from tests.properties import examples

MODELS = ("a-model", "b-model")


def units(count: int, models: tuple[str, ...] = ("a-model",)) -> tuple[Unit, ...]:
    asked = [Question(id=f"q{i}", question=f"What is owed to kin, part {i}?", domain="religious") for i in range(count)]
    return matrix(asked, models, ["uniplex"], 1, seed=7)


def an_answer(text: str = "Elders are heard first.") -> Answer:
    said = Voice(persona="african", perspective="african", title="African", model="m", text="Kin care.", seconds=1.5)
    lost = Voice(persona="islamic", perspective="islamic", title="Islamic", model="m", error="no answer in 120 s")
    return Answer(
        strategy="multiplex", text=text, model="m", prompt="Speak.", voices=(said, lost), rounds=(said, lost),
        lost=("islamic",), scaffold=((0, 6),), usage=Usage(calls=2, input_tokens=30, output_tokens=None), seconds=2.25,
    )  # fmt: skip


def reply(text: str = "Kin care.", tokens: int | None = 5) -> Reply:
    return Reply(text, Usage(calls=1, input_tokens=tokens, output_tokens=tokens), seconds=0.25, cut=True, attempts=3)


async def test_everything_comes_back_from_another_store_as_it_was_written(tmp_path: Path) -> None:
    done, failed, mended, pending = units(4)
    score = Score(measures=None, voices={"african": {"african": 2}}, note="no word")
    with Store.open(tmp_path / "run", create=True) as store:
        store.add([done, failed])
        store.add([done, failed, mended, pending])
        await store.finish(done.id, an_answer())
        await store.fail(failed.id, Failure(kind="server", message="first"))
        await store.fail(failed.id, Failure(kind="timeout", message="last"))
        await store.fail(mended.id, Failure(kind="server", message="broke"))
        await store.finish(mended.id, an_answer("second try"))
        store.write_scoring("s1", '{"frame": 7}')
        store.keep_scores("s1", {done.id: score})
    with Store.read(tmp_path / "run") as store:
        assert store.states() == {done.id: "done", failed.id: "failed", mended.id: "done", pending.id: "pending"}
        first, second, third, last = store.records()
        assert (first.unit, first.answer, first.failure, first.score) == (done, an_answer(), None, score)
        assert (second.answer, second.failure) == (None, Failure(kind="timeout", message="last"))
        assert (third.answer, third.failure, third.score) == (an_answer("second try"), None, None)
        assert (last.unit, last.answer, last.failure) == (pending, None, None)
        assert [unit.id for unit, _ in store.unscored("s1")] == [mended.id]
        assert [each.message for _, each in store.failures(mended.id)] == ["broke"]
        assert store.answer(done.id) == an_answer()
        assert store.answer(failed.id) is None
        assert store.record(done.id) == first


async def test_a_done_unit_keeps_the_answer_it_has(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        await store.finish(unit.id, an_answer("paid for"))
        await store.fail(unit.id, Failure(kind="server", message="late"))
        await store.finish(unit.id, an_answer("again"))
        assert store.states() == {unit.id: "done"}
        assert store.answer(unit.id) == an_answer("paid for")


async def test_a_reply_stands_under_its_unit_and_request_only(tmp_path: Path) -> None:
    one, two = units(2)
    with Store.open(tmp_path, create=True) as store:
        store.add([one, two])
        ledger = store.ledger(one.id)
        assert await ledger.begin("k") is None
        await ledger.fail("k", CallError("server", "the endpoint broke"), seconds=2.0, attempts=4)
        assert await ledger.begin("k") is None
        await ledger.keep("k", reply())
        assert await ledger.begin("k") == reply()
        assert await ledger.begin("other") is None
        assert await store.ledger(two.id).begin("k") is None
        broke, kept = store.calls(one.id)
        assert (broke.error, broke.attempts) == (Failure(kind="server", message="the endpoint broke"), 4)
        assert (kept.error, kept.attempts, kept.seconds, kept.usage.output_tokens) == (None, 3, 0.25, 5)


async def test_tokens_spent_are_unknown_as_soon_as_one_call_reports_none(tmp_path: Path) -> None:
    known, unknown = units(1, MODELS)
    with Store.open(tmp_path, create=True) as store:
        store.add([known, unknown])
        for unit, tokens in ((known, (5, 6)), (unknown, (5, None))):
            for i, count in enumerate(tokens):
                await store.ledger(unit.id).keep(f"k{i}", reply(tokens=count))
        await store.ledger(known.id).fail("k9", CallError("server", "broke"), 1.0, 1)
        assert store.spent() == {
            "a-model": Usage(calls=2, input_tokens=11, output_tokens=11),
            "b-model": Usage(calls=2, input_tokens=None, output_tokens=None),
        }


async def test_the_newest_scoring_is_the_one_written_last(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        await store.finish(unit.id, an_answer())
        for key in ("wide", "narrow"):
            store.write_scoring(key, "{}")
            await store.keep_score(key, unit.id, Score(measures=None, note=key))
        assert [record.score and record.score.note for record in store.records()] == ["narrow"]
        store.write_scoring("wide", '{"new": 1}')
        assert [record.score and record.score.note for record in store.records()] == ["wide"]
        assert list(store.scorings().items()) == [("narrow", "{}"), ("wide", '{"new": 1}')]
        with pytest.raises(UsageError, match="no scoring 'wdie'; there are: narrow, wide"):
            store.records("wdie")


async def test_the_voices_of_an_answer_can_be_queried(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        await store.finish(unit.id, an_answer())
    with sqlite3.connect(tmp_path / "run.sqlite") as database:
        rows = database.execute("SELECT unit, perspective, text, error, seconds FROM voices").fetchall()
    database.close()
    assert rows == [(unit.id, "african", "Kin care.", None, 1.5), (unit.id, "islamic", "", "no answer in 120 s", 0.0)]


async def test_half_a_character_in_a_reply_stops_nothing(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        await store.ledger(unit.id).keep("k", reply("a \ud83d\ude00 b \ud83d c \x00"))
        assert (await store.ledger(unit.id).begin("k") or reply()).text == "a 😀 b \ufffd c \x00"
        await store.finish(unit.id, an_answer("half \ud83d"))
        assert (store.answer(unit.id) or an_answer()).text == "half \ufffd"


WRITES = """
import asyncio, sys
from pathlib import Path
from multiplex.bench.store.store import Store
from tests.bench.test_store import an_answer, reply, units

async def unit(store, of):
    for key in ("first", "second"):
        await store.ledger(of.id).keep(key, reply(f"{key} of {of.id}"))
        print("call", of.id, key, flush=True)
    await store.finish(of.id, an_answer(of.id))
    print("unit", of.id, "done", flush=True)

async def main(store, todo):
    for start in range(0, len(todo), 20):
        await asyncio.gather(*(unit(store, each) for each in todo[start : start + 20]))

with Store.open(Path(sys.argv[1]), create=True) as store:
    todo = units(5000)
    store.add(todo)
    asyncio.run(main(store, todo))
"""


def writing(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITES, str(folder)], stdout=subprocess.PIPE, text=True)


async def missing(folder: Path, lines: list[str]) -> list[str]:
    """The acknowledged writes that are not in the store."""
    with Store.read(folder) as store:
        states, lost = store.states(), []
        for line in lines:
            kind, unit_id, what = line.split()
            if kind == "unit":
                answer = store.answer(unit_id)
                there = states[unit_id] == "done" and answer is not None and answer.text == unit_id
            else:
                row = sqlite3_text(folder, unit_id, what)
                there = row == f"{what} of {unit_id}"
            lost += [] if there else [line]
        return lost


def sqlite3_text(folder: Path, unit_id: str, key: str) -> str | None:
    database = sqlite3.connect(folder / "run.sqlite")
    try:
        row = database.execute("SELECT text FROM calls WHERE unit = ? AND request = ?", (unit_id, key)).fetchone()
        return row[0] if row else None
    finally:
        database.close()


async def test_what_was_acknowledged_survives_a_kill_and_is_read_meanwhile(tmp_path: Path) -> None:
    with writing(tmp_path) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(400)]
        assert await missing(tmp_path, lines[:200]) == []
        os.kill(child.pid, signal.SIGKILL)
        lines += [line for line in child.stdout if line.endswith("\n")]
    assert len(lines) > 400
    assert len(lines) < 15_000
    assert await missing(tmp_path, lines) == []
    with Store.open(tmp_path) as store:  # the lock fell with its holder, and the run goes on
        pending = next(unit_id for unit_id, state in store.states().items() if state == "pending")
        await store.finish(pending, an_answer())
        assert store.states()[pending] == "done"


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with writing(tmp_path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(UsageError, match="another run is writing here"):
            Store.open(tmp_path, create=True)
        with Store.read(tmp_path) as store:
            assert len(store.states()) == 5000
        child.kill()


async def test_what_is_queued_is_written_before_the_store_closes(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        leaving = [asyncio.create_task(store.ledger(unit.id).keep(f"k{i}", reply())) for i in range(200)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
    with pytest.raises(MultiplexError, match="closed"):
        store.add([unit])
    with Store.read(tmp_path) as again:
        assert len(again.calls(unit.id)) == 200
    assert not (tmp_path / "run.sqlite-wal").exists() or (tmp_path / "run.sqlite-wal").stat().st_size == 0


async def test_writes_that_wait_share_a_commit_and_never_hold_the_loop_up(tmp_path: Path) -> None:
    todo = units(500)
    go, statements = threading.Event(), list[str]()
    with Store.open(tmp_path, create=True) as store:
        store.add(todo)
        assert store._writer is not None
        store._writer._connection.set_trace_callback(statements.append)
        slow = asyncio.create_task(store._soon(lambda _: go.wait(30)))  # a disk that takes its time
        finishing = [asyncio.create_task(store.finish(unit.id, an_answer())) for unit in todo]
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(task.done() for task in [slow, *finishing])
        assert await store.ledger(todo[0].id).begin("k") is None
        go.set()
        await asyncio.gather(slow, *finishing)
        assert set(store.states().values()) == {"done"}
    assert 1 <= statements.count("COMMIT") <= 3


def test_a_full_disk_is_named_and_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    first, second, *_ = todo = units(40)

    async def until_full() -> None:
        with Store.open(tmp_path, create=True) as store:
            store.add(todo)
            await store.finish(first.id, an_answer("kept"))
            await store.ledger(second.id).keep("k", reply())
            pages = "SELECT page_count FROM pragma_page_count"
            store._now(lambda db: db.execute(f"PRAGMA max_page_count = {db.execute(pages).fetchone()[0] + 20}"))
            results = await asyncio.gather(
                *(store.finish(unit.id, an_answer("x" * 20_000)) for unit in todo[1:]), return_exceptions=True
            )
            refused = [str(result) for result in results if isinstance(result, MultiplexError)]
            assert len(refused) == len(results)
            assert {message.split(": ", 1)[1] for message in refused} == {
                "the disk is full; nothing finished is lost; make room and run the same command again"
            }
            with pytest.raises(MultiplexError, match="the disk is full"):
                await store.ledger(second.id).begin("k2")  # no call is paid for whose reply cannot be kept

    asyncio.run(until_full())
    with Store.open(tmp_path) as store:
        assert store.answer(first.id) == an_answer("kept")
        assert [call.key for call in store.calls(second.id)] == ["k"]
        asyncio.run(store.finish(second.id, an_answer()))


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from multiplex.bench.store.store import Store
from multiplex.errors import MultiplexError
from tests.bench.test_store import an_answer, units

with Store.open(Path(sys.argv[1]), create=True) as store:
    todo = units(200)
    store.add(todo)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
    for unit in todo:
        try:
            asyncio.run(store.finish(unit.id, an_answer("x" * 20_000)))
        except MultiplexError as error:
            print("refused", error, flush=True)
            break
        print(unit.id, flush=True)
"""


def test_a_file_that_may_not_grow_loses_nothing_that_was_finished(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    *finished, last = done.stdout.splitlines()
    assert last.startswith("refused")
    assert "nothing finished is lost; run the same command again" in last
    assert len(finished) > 3
    with Store.open(tmp_path) as store:
        assert [unit_id for unit_id, state in store.states().items() if state == "done"] == finished


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"question,domain\n" + b"not a database at all, but a long text " * 40, "damaged, or not a database"),
        (b"SQLite format 3\x00" + b"\xff" * 5000, "damaged, or not a database"),
    ],
)
def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "run.sqlite").write_bytes(content)
    for opening in (Store.open, Store.read):
        with pytest.raises(UsageError, match=said) as refused:
            opening(tmp_path)
        assert str(refused.value).startswith(str(tmp_path / "run.sqlite"))
        assert "\n" not in str(refused.value)
    assert (tmp_path / "run.sqlite").read_bytes() == content


async def test_a_database_with_a_destroyed_page_is_refused_in_one_line(tmp_path: Path) -> None:
    todo = units(60)
    with Store.open(tmp_path, create=True) as store:
        store.add(todo)
        await asyncio.gather(*(store.finish(unit.id, an_answer("x" * 5000)) for unit in todo))
    with (tmp_path / "run.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)
    with pytest.raises(UsageError, match="damaged, or not a database"), Store.open(tmp_path) as store:
        list(store.records())


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "run.sqlite") as foreign:
        foreign.execute("CREATE TABLE bookmarks (url TEXT)")
    foreign.close()
    before = (tmp_path / "run.sqlite").read_bytes()
    with pytest.raises(UsageError, match="another program's database"):
        Store.open(tmp_path, create=True)
    assert (tmp_path / "run.sqlite").read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / "run.sqlite") as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    for opening in (Store.open, Store.read):
        with pytest.raises(UsageError, match=f"newer multiplex .schema {schema.VERSION + 1}, this one knows"):
            opening(tmp_path)


def test_a_folder_without_a_run_is_no_run_and_stays_empty(tmp_path: Path) -> None:
    for opening in (Store.open, Store.read):
        with pytest.raises(UsageError, match="no run is here"):
            opening(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(MultiplexError, match="file"):
        Store.open(tmp_path / "file", create=True)
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "run.sqlite").touch()  # what a kill at the first instant leaves
    Store.open(tmp_path / "killed", create=True).close()


@pytest.mark.parametrize("write", [True, False])
async def test_a_run_of_the_first_schema_is_brought_up_to_date(tmp_path: Path, write: bool) -> None:
    (unit,) = units(1)
    with sqlite3.connect(tmp_path / "run.sqlite") as old:
        for statement in schema.MIGRATIONS[0]:
            old.execute(statement)
        old.execute(
            "INSERT INTO units (id, question_id, model, strategy, epoch, unit, state, answer) VALUES (?,?,?,?,?,?,?,?)",
            (unit.id, unit.question_id, "a-model", "uniplex", 1, unit.model_dump_json(), "done",
             an_answer().model_dump_json()),
        )  # fmt: skip
        old.execute(
            "INSERT INTO calls (unit, request, text, cut, calls, input_tokens, output_tokens, seconds)"
            " VALUES (?, 'k', 'said', 0, 1, 3, 4, 0.5)",
            (unit.id,),
        )
        old.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with Store.open(tmp_path) if write else Store.read(tmp_path) as store:
        assert [(call.key, call.attempts) for call in store.calls(unit.id)] == [("k", 1)]
        assert store.answer(unit.id) == an_answer()
    with Store.open(tmp_path) as store:
        assert await store.ledger(unit.id).begin("k") == Reply(
            "said", Usage(calls=1, input_tokens=3, output_tokens=4), 0.5
        )
    assert schema.version(tmp_path / "run.sqlite") == schema.VERSION


async def test_a_clock_that_goes_back_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = iter(f"20{30 - i}-01-01T00:00:00+00:00" for i in range(30))
    monkeypatch.setattr("multiplex.bench.store.store.clock", lambda: next(days))
    monkeypatch.setattr(writer, "clock", lambda: next(days))
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        for message in ("first", "last"):
            await store.fail(unit.id, Failure(kind="server", message=message))
        assert [each.message for _, each in store.failures(unit.id)] == ["first", "last"]
        (record,) = store.records()
        assert record.failure == Failure(kind="server", message="last")
        assert [at for at, _ in store.failures(unit.id)] == ["2029-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"]
        assert store.overview().changed == "2026-01-01T00:00:00+00:00"


async def test_no_key_reaches_the_file(tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_core.messages import HumanMessage

    secret = "sk-" + "never-write-this-down"
    monkeypatch.setenv("THE_KEY", secret)
    backend.script = lambda _, number: Say(status=401, error=f"bad key {secret}") if number else Say()
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        chat = Chat(parse_spec("a-model", backend.base_url, "THE_KEY")).recorded(store.ledger(unit.id))
        for question in ("one?", "two?"):
            try:
                await chat.complete([HumanMessage(question)])
            except CallError as error:
                await store.fail(unit.id, Failure(kind=error.kind, message=str(error)))
        await chat.aclose()
        assert [call.error and call.error.kind for call in store.calls(unit.id)] == [None, "refused"]
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() in backend.headers[0]["authorization"].encode()
    assert secret.encode() not in held + b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_ten_thousand_units_are_streamed_in_flat_memory(tmp_path: Path) -> None:
    todo = units(10_000)
    big = an_answer("x" * 4_000)
    with Store.open(tmp_path, create=True) as store:
        store.add(todo)
        for start in range(0, len(todo), 1000):
            await asyncio.gather(*(store.finish(unit.id, big) for unit in todo[start : start + 1000]))
        store.write_scoring("s", "{}")
        next(store.records())
        tracemalloc.start()
        seen = sum(1 for _ in store.records())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        measured = 0
        for unit, _ in store.unscored("s"):  # a stream that what it leads to does not disturb
            measured += 1
            if measured % 100 == 0:
                store.keep_scores("s", {unit.id: Score(measures=None)})
    assert (seen, measured) == (10_000, 10_000)
    assert peak < 5_000_000  # bytes; all the answers together are 50 MB


def test_a_store_is_read_from_several_threads(tmp_path: Path) -> None:
    todo = units(300)
    with Store.open(tmp_path, create=True) as store:
        store.add(todo)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: len(list(store.records())), range(8))) == [300] * 8


@examples(4)
@given(st.lists(st.text(max_size=30), min_size=2, max_size=6))
def test_any_text_comes_back_as_it_was_answered_and_each_unit_keeps_its_own(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder, asked = tmp_path_factory.mktemp("any"), units(len(texts))
    with Store.open(folder, create=True) as store:
        store.add(asked)

        async def finish() -> None:
            await asyncio.gather(
                *(store.finish(unit.id, an_answer(text)) for unit, text in zip(asked, texts, strict=True))
            )

        asyncio.run(finish())
    with Store.read(folder) as store:
        assert [(record.unit, record.answer) for record in store.records()] == [
            (unit, an_answer(text)) for unit, text in zip(asked, texts, strict=True)
        ]
        assert store.check().summary() == ""
