"""What of a run is damaged on disk is named, left out, and paid for again only where the user says so."""

from __future__ import annotations

import asyncio
import random
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from multiplex.bench.analysis.analysis import analyse
from multiplex.bench.store import schema
from multiplex.bench.store.checksums import COVERED
from multiplex.bench.store.damage import Checkup
from multiplex.bench.store.records import Failure, Record, Score
from multiplex.bench.store.store import Store
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.usage import Usage
from tests.backend import Backend
from tests.bench import synthetic
from tests.bench.test_store import an_answer, reply, units
from tests.command import COMMAND, run

FLIPS = 60


async def fill(folder: Path, count: int = 4) -> list[str]:
    """A run of some answered and measured units with a reply each, the last one failed; their ids."""
    todo = units(count)
    with Store.open(folder, create=True) as store:
        store.add(todo)
        store.write_scoring("s", "{}")
        for unit in todo:
            await store.ledger(unit.id).keep(f"key {unit.id}", reply())
            await store.finish(unit.id, an_answer()) if unit != todo[-1] else await store.fail(
                unit.id, Failure(kind="server", message="it broke")
            )
            await store.keep_score("s", unit.id, Score(measures=None, note="no word"))
    return [unit.id for unit in todo]


def change(folder: Path, statement: str, *values: object) -> None:
    """Damage a run behind the store's back."""
    with sqlite3.connect(folder / "run.sqlite") as db:
        db.execute(statement, values)
    db.close()


def read(folder: Path) -> tuple[Checkup, list[Record], dict[str, Usage]]:
    with Store.read(folder) as store:
        return store.check(), list(store.records()), store.spent()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE units SET answer = replace(answer, '2.25', '2.26') WHERE id = ?", "unit {}: its answer"),
        ("UPDATE units SET answer = CAST(x'7bff' AS TEXT) WHERE id = ?", "unit {}: its answer"),
        ("UPDATE units SET state = 'failed' WHERE id = ?", "unit {}: its answer"),
        ("UPDATE units SET unit = replace(unit, 'kin', 'kit') WHERE id = ?",
         "unit {}: its question, model, strategy or epoch"),
        ("UPDATE measures SET score = replace(score, 'no', 'so') WHERE unit = ?", "unit {}: its score by scoring s"),
        ("UPDATE calls SET output_tokens = 4 WHERE unit = ?", "unit {}: call 1"),
        ("UPDATE calls SET seconds = 0.2500001 WHERE unit = ?", "unit {}: call 1"),
        ("UPDATE calls SET text = CAST(x'ff' AS TEXT) WHERE unit = ?", "unit {}: call 1"),
    ],
)  # fmt: skip
async def test_a_changed_record_is_named_and_what_is_sound_is_read(tmp_path: Path, statement: str, named: str) -> None:
    first, *_ = await fill(tmp_path)
    before = read(tmp_path)
    assert before[0].damaged == ()
    change(tmp_path, statement, first)
    found, records, spent = read(tmp_path)
    assert [each.what for each in found.damaged] == [named.format(first) + " (its checksum differs)"]
    assert records[-3:] == before[1][-3:]
    assert (records, spent) != before[1:]
    if "answer" in statement or "state" in statement:
        assert (records[0].answer, records[0].failure and records[0].failure.kind) == (None, "damaged")
    if "calls" in statement:
        assert spent["a-model"].calls == 3
        with Store.open(tmp_path) as store, pytest.raises(UsageError, match="a reply is damaged"):
            await store.ledger(first).begin(f"key {first}")


async def test_what_belongs_to_the_whole_run_is_checked_too(tmp_path: Path) -> None:
    *_, failed = await fill(tmp_path)
    change(tmp_path, "UPDATE scorings SET description = '{ }'")
    change(tmp_path, "UPDATE errors SET message = 'it brok\u00e9'")
    change(tmp_path, "UPDATE meta SET value = '2' WHERE key = 'changed'")
    found, records, _ = read(tmp_path)
    assert {each.what.removesuffix(" (its checksum differs)") for each in found.damaged} == {
        "the changed of the run", f"unit {failed}: failure 1", "scoring s: its description",
    }  # fmt: skip
    assert records[-1].failure == Failure(
        kind="damaged", message="what is stored is damaged; `multiplex bench verify` names it"
    )


