"""What a run keeps on disk: its units, every reply before it is used, answers, failures and scores.

One process writes, any number read meanwhile. What a call here has returned from is on disk: neither a kill nor a
power cut takes it away.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel

from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.reader import Reader
from multiplex.bench.store.records import Failure, Record, Score
from multiplex.bench.store.reply_cache import UnitLedger
from multiplex.bench.store.schema import DATABASE, VERSION, connect, explaining, locked, migrate, version
from multiplex.bench.store.stored import as_json, parsed, sound
from multiplex.bench.store.writer import Work, Writer, clock
from multiplex.council.answer import Answer
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.usage import Usage

State = Literal["pending", "done", "failed"]
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class CallRow:
    """One call of a unit: `error` is None where a reply was kept, else the kind and message of what it failed with.

    `seconds` with retries; `attempts` counts the requests sent.
    """

    key: str
    seconds: float
    attempts: int
    usage: Usage
    error: Failure | None = None


@dataclass(frozen=True)
class Overview:
    """A run at a glance: how many questions, which models and strategies, how many units of each state.

    `changed` is what the clock said when something was last written (UTC, ISO 8601); empty where nothing was.
    """

    questions: int
    models: tuple[str, ...]
    strategies: tuple[str, ...]
    done: int
    failed: int
    pending: int
    changed: str


class Store:
    """The database of one run: `Store.open` writes, `Store.read` only reads. A context manager that closes it.

    Every method raises UsageError where the file is damaged; those that write raise MultiplexError where the disk
    refuses, and after the first refusal nothing more is written.
    """

    def __init__(self, folder: Path, reader: Reader, writer: Writer | None, held: ExitStack) -> None:
        self.folder, self.path = folder, folder / DATABASE
        self._reader, self._writer, self._held = reader, writer, held

    @classmethod
    def open(cls, folder: Path, *, create: bool = False) -> Store:
        """The store of the run in this folder, to write. One of an older schema is brought up to date.

        Raises:
            UsageError: another process writes here, there is no run and `create` is False, or the file is damaged,
                foreign, or of a newer schema.
            MultiplexError: the disk refuses.
        """
        path = folder / DATABASE
        with ExitStack() as held, explaining(path):
            if not create:
                _existing(path)
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder))
            found = version(path)
            connection = connect(path, write=True)
            held.callback(connection.close)
            migrate(connection, found)
            writer = Writer(connection, path)
            held.callback(writer.close)
            reader = Reader(connect(path, write=False), path)
            held.callback(reader.close)  # first of all: the writer's connection, as the last, tidies the log up
            return cls(folder, reader, writer, held.pop_all())

    @classmethod
    def read(cls, folder: Path) -> Store:
        """The store of the run in this folder, to read, also while another process writes it.

        Raises:
            UsageError: there is no run, or the file is damaged, foreign, or of a newer schema.
        """
        path = folder / DATABASE
        if _existing(path) < VERSION:
            cls.open(folder).close()
        with ExitStack() as held, explaining(path):
            reader = Reader(connect(path, write=False), path)
            held.callback(reader.close)
            return cls(folder, reader, None, held.pop_all())

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is a run in this folder.

        Raises:
            UsageError: what is there is damaged, foreign, or of a newer schema.
        """
        return version(folder / DATABASE) > 0

    def close(self) -> None:
        """Write what is still queued, close the file and let another process write."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the run as a whole

    @property
    def manifest(self) -> Manifest | None:
        """What the run was made with; None before that was written."""
        row = self._reader.row("SELECT value FROM meta WHERE key = 'manifest'")
        return self._parsed(Manifest, row[0], "the manifest") if row else None

    def write_manifest(self, manifest: Manifest) -> None:
        """Write down what the run is made with, in place of what stood there."""
        text = as_json(manifest)
        self._now(lambda db: db.execute("INSERT OR REPLACE INTO meta VALUES ('manifest', ?)", (text,)))

    def secret(self) -> str:
        """The run's own secret, which goes into the marks of its prompts; made at the first call and then the same."""
        fresh = secrets.token_hex(16)
        self._now(lambda db: db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (fresh,)))
        (found,) = self._reader.rows("SELECT value FROM meta WHERE key = 'secret'")[0]
        return str(found)

    def add(self, units: Sequence[Unit]) -> None:
        """Add units, in this order, after those that are there; those that are there already stay as they are."""
        rows = [(unit.id, unit.question_id, unit.model, unit.strategy, unit.epoch, as_json(unit)) for unit in units]
        self._now(lambda db: db.executemany(_ADD, rows))

    def states(self) -> dict[str, State]:
        """The state of each unit by its id, in order."""
        return dict(self._reader.rows("SELECT id, state FROM units ORDER BY number"))

    def spent(self) -> dict[str, Usage]:
        """What all replies cost, by model. Tokens are None where the endpoint did not report those of every call."""
        return {
            model: Usage(calls=calls, input_tokens=given, output_tokens=made)
            for model, calls, given, made in self._reader.rows(_SPENT)
        }

    def overview(self) -> Overview:
        """What the run holds, counted."""
        columns = "question_id, model, strategy, state"
        rows = self._reader.rows(f"SELECT {columns} FROM units ORDER BY number")  # noqa: S608  # our own names
        questions, models, strategies = (tuple(dict.fromkeys(row[column] for row in rows)) for column in range(3))
        states = [row[3] for row in rows]
        changed = self._reader.row("SELECT value FROM meta WHERE key = 'changed'")
        return Overview(
            questions=len(questions),
            models=models,
            strategies=strategies,
            done=states.count("done"),
            failed=states.count("failed"),
            pending=states.count("pending"),
            changed=changed[0] if changed else "",
        )

    def units(self) -> Iterator[Unit]:
        """Every unit, in order, as a stream; answers are not read."""
        for (unit,) in self._reader.pages(_UNITS):
            yield self._parsed(Unit, unit, "a unit")

    # --- one unit

    def ledger(self, unit_id: str) -> UnitLedger:
        """Where the replies of this unit are kept."""
        return UnitLedger(self.path, self._reader, self._writer, unit_id)

    async def finish(self, unit_id: str, answer: Answer) -> None:
        """Write a unit's answer down. A unit that is done keeps the answer it has."""
        text = as_json(answer)
        await self._soon(lambda db: _settle(db, unit_id, "done", text))

    async def fail(self, unit_id: str, failure: Failure) -> None:
        """Write down why a unit has no answer; it may still be finished later."""
        error = (unit_id, failure.kind, sound(failure.message), clock())

        def work(db: sqlite3.Connection) -> None:
            _settle(db, unit_id, "failed", None)
            db.execute("INSERT INTO errors (unit, kind, message, at) VALUES (?, ?, ?, ?)", error)

        await self._soon(work)

    def answer(self, unit_id: str) -> Answer | None:
        """A unit's answer; None where it has none."""
        row = self._reader.row("SELECT answer FROM units WHERE id = ?", unit_id)
        return self._parsed(Answer, row[0], f"unit {unit_id}") if row and row[0] is not None else None

    def calls(self, unit_id: str) -> list[CallRow]:
        """Every call made for a unit, in the order in which they ended."""
        return [
            CallRow(key, seconds, attempts, Usage(calls=calls, input_tokens=given, output_tokens=made),
                    Failure(kind=kind, message=message) if kind is not None else None)
            for key, seconds, attempts, calls, given, made, kind, message in self._reader.rows(_CALLS, unit_id)
        ]  # fmt: skip

    def failures(self, unit_id: str) -> list[tuple[str, Failure]]:
        """Every failure of a unit, first to last, also where it is done by now, with what the clock said."""
        rows = self._reader.rows("SELECT at, kind, message FROM errors WHERE unit = ? ORDER BY number", unit_id)
        return [(at, Failure(kind=kind, message=message)) for at, kind, message in rows]

    def named(self, prefix: str) -> list[str]:
        """The ids that begin so, in order; at most ten."""
        query = "SELECT id FROM units WHERE substr(id, 1, length(?1)) = ?1 ORDER BY number LIMIT 10"
        return [unit_id for (unit_id,) in self._reader.rows(query, prefix)]

    # --- scores

    def write_scoring(self, key: str, description_json: str) -> None:
        """Write down what a scoring is made with; it becomes the newest, also where it was there before."""
        self._now(lambda db: db.execute(_SCORING, (key, description_json)))

    def scorings(self) -> dict[str, str]:
        """The description, JSON, of each scoring by its key; the newest comes last."""
        return dict(self._reader.rows("SELECT key, description FROM scorings ORDER BY number"))

    def keep_scores(self, scoring: str, scores: Mapping[str, Score]) -> None:
        """Write the scores of units down, by their ids; the scoring must have been written before."""
        rows = [(unit_id, scoring, as_json(score)) for unit_id, score in scores.items()]
        self._now(lambda db: db.executemany("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", rows))

    async def keep_score(self, scoring: str, unit_id: str, score: Score) -> None:
        """Write one unit's score down, from an event loop."""
        row = (unit_id, scoring, as_json(score))
        await self._soon(lambda db: db.execute("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", row))

    def unscored(self, scoring: str) -> Iterator[tuple[Unit, Answer]]:
        """The answers that this scoring has not measured, in order, as a stream; scores may be kept meanwhile."""
        for unit, answer in self._reader.pages(_UNSCORED, scoring):
            of = self._parsed(Unit, unit, "a unit")
            yield of, self._parsed(Answer, answer, f"unit {of.id}")

    def records(self, scoring: str | None = None) -> Iterator[Record]:
        """Every unit with what came of it, in order, as a stream; scores are those of the newest scoring by default.

        Raises:
            UsageError: there is no such scoring.
        """
        key = self._scoring(scoring)
        return (self._record(row) for row in self._reader.pages(_RECORDS + _PAGE, key))

    def record(self, unit_id: str, scoring: str | None = None) -> Record | None:
        """One unit with what came of it; None where it is not there."""
        row = self._reader.row(_RECORDS + "WHERE units.id = ?", self._scoring(scoring), unit_id)
        return self._record(row[1:]) if row else None

    def _scoring(self, key: str | None) -> str:
        there = list(self.scorings())
        if key is not None and key not in there:
            raise UsageError(f"{self.path}: no scoring {key!r}; there are: {', '.join(there) or 'none'}")
        return key if key is not None else there[-1] if there else ""

    def _record(self, row: tuple[Any, ...]) -> Record:
        unit, answer, score, kind, message = row
        of = self._parsed(Unit, unit, "a unit")
        where = f"unit {of.id}"
        return Record(
            unit=of,
            answer=self._parsed(Answer, answer, where) if answer is not None else None,
            failure=Failure(kind=kind, message=message) if kind is not None else None,
            score=self._parsed(Score, score, where) if score is not None else None,
        )

    def _parsed(self, kind: type[_Model], text: str, where: str) -> _Model:
        return parsed(kind, text, self.path, where)

    # --- writing

    async def _soon(self, work: Work) -> None:
        await asyncio.wrap_future(self._writing().submit(work))

    def _now(self, work: Work) -> None:
        self._writing().submit(work).result()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise MultiplexError(f"{self.path} is open for reading only")
        return self._writer


