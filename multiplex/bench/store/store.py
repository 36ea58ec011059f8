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
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel

from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.plan.units import Unit
from multiplex.bench.store import batch_log
from multiplex.bench.store import queries as sql
from multiplex.bench.store.checksums import matches
from multiplex.bench.store.damage import Checkup, check
from multiplex.bench.store.json_text import as_json, join_halves, parsed
from multiplex.bench.store.mending import mend
from multiplex.bench.store.reader import Reader
from multiplex.bench.store.records import CallRow, Failure, Overview, Record, Score
from multiplex.bench.store.reply_cache import UnitLedger
from multiplex.bench.store.schema import DATABASE, connect, explaining, locked, migrate, version
from multiplex.bench.store.writer import SET, Work, Writer, clock
from multiplex.council.answer import Answer
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.usage import Usage

State = Literal["pending", "done", "failed"]
_Model = TypeVar("_Model", bound=BaseModel)


class Store:
    """The database of one run: `Store.open` writes, `Store.read` only reads. A context manager that closes it.

    Every method raises UsageError where what it asks for is damaged; a stream leaves damaged records out, or yields
    them as failed, and `check` names them. Those that write raise MultiplexError where the disk refuses, and after
    the first refusal nothing more is written.
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
            reader = Reader(path)
            held.callback(reader.close)  # first of all: the writer's connection, as the last, tidies the log up
            return cls(folder, reader, writer, held.pop_all())

    @classmethod
    def read(cls, folder: Path) -> Store:
        """The store of the run in this folder, to read, also while another process writes it.

        It migrates nothing, and where nobody writes the run it writes no file: the folder may be read-only.

        Raises:
            UsageError: there is no run, or the file is damaged, foreign, or of a newer schema.
        """
        path = folder / DATABASE
        _existing(path)
        with ExitStack() as held, explaining(path):
            reader = Reader(path)
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
        row = self._reader.row(f"SELECT {matches('meta')}, value FROM meta WHERE key = 'manifest'")  # noqa: S608
        if row is None:
            return None
        self._must_match(row[0], "the manifest")
        return self._parsed(Manifest, row[1], "the manifest")

    def write_manifest(self, manifest: Manifest) -> None:
        """Write down what the run is made with, in place of what stood there."""
        text = as_json(manifest)
        self._now(lambda db: db.execute(SET, {"key": "manifest", "value": text}))

    def check(self) -> Checkup:
        """Check every record against its checksum, and the file's structure; all of the file is read.

        Raises:
            MultiplexError: it cannot be read at all.
        """
        return check(self._reader, self.path)

    def redo(self, checkup: Checkup, units: Sequence[Unit]) -> None:
        """Throw away what a check found damaged, so that it is made again; sound replies are kept, and used again.

        `units` tell what damaged units were.
        """
        self._now(lambda db: mend(db, checkup, units))

    def secret(self) -> str:
        """The run's own secret, which goes into the marks of its prompts; made at the first call and then the same."""
        fresh = secrets.token_hex(16)
        self._now(lambda db: db.execute(sql.KEEP, {"key": "secret", "value": fresh}))
        (found,) = self._reader.rows("SELECT value FROM meta WHERE key = 'secret'")[0]
        return str(found)

    def secrets_of_shards(self) -> dict[str, str]:
        """By unit, where a shard has begun it before the runs were joined: the secret of that shard, for its calls."""
        return dict(self._reader.rows(sql.SECRETS))

    def add(self, units: Sequence[Unit]) -> None:
        """Add units, in this order, after those that are there; those that are there already stay as they are."""
        rows = [_NEW | unit.model_dump(include=_NAMING) | {"unit": as_json(unit)} for unit in units]
        self._now(lambda db: db.executemany(sql.ADD, rows))

    def states(self) -> dict[str, State]:
        """The state of each unit by its id, in order."""
        return dict(self._reader.rows("SELECT id, state FROM units ORDER BY number"))

    def spent(self) -> dict[str, Usage]:
        """What all replies cost, by model. Tokens are None where the endpoint did not report those of every call."""
        return {
            model: Usage(calls=calls, input_tokens=given, output_tokens=made)
            for model, calls, given, made in self._reader.rows(sql.SPENT)
        }

    def overview(self) -> Overview:
        """What the run holds, counted."""
        columns = "question_id, model, strategy, state"
        rows = self._reader.rows(f"SELECT {columns} FROM units ORDER BY number")  # noqa: S608  # our own names
        questions, models, names = (tuple(dict.fromkeys(row[column] for row in rows)) for column in range(3))
        strategies = tuple(
            dict.fromkeys(name.partition(":")[0] for name in names)
        )  # a survey's: its kinds of respondent
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
        """Every unit, in order, as a stream, but for damaged ones; answers are not read."""
        for matching, unit in self._reader.pages(sql.UNITS):
            if (of := self._whole(Unit, matching, unit)) is not None:
                yield of

    # --- one unit

    def ledger(self, unit_id: str) -> UnitLedger:
        """Where the replies of this unit are kept."""
        return UnitLedger(self.path, self._reader, self._writer, unit_id)

    def batches(self) -> batch_log.BatchLog:
        """What is out in batches, and what came of it."""
        return batch_log.BatchLog(self.path, self._reader, self._writer)

    async def finish(self, unit_id: str, answer: Answer) -> None:
        """Write a unit's answer down. A unit that is done keeps the answer it has."""
        text = as_json(answer)
        await self._soon(lambda db: _settle(db, unit_id, "done", text))

    async def fail(self, unit_id: str, failure: Failure) -> None:
        """Write down why a unit has no answer; it may still be finished later."""
        error = {"unit": unit_id, "kind": failure.kind, "message": join_halves(failure.message), "at": clock()}

        def work(db: sqlite3.Connection) -> None:
            _settle(db, unit_id, "failed", None)
            db.execute(sql.ERROR, error)

        await self._soon(work)

    def retry_failed(self) -> None:
        """Make the units that failed pending again; their failures stay written down."""
        self._now(lambda db: db.execute(sql.RETRY))

    def answer(self, unit_id: str) -> Answer | None:
        """A unit's answer; None where it has none."""
        row = self._reader.row(sql.ANSWER, unit_id)
        if row is None:
            return None
        self._must_match(row[0], f"unit {unit_id}: its answer")
        return self._parsed(Answer, row[1], f"unit {unit_id}") if row[1] is not None else None

    def calls(self, unit_id: str) -> list[CallRow]:
        """Every call made for a unit, in the order in which they ended."""
        return [
            CallRow(key, seconds, attempts, Usage(calls=calls, input_tokens=given, output_tokens=made),
                    Failure(kind=kind, message=message) if kind is not None else None)
            if matching != 0 else CallRow("", 0.0, 1, Usage(), _SPOILED)
            for matching, key, seconds, attempts, calls, given, made, kind, message
            in self._reader.rows(sql.CALLS, unit_id)
        ]  # fmt: skip

    def failures(self, unit_id: str) -> list[tuple[str, Failure]]:
        """Every failure of a unit, first to last, also where it is done by now, with what the clock said."""
        return [
            (at, Failure(kind=kind, message=message)) if matching != 0 else ("a time that is damaged", _SPOILED)
            for matching, at, kind, message in self._reader.rows(sql.ERRORS, unit_id)
        ]

    def named(self, prefix: str) -> list[str]:
        """The ids that begin so, in order; at most ten."""
        query = "SELECT id FROM units WHERE substr(id, 1, length(?1)) = ?1 ORDER BY number LIMIT 10"
        return [unit_id for (unit_id,) in self._reader.rows(query, prefix)]

    # --- scores

    def write_scoring(self, key: str, description_json: str) -> None:
        """Write down what a scoring is made with; it becomes the newest, also where it was there before."""
        self._now(lambda db: db.execute(sql.SCORING, {"key": key, "description": description_json}))

    def scorings(self) -> dict[str, str]:
        """The description, JSON, of each scoring by its key; the newest comes last. Damaged ones are left out."""
        return dict(self._reader.rows(sql.SCORINGS))

    def keep_scores(self, scoring: str, scores: Mapping[str, Score]) -> None:
        """Write the scores of units down, by their ids; the scoring must have been written before."""
        rows = [{"unit": unit_id, "scoring": scoring, "score": as_json(score)} for unit_id, score in scores.items()]
        self._now(lambda db: db.executemany(sql.SCORE, rows))

    async def keep_score(self, scoring: str, unit_id: str, score: Score) -> None:
        """Write one unit's score down, from an event loop."""
        row = {"unit": unit_id, "scoring": scoring, "score": as_json(score)}
        await self._soon(lambda db: db.execute(sql.SCORE, row))

    def unscored(self, scoring: str) -> Iterator[tuple[Unit, Answer]]:
        """The answers that this scoring has not measured, in order, as a stream; scores may be kept meanwhile.

        An answer whose score is damaged is among them; a damaged answer is not.
        """
        for whole, unit, matching, answer in self._reader.pages(sql.UNSCORED, scoring):
            of, made = self._whole(Unit, whole, unit), self._whole(Answer, matching, answer)
            if of is not None and made is not None:
                yield of, made

    def records(self, scoring: str | None = None) -> Iterator[Record]:
        """Every unit with what came of it, in order, as a stream; scores are those of the newest scoring by default.

        A unit whose outcome is damaged is a failure of the kind `damaged`; a damaged score is absent; a unit that is
        damaged itself is left out.

        Raises:
            UsageError: there is no such scoring.
        """
        key = self._scoring(scoring)
        found = (self._record(row) for row in self._reader.pages(sql.RECORDS + sql.PAGE, key))
        return (record for record in found if record is not None)

    def record(self, unit_id: str, scoring: str | None = None) -> Record | None:
        """One unit with what came of it; None where it is not there.

        Raises:
            UsageError: any part of it is damaged.
        """
        row = self._reader.row(sql.RECORDS + "WHERE units.id = ?", self._scoring(scoring), unit_id)
        if row is None:
            return None
        _, in_unit, unit, in_outcome, _, answer, in_score, score, in_error, _, _ = row
        where = f"unit {unit_id}"
        for matching, what in ((in_unit, "question"), (in_outcome, "answer"), (in_score, "score"), (in_error, "error")):
            self._must_match(matching, f"{where}: its {what}")
        for kind, text in ((Unit, unit), (Answer, answer), (Score, score)):
            if text is not None:
                self._parsed(kind, text, where)
        return self._record(row[1:])

    def _scoring(self, key: str | None) -> str:
        there = list(self.scorings())
        if key is not None and key not in there:
            raise UsageError(f"{self.path}: no scoring {key!r}; there are: {', '.join(there) or 'none'}")
        return key if key is not None else there[-1] if there else ""

    def _record(self, row: tuple[Any, ...]) -> Record | None:
        in_unit, unit, in_outcome, state, answer, in_score, score, in_error, kind, message = row
        of = self._whole(Unit, in_unit, unit)
        if of is None:
            return None
        made = self._whole(Answer, in_outcome, answer) if answer is not None else None
        failure = Failure(kind=kind, message=message) if kind is not None and in_error != 0 else None
        if in_outcome == 0 or (answer is not None and made is None) or (state == "failed" and failure is None):
            return Record(unit=of, failure=_SPOILED)
        measured = self._whole(Score, in_score, score) if score is not None else None
        return Record(unit=of, answer=made, failure=failure, score=measured)

    def _whole(self, kind: type[_Model], matching: int | None, text: str) -> _Model | None:
        """The model that stands there; None where it is damaged.

        Raises:
            UsageError: its checksum is right, and yet it is not of this kind: another version wrote it.
        """
        if matching == 0:
            return None
        try:
            return self._parsed(kind, text, "a record")
        except UsageError:
            if matching == 1:
                raise
            return None

    def _must_match(self, matching: int | None, what: str) -> None:
        """Raises UsageError where a checksum differs."""
        if matching == 0:
            raise UsageError(
                f"{self.path}: {what} is damaged (its checksum differs); restore the run from a copy, or see "
                f"`multiplex bench verify {self.folder}`"
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


_NAMING = {"id", "question_id", "model", "strategy", "epoch"}
_NEW = {"state": "pending", "answer": None}
_SPOILED = Failure(kind="damaged", message="what is stored is damaged; `multiplex bench verify` names it")


def _settle(db: sqlite3.Connection, unit_id: str, state: State, answer: str | None) -> None:
    known = db.execute("SELECT 1 FROM units WHERE id = ?", (unit_id,)).fetchone()
    if known is None:
        raise LookupError(f"no unit {unit_id}")
    db.execute(sql.SETTLE, {"id": unit_id, "state": state, "answer": answer})
    db.execute(batch_log.FORGET, (unit_id,))


def _existing(path: Path) -> int:
    found = version(path)
    if not found:
        raise UsageError(
            f"{path.parent}: no run is here; `multiplex bench run` makes one, `multiplex bench list` lists"
        )
    return found
