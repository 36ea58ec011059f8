"""Does units in a process of a Ray cluster. It keeps nothing: each reply goes to the driver before it is used."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from multiplex.bench.execute.unit import Work, execute
from multiplex.bench.plan.units import Unit
from multiplex.council.answer import Answer, Voice
from multiplex.council.personas import Council
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.error_mapping import safe
from multiplex.llm.limiter import adaptive
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Reply


@dataclass(frozen=True)
class LedgerRequest:
    """What a worker asks of a unit's ledger, by the name of the method; `number` tells its answer from others."""

    number: str
    unit: str
    method: str
    arguments: tuple[Any, ...]


class UnitWorker:
    """An actor: `answer` does units, many at once; `asked` and `told` are how its driver lends it the ledgers.

    A worker that dies is made anew by Ray, which calls again what was unanswered; a unit then goes on from the ledger.
    """

    def __init__(self, specs: Sequence[ModelSpec], secret: str, start: int) -> None:
        self._limiters = {spec.name: adaptive(spec, min(start, spec.limit)) for spec in specs}
        self._chats = {spec.name: Chat(spec, limiter=self._limiters[spec.name], transport="whole") for spec in specs}
        self._council: Council | None = None
        self._secret = secret
        self._life, self._count = secrets.token_hex(4), 0
        self._asked: list[LedgerRequest] = []
        self._some = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Any]] = {}

    async def answer(
        self, unit: Unit, words: int | None, heard: tuple[Voice, ...], council: Sequence[Any]
    ) -> Answer | MultiplexError:
        """The unit's answer, or why there is none. `council` holds a reference to the council, fetched once a life."""
        if self._council is None:
            self._council = await council[0]
        chat = self._chats[unit.model].recorded(_Lent(self, unit.id), self._secret)
        try:
            return await execute(Work(unit, self._council, words, heard), chat)
        except MultiplexError as error:
            return error
        except Exception as error:  # a fault of ours in one unit, as the runner tells it
            return MultiplexError(safe(f"unexpected {type(error).__name__}: {error}"))

    async def asked(self) -> tuple[list[LedgerRequest], dict[str, int]]:
        """What units ask of their ledgers, as soon as one does; and how many calls at once each endpoint bears."""
        await self._some.wait()
        self._some.clear()
        asked, self._asked = self._asked, []
        return asked, {name: limiter.limit for name, limiter in self._limiters.items()}

    async def told(self, number: str, value: Any) -> None:
        """What a ledger answered; nothing waits for it where an earlier life of this worker asked."""
        if (waiting := self._answers.pop(number, None)) is not None and not waiting.done():
            waiting.set_result(value)

    async def ask(self, unit: str, method: str, *arguments: Any) -> Any:
        """Ask a unit's ledger; it may take as long as it likes."""
        self._count += 1
        number = f"{self._life}-{self._count}"
        waiting = self._answers[number] = asyncio.get_running_loop().create_future()
        self._asked.append(LedgerRequest(number, unit, method, arguments))
        self._some.set()
        try:
            return await waiting
        finally:
            self._answers.pop(number, None)


@dataclass(frozen=True)
class _Lent:
    """The ledger of a unit, which the driver has."""

    worker: UnitWorker
    unit: str

    async def begin(self, key: str) -> Reply | None:
        found: Reply | None = await self.worker.ask(self.unit, "begin", key)
        return found

    async def admit(self, key: str) -> None:
        await self.worker.ask(self.unit, "admit", key)

    async def keep(self, key: str, reply: Reply) -> None:
        await self.worker.ask(self.unit, "keep", key, reply)

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        await self.worker.ask(self.unit, "fail", key, error, seconds, attempts)