def test_no_flipped_bit_changes_what_is_read_unnoticed(tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "whole", synthetic.records())
    before = read(tmp_path / "whole")
    whole = (tmp_path / "whole" / "run.sqlite").read_bytes()
    (tmp_path / "flipped").mkdir()
    draw, named, refused = random.Random(7), 0, 0
    for _ in range(FLIPS):
        data, at = bytearray(whole), draw.randrange(len(whole))
        data[at] ^= 1 << draw.randrange(8)
        (tmp_path / "flipped" / "run.sqlite").write_bytes(data)
        try:
            found, *rest = read(tmp_path / "flipped")
        except MultiplexError:
            refused += 1
            continue
        named += bool(found.damaged)
        assert found.damaged or tuple(rest) == before[1:], f"byte {at}"
    assert named > FLIPS / 3
    assert refused < FLIPS / 4


def test_a_report_names_what_it_leaves_out(tmp_path: Path) -> None:
    synthetic.stored(tmp_path / "r", synthetic.records())
    spoiled = synthetic.units()[9].id
    change(tmp_path / "r", "UPDATE units SET answer = replace(answer, '1.5', '1.6') WHERE id = ?", spoiled)
    done = run("bench", "report", "r", "--dir", str(tmp_path), "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert f"1 damaged: unit {spoiled}: its answer (its checksum differs); left out" in done.stderr
    assert f"Left out, since it is damaged: 1 damaged: unit {spoiled}" in (tmp_path / "out" / "report.md").read_text()
    with Store.read(tmp_path / "r") as store:
        assert (
            sum(
                condition.failures.get("damaged", 0)
                for condition in analyse(store, resamples=50, permutations=99).conditions
            )
            == 1
        )


def test_what_is_damaged_is_paid_for_again_only_on_demand(tmp_path: Path, backend: Backend) -> None:
    (tmp_path / "q.csv").write_text("question\nWhat is owed to kin?\nWhat is owed to guests?\nWhat is owed to land?\n")
    order = ["bench", "run", "--models", "m", "--base-url", backend.base_url, "--strategies", "uniplex",
             "--questions", str(tmp_path / "q.csv"), "--no-score", "--dir", str(tmp_path)]  # fmt: skip
    assert run(*order).returncode == 0
    assert len(backend.requests) == 3
    change(tmp_path / "q", "UPDATE units SET answer = replace(answer, 'uniplex', 'uniplax') WHERE number < 3")
    change(tmp_path / "q", "UPDATE calls SET text = text || '.' WHERE unit = (SELECT id FROM units WHERE number = 1)")

    verified = run("bench", "verify", "q", "--dir", str(tmp_path))
    assert (verified.returncode, verified.stdout.count("damaged: ")) == (1, 3)

    left = run(*order)
    assert left.returncode == 1
    assert "2 units left out, whose records are damaged" in left.stderr
    assert len(backend.requests) == 3

    assert run(*order, "--redo-damaged").returncode == 0
    assert len(backend.requests) == 4  # the second unit's reply was sound
    verified = run("bench", "verify", "q", "--dir", str(tmp_path))
    assert (verified.returncode, ", 0 damaged" in verified.stdout) == (0, True)
    with Store.read(tmp_path / "q") as store:
        assert set(store.states().values()) == {"done"}


async def test_a_damaged_index_is_built_anew_and_a_damaged_unit_written_anew(tmp_path: Path) -> None:
    first, second, *_ = await fill(tmp_path)
    change(tmp_path, "UPDATE units SET unit = '{' WHERE id = ?", first)
    change(tmp_path, "UPDATE units SET id = 'gone' WHERE id = ?", second)
    with Store.open(tmp_path) as store:
        store.redo(store.check(), units(4))
        store.add(units(4))
        assert store.check().damaged == ()
        assert {unit.id for unit in store.units()} == {unit.id for unit in units(4)}
        assert store.states()[first] == "done"
        assert store.states()[second] == "pending"
        assert await store.ledger(second).begin(f"key {second}") == reply()


async def test_records_without_a_checksum_are_checked_by_their_form(tmp_path: Path) -> None:
    first, *_ = await fill(tmp_path)
    for table, sums in COVERED.items():
        for column in sums:
            change(tmp_path, f"UPDATE {table} SET {column} = NULL")  # noqa: S608  # our own names
    assert read(tmp_path)[0].unsummed == read(tmp_path)[0].records > 0
    assert read(tmp_path)[0].damaged == ()
    change(tmp_path, "UPDATE units SET answer = '{' WHERE id = ?", first)
    found, records, _ = read(tmp_path)
    assert [(each.part, each.unit) for each in found.damaged] == [("outcome", first)]
    assert records[0].failure is not None
    assert records[0].failure.kind == "damaged"


async def test_a_reader_leaves_no_trace_and_sees_who_began_to_write(tmp_path: Path) -> None:
    *_, last = await fill(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with Store.read(tmp_path) as store:
        assert len(list(store.records())) == 4
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        with Store.open(tmp_path) as writing:
            await writing.finish(last, an_answer("late"))
            assert (store.answer(last) or an_answer()).text == "late"
        assert (store.answer(last) or an_answer()).text == "late"


def older(folder: Path) -> None:
    """A run as the first schema has it."""
    folder.mkdir()
    with sqlite3.connect(folder / "run.sqlite") as old:
        old.execute("PRAGMA journal_mode = WAL")
        for statement in schema.MIGRATIONS[0]:
            old.execute(statement)
        (unit,) = units(1)
        old.execute(
            "INSERT INTO units (id, question_id, model, strategy, epoch, unit, state, answer) VALUES (?,?,?,?,?,?,?,?)",
            (unit.id, "q0", "a-model", "uniplex", 1, unit.model_dump_json(), "done", an_answer().model_dump_json()),
        )
        old.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        old.execute("PRAGMA user_version = 1")
    old.close()


def sealed() -> Callable[[Path, str], str] | None:
    """Runs a line of shell with a folder mounted read-only; None where this system lets nobody mount."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "mount", "--bind", "/tmp", "/tmp"]).returncode:  # noqa: S108
        return None

    def run_sealed(folder: Path, line: str) -> str:
        place = shlex.quote(str(folder))
        mounted = (
            f"mount --bind {place} {place} && mount -o remount,ro,bind {place} && ! touch {place}/x 2>&1 && {line}"
        )
        done = subprocess.run([unshare, "-rm", "sh", "-ec", mounted], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_sealed


def test_a_run_on_a_read_only_mount_is_listed_shown_reported_and_exported(tmp_path: Path) -> None:
    run_sealed = sealed()
    if run_sealed is None:
        pytest.skip("this system lets nobody mount")
    runs = tmp_path / "runs"
    synthetic.stored(runs / "new", synthetic.records())
    older(runs / "old")
    (runs / "torn").mkdir()
    (runs / "torn" / "run.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)  # hinders no other run
    unit, out = synthetic.units()[0].id, tmp_path / "out"
    bench = f"{shlex.join(COMMAND)} bench"
    said = run_sealed(
        runs,
        f"{bench} list --dir {runs} && {bench} show {unit} --dir {runs} && "
        f"{bench} report new --dir {runs} --output {out} && {bench} export old --dir {runs} --output {out}/old.csv",
    )
    assert "old" in said.split("new", 1)[1]
    assert sorted(path.name for path in out.iterdir()) == [
        "figures", "old.csv", "report.html", "report.md", "results.csv", "results.jsonl",
    ]  # fmt: skip
    assert "Elders are heard first." in (out / "old.csv").read_text()
    assert sorted(path.name for path in (runs / "old").iterdir()) == ["run.sqlite"]


def test_unit_and_file_are_named_where_the_file_cannot_be_read(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "r"))
    change(tmp_path / "r", "UPDATE meta SET value = CAST(x'ff' AS TEXT), key = 'manifest'")
    done = run("bench", "run", "--models", "m", "--base-url", "http://127.0.0.1:9/v1", "--questions", "worldviews-175",
               "--name", "r", "--dir", str(tmp_path))  # fmt: skip
    assert done.returncode == 2
    assert f"{tmp_path}/r/run.sqlite: the manifest is damaged (its checksum differs)" in done.stderr
    assert "run the same command again" not in done.stderr
