"""The replies of one unit, on disk before they are used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from multiplex.bench.store.reader import Reader
from multiplex.bench.store.stored import sound
from multiplex.bench.store.writer import Writer
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.types import Reply
from multiplex.llm.usage import Usage


@dataclass(frozen=True)
class UnitLedger:
    """A `multiplex.llm.types.Ledger` of one unit. Without a writer it can only look up."""

    path: Path
    reader: Reader
    writer: Writer | None
    unit_id: str

    async def begin(self, key: str) -> Reply | None:
        """The reply kept under this key; None where there is none.

        Raises:
            MultiplexError: replies can be kept no more, so that a call would be paid for nothing.
        """
        self._writing().check()
        row = self.reader.row(_REPLY, self.unit_id, key)
        if row is None:
            return None
        text, cut, calls, given, made, seconds, attempts, notes = row
        usage = Usage(calls=calls, input_tokens=given, output_tokens=made)
        return Reply(text, usage, seconds, bool(cut), attempts, tuple((notes or "").splitlines()))

    async def admit(self, key: str) -> None:
        """At once: whether a request may be sent is for the run to say."""

    async def keep(self, key: str, reply: Reply) -> None:
        """Write a reply down; it is on disk when this returns.

        Raises:
            MultiplexError: the disk refuses.
        """
        usage = reply.usage
        row = (self.unit_id, key, sound(reply.text), reply.cut, usage.calls, usage.input_tokens, usage.output_tokens,
               reply.seconds, reply.attempts, sound("\n".join(reply.notes)) or None)  # fmt: skip
        await self._write(_KEEP, row)

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        """Write down that a call failed for good; it may be made again later.

        Raises:
            MultiplexError: the disk refuses.
        """
        await self._write(_FAIL, (self.unit_id, key, *error.spent, seconds, attempts, error.kind, sound(str(error))))

    async def _write(self, statement: str, row: tuple[object, ...]) -> None:
        await asyncio.wrap_future(self._writing().submit(lambda db: db.execute(statement, row)))

    def _writing(self) -> Writer:
        if self.writer is None:
            raise MultiplexError(f"{self.path} is open for reading only")
        return self.writer


_REPLY = """SELECT text, cut, calls, input_tokens, output_tokens, seconds, attempts, message
    FROM calls WHERE unit = ? AND request = ? AND kind IS NULL ORDER BY number LIMIT 1"""
_KEEP = """INSERT INTO calls (unit, request, text, cut, calls, input_tokens, output_tokens, seconds, attempts, message)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_FAIL = """INSERT INTO calls (unit, request, calls, input_tokens, output_tokens, seconds, attempts, kind, message)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
