"""What a run has out in batches: the intent of each before it is sent, its id, and what came of every call.

A batch is `planned` before its file goes up, `sent` once the endpoint's id of it is known, `held` where the endpoint
had no room for it, and `ended` when all that came of it stands here. A call that its ended batch left undone may be
sent in another.
"""

# ruff: noqa: S608  # put together from our own names alone

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from multiplex.bench.store.checksums import COVERED, digest, insertion, matches
from multiplex.bench.store.json_text import join_halves
from multiplex.bench.store.reader import Reader
from multiplex.bench.store.writer import Work, Writer, clock
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.batches import BatchReply, fate

State = Literal["planned", "held", "sent", "ended"]
OUT: tuple[State, ...] = ("planned", "held", "sent")
"""Of a batch that has not ended."""


@dataclass(frozen=True)
class Batch:
    """One batch of calls to one model.

    Attributes:
        number: from 1, in this run.
        calls: how many requests are in it.
        file, batch: the endpoint's ids of its file and of itself; None where they are not known yet.
        at: when it was planned (UTC, ISO 8601); information only.
    """

    number: int
    model: str
    calls: int
    state: State = "planned"
    file: str | None = None
    batch: str | None = None
    at: str = ""


@dataclass(frozen=True)
class BatchCall:
    """One call of a batch.

    Attributes:
        custom: the digest of its request, with its unit's id before it.
        batch: the number of the batch that it was last sent in.
        attempts: how many batches it was sent in.
        status: of its response (HTTP); None where none came, yet or at all.
        reply: the response's body.
        told: whether its reply, or its failure, stands among the unit's calls already.
        open: whether its batch has not ended.
    """

    custom: str
    unit: str
    batch: int
    attempts: int
    status: int | None = None
    reply: Mapping[str, Any] | None = None
    told: bool = False
    open: bool = True


@dataclass(frozen=True)
class CollectedReplies:
    """What a file of replies held: calls answered, refused for good and undone, and lines of no use."""

    answered: int = 0
    refused: int = 0
    undone: int = 0
    unknown: int = 0
    doubled: int = 0


