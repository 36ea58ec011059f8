"""The replies of one unit, on disk before they are used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from multiplex.bench.store.checksums import COVERED, insertion, matches, sound
from multiplex.bench.store.json_text import join_halves
from multiplex.bench.store.reader import Reader
from multiplex.bench.store.writer import Writer
from multiplex.errors import CallError, MultiplexError, UsageError
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
            UsageError: the reply that was paid for is damaged.
        """
        self._writing().check()
        row = self.reader.row(_REPLY, self.unit_id, key)
        if row is None:
            return None
        matching, text, cut, calls, given, made, seconds, attempts, notes = row
        if matching == 0:
            raise UsageError(
                f"{self.path}: unit {self.unit_id}: a reply is damaged; --redo-damaged asks and pays for it again"
            )
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
        await self._write(
            key, reply.seconds, reply.attempts, text=join_halves(reply.text), cut=reply.cut, calls=usage.calls,
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
            message=join_halves("\n".join(reply.notes)) or None,
        )  # fmt: skip

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        """Write down that a call failed for good; it may be made again later.

        Raises:
            MultiplexError: the disk refuses.
        """
        calls, given, made = error.spent
        await self._write(
            key, seconds, attempts, kind=error.kind, message=join_halves(str(error)), calls=calls, input_tokens=given,
            output_tokens=made,
        )  # fmt: skip

    async def _write(self, key: str, seconds: float, attempts: int, **values: object) -> None:
        row = _EMPTY | {"unit": self.unit_id, "request": key, "seconds": float(seconds), "attempts": attempts} | values
        await asyncio.wrap_future(self._writing().submit(lambda db: db.execute(_CALL, row)))

    def _writing(self) -> Writer:
        if self.writer is None:
            raise MultiplexError(f"{self.path} is open for reading only")
        return self.writer


_REPLY = f"""SELECT {matches("calls")}, text, cut, calls, input_tokens, output_tokens, seconds, attempts, message
    FROM calls
    WHERE unit = ? AND request = ? AND kind IS NULL ORDER BY {sound("calls")} DESC, number LIMIT 1"""  # noqa: S608
_CALL = insertion("calls")
_EMPTY: dict[str, object] = dict.fromkeys(COVERED["calls"]["checksum"])