_ADD = """INSERT INTO units (id, question_id, model, strategy, epoch, unit) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO NOTHING"""
_SPENT = """SELECT units.model, sum(calls),
    CASE WHEN count(*) = count(input_tokens) THEN sum(input_tokens) END,
    CASE WHEN count(*) = count(output_tokens) THEN sum(output_tokens) END
    FROM calls JOIN units ON units.id = calls.unit WHERE calls.kind IS NULL
    GROUP BY units.model ORDER BY min(units.number)"""
_CALLS = """SELECT request, seconds, attempts, coalesce(calls, 0), input_tokens, output_tokens, kind, message
    FROM calls WHERE unit = ? ORDER BY number"""
_SCORING = """INSERT INTO scorings (key, description) VALUES (?, ?) ON CONFLICT (key) DO UPDATE
    SET description = excluded.description, number = (SELECT max(number) + 1 FROM scorings)"""
_PAGE = "WHERE units.number > ? ORDER BY units.number LIMIT ?"
_UNITS = "SELECT number, unit FROM units WHERE number > ? ORDER BY number LIMIT ?"
_UNSCORED = """SELECT number, unit, answer FROM units
    WHERE state = 'done' AND NOT EXISTS (SELECT 1 FROM measures WHERE measures.unit = units.id AND scoring = ?)
    AND number > ? ORDER BY number LIMIT ?"""
_RECORDS = """SELECT units.number, units.unit, units.answer, measures.score, errors.kind, errors.message FROM units
    LEFT JOIN measures ON measures.unit = units.id AND measures.scoring = ?
    LEFT JOIN errors ON units.state = 'failed'
        AND errors.number = (SELECT max(last.number) FROM errors AS last WHERE last.unit = units.id) """


def _settle(db: sqlite3.Connection, unit_id: str, state: State, answer: str | None) -> None:
    known = db.execute("SELECT 1 FROM units WHERE id = ?", (unit_id,)).fetchone()
    if known is None:
        raise LookupError(f"no unit {unit_id}")
    db.execute("UPDATE units SET state = ?, answer = ? WHERE id = ? AND state <> 'done'", (state, answer, unit_id))


def _existing(path: Path) -> int:
    found = version(path)
    if not found:
        raise UsageError(
            f"{path.parent}: no run is here; `multiplex bench run` makes one, `multiplex bench list` lists"
        )
    return found
