"""Does units in a process of a Ray cluster. It keeps nothing: each reply goes to the driver before it is used."""

from __future__ import annotations

import asyncio
import platform
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from multiplex.bench.execute.executor import NoWorkerError
from multiplex.bench.execute.unit import Work, execute
from multiplex.bench.plan.units import Unit
from multiplex.bench.ray.cluster import other_version
from multiplex.content import PROJECT, content_digest
from multiplex.council.answer import Answer, Voice
from multiplex.council.personas import Council
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.error_mapping import safe
from multiplex.llm.limiter import adaptive
from multiplex.llm.spec import ModelSpec, api_key
from multiplex.llm.types import Reply


@dataclass(frozen=True)
class LedgerRequest:
    """What a worker asks of a unit's ledger, by the name of the method; `number` tells its answer from others."""

    number: str
    unit: str
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Installation:
    """What a process does units with: the version of this package, and the digest of its content."""

    version: str
    content: str

    @classmethod
    def here(cls) -> Installation:
        """That of this process."""
        return cls(version(PROJECT), content_digest())

    def difference(self, other: Installation) -> str:
        """In what another one differs, as a message goes on after the other's name; empty where in nothing."""
        if self.version != other.version:
            return other_version(other.version, self.version)
        if self.content != other.content:
            return "has other prompts, personas or word lists; install the same on every node"
        return ""


class UnitWorker:
    """An actor: `answer` does units, many at once; `asked` and `told` are how its driver lends it the ledgers.

    A worker that dies is made anew by Ray, which calls again what was unanswered; a unit then goes on from the ledger.
    One that differs from its driver, or has no key, does no unit: `unfit` says why.

    Args:
        share: how many workers call the same endpoints.
        driver: what the driver is installed with.
    """

    def __init__(self, specs: Sequence[ModelSpec], share: int, driver: Installation) -> None:
        self._unfit = _unfit(specs, driver)
        self._limiters = {spec.name: adaptive(spec, share=share) for spec in specs}
        self._chats = {spec.name: Chat(spec, limiter=self._limiters[spec.name], transport="whole") for spec in specs}
        self._council: Council | None = None
        self._life, self._count = secrets.token_hex(4), 0
        self._asked: dict[int, LedgerRequest] = {}  # that the driver is not known to have, by the count in its number
        self._some = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._doing: dict[str, asyncio.Task[Answer | MultiplexError]] = {}  # by unit

    async def answer(
        self, unit: Unit, words: int | None, heard: tuple[Voice, ...], secret: str | None, council: Sequence[Any]
    ) -> Answer | MultiplexError:
        """The unit's answer, or why there is none. `council` holds a reference to the council, fetched once a life.

        Ray calls again where its connection broke, though the first call goes on: both get the one answer.
        """
        if self._unfit:
            return NoWorkerError(self._unfit)
        if (doing := self._doing.get(unit.id)) is None:
            doing = self._doing[unit.id] = asyncio.create_task(self._do(unit, words, heard, secret, council))
            doing.add_done_callback(lambda _: self._doing.pop(unit.id))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            doing.cancel()
            raise

    async def _do(
        self, unit: Unit, words: int | None, heard: tuple[Voice, ...], secret: str | None, council: Sequence[Any]
    ) -> Answer | MultiplexError:
        if self._council is None:
            self._council = await council[0]
        chat = self._chats[unit.model].recorded(_Lent(self, unit.id), secret)
        try:
            return await execute(Work(unit, self._council, words, heard), chat)
        except MultiplexError as error:
            return error
        except Exception as error:  # a fault of ours in one unit, as the runner tells it
            return MultiplexError(safe(f"unexpected {type(error).__name__}: {error}"))

    async def unfit(self) -> str:
        """Why this worker can do no unit; empty where it can."""
        return self._unfit

    async def asked(self, seen: str) -> tuple[list[LedgerRequest], dict[str, int]]:
        """What units ask of their ledgers, as soon as one does; and how many calls at once each endpoint bears.

        `seen` is the number of the last request that the driver has. Those after it are kept until it has them too: a
        reply may be lost on its way, or go to a driver that no longer listens.
        """
        life, _, count = seen.rpartition("-")
        known = int(count) if life == self._life else 0
        self._asked = {number: each for number, each in self._asked.items() if number > known}
        while not (asked := [each for number, each in self._asked.items() if number > known]):
            await self._some.wait()
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
        self._asked[self._count] = LedgerRequest(number, unit, method, arguments)
        self._some.set()  # wakes who waits now
        self._some = asyncio.Event()
        try:
            return await waiting
        finally:
            self._answers.pop(number, None)


def _unfit(specs: Sequence[ModelSpec], driver: Installation) -> str:
    try:
        for spec in specs:
            api_key(spec)
        different = driver.difference(Installation.here())
    except MultiplexError as error:
        different = f"cannot work: {error}"
    return f"Ray's worker on {platform.node()} {different}" if different else ""


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