@dataclass(frozen=True)
class BatchLog:
    """The batches of one run. What a method that writes has returned from is on disk."""

    path: Path
    reader: Reader
    writer: Writer | None

    def batches(self, *states: State) -> list[Batch]:
        """Every batch in one of these states, in order.

        Raises:
            UsageError: one is damaged.
        """
        found = []
        for matching, *values in self.reader.rows(_BATCHES):
            if matching == 0:
                raise self._damaged(f"batch {values[0]}")
            if values[3] in states:
                found.append(Batch(*values))
        return found

    def next_number(self) -> int:
        """The number of the next batch."""
        return int(self.reader.rows("SELECT coalesce(max(number), 0) + 1 FROM batches")[0][0])

    def out(self) -> set[str]:
        """The units that have calls in batches which have not ended."""
        return {unit for (unit,) in self.reader.rows(_OUT)}

    def unused(self) -> set[str]:
        """The units for which replies came that do not stand among their calls yet."""
        return {unit for (unit,) in self.reader.rows(_UNUSED)}

    def customs(self, batch: Batch) -> set[str]:
        """The calls that were last sent in this batch."""
        return {custom for (custom,) in self.reader.rows(_CUSTOMS, batch.number)}

    def call(self, custom: str) -> BatchCall | None:
        """A call of a batch; None where it was never sent in one.

        Raises:
            UsageError: it is damaged.
        """
        row = self.reader.row(_CALL, custom)
        if row is None:
            return None
        matching, unit, batch, attempts, status, reply, told, is_open = row
        if matching == 0:
            raise self._damaged(f"unit {unit}: a call of a batch")
        body = json.loads(reply) if reply is not None else None
        return BatchCall(custom, unit, batch, attempts, status, body, bool(told), bool(is_open))

    def seconds(self, unit: str) -> float | None:
        """How long ago the first batch with a call of this unit was planned; None where it has no such call."""
        (first,) = self.reader.rows(_FIRST, unit)[0]
        return None if first is None else max(0.0, (datetime.now(UTC) - datetime.fromisoformat(first)).total_seconds())

    def plan(self, batch: Batch, calls: Iterable[BatchCall]) -> Batch:
        """Write down that these calls are about to be sent."""
        batch = replace(batch, at=clock())
        rows = [
            {"custom": each.custom, "unit": each.unit, "batch": batch.number, "attempts": each.attempts,
             "status": None, "reply": None, "told": 0} for each in calls
        ]  # fmt: skip

        def work(db: sqlite3.Connection) -> None:
            db.execute(_KEEP, vars(batch))
            db.executemany(_SEND, rows)

        self._now(work)
        return batch

    def keep(self, batch: Batch) -> None:
        """Write down how a batch stands now."""
        self._now(lambda db: db.execute(_KEEP, vars(batch)))

    def collect(self, batch: Batch, replies: Iterable[BatchReply]) -> CollectedReplies:
        """Take in what came of a batch and end it, in one step; `replies` are read once, as a stream."""
        made: list[CollectedReplies] = []

        def work(db: sqlite3.Connection) -> None:
            seen, counts = set[str](), dict.fromkeys(vars(CollectedReplies()), 0)
            for reply in replies:
                if reply.custom_id in seen:
                    counts["doubled"] += 1
                    continue
                seen.add(reply.custom_id)
                counts[_taken(db, batch.number, reply)] += 1
            db.execute(_KEEP, vars(replace(batch, state="ended")))
            made.append(CollectedReplies(**counts))

        self._now(work)
        return made[0]

    def discard(self, batch: Batch) -> None:
        """End a batch of which no request was made: it does not count among those that its calls were sent in."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_UNSENT, {"batch": batch.number})
            db.execute(_KEEP, vars(replace(batch, state="ended")))

        self._now(work)

    def divide(self, batch: Batch, parts: Iterable[tuple[Batch, Sequence[str]]]) -> None:
        """Write down that the calls of a batch are sent in these instead, each with its calls."""

        def work(db: sqlite3.Connection) -> None:
            for part, customs in parts:
                db.execute(_KEEP, vars(part))
                db.executemany(_MOVE, [{"custom": custom, "batch": part.number} for custom in customs])
            db.execute(_KEEP, vars(replace(batch, state="ended")))

        self._now(work)

    def note_used(self, units: Iterable[str]) -> None:
        """Write down that the replies of these units stand among their calls."""
        rows = [{"unit": unit} for unit in units]
        self._now(lambda db: db.executemany(_USED, rows))

    def note_failure(self, custom: str) -> None:
        """Write down that a call's failure stands among its unit's calls."""
        self._now(lambda db: db.execute(_TOLD, {"custom": custom}))

    def _now(self, work: Work) -> None:
        if self.writer is None:
            raise MultiplexError(f"{self.path} is open for reading only")
        self.writer.submit(work).result()

    def _damaged(self, what: str) -> UsageError:
        return UsageError(f"{self.path}: {what} is damaged; --redo-damaged asks and pays for it again")


def _taken(db: sqlite3.Connection, batch: int, reply: BatchReply) -> str:
    known = db.execute("SELECT 1 FROM batch_calls WHERE custom = ? AND batch = ?", (reply.custom_id, batch)).fetchone()
    if known is None:
        return "unknown"
    if (kind := fate(reply)) != "undone":
        body = join_halves(json.dumps(reply.body, ensure_ascii=False))
        db.execute(_REPLY, {"custom": reply.custom_id, "status": reply.status, "reply": body})
    return kind


def _rewritten(where: str = "custom = :custom", **values: str) -> str:
    """SQL that sets these columns of calls to these expressions, and their checksums with them."""
    covered: Sequence[str] = [values.get(name, name) for name in COVERED["batch_calls"]["checksum"]]
    columns = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f"UPDATE batch_calls SET {columns}, checksum = {digest(covered)} WHERE {where}"


_BATCHES = f"SELECT {matches('batches')}, number, model, calls, state, file, batch, at FROM batches ORDER BY number"
_OUT = "SELECT DISTINCT unit FROM batch_calls JOIN batches ON batches.number = batch_calls.batch WHERE state <> 'ended'"
_UNUSED = "SELECT DISTINCT unit FROM batch_calls WHERE status = 200 AND told = 0"
_CUSTOMS = "SELECT custom FROM batch_calls WHERE batch = ?"
_FIRST = "SELECT min(at) FROM batch_calls JOIN batches ON batches.number = batch_calls.batch WHERE unit = ?"
_CALL = f"""SELECT {matches("batch_calls")}, unit, batch_calls.batch, attempts, status, reply, told, state <> 'ended'
    FROM batch_calls JOIN batches ON batches.number = batch_calls.batch WHERE custom = ?"""
_KEEP = insertion("batches", "OR REPLACE")
_SEND = insertion("batch_calls", "OR REPLACE")
_REPLY = _rewritten(status=":status", reply=":reply")
_TOLD = _rewritten(told="1")
_USED = _rewritten("unit = :unit AND status = 200", told="1")
_MOVE = _rewritten(batch=":batch")
_UNSENT = _rewritten("batch = :batch", attempts="attempts - 1")
FORGET = "DELETE FROM batch_calls WHERE unit = ?"
"""Of a unit that has ended: its replies stand among its calls, and a further start asks anew for what failed."""
