"""Does units by batches: a unit runs until it needs a reply that is not there, and its request joins the next batch.

What was collected is written to a file for each model and goes up when every open unit waits: one wave. Which
calls come together in a wave follows from the strategies: voices and single calls first, then essays, checks,
revisions, and last what is matched to the length of an essay.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from multiplex.bench.execute.executor import NoWorkerError
from multiplex.bench.execute.unit import Work, execute
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.batch_log import Batch, BatchCall, BatchLog
from multiplex.bench.store.schema import explained
from multiplex.content import sha256
from multiplex.council.answer import Answer
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.batches import MOST_BYTES, MOST_REQUESTS, request_line
from multiplex.llm.chat import Chat
from multiplex.llm.protocol import EndpointError, Told, read_error
from multiplex.llm.transport import Request
from multiplex.llm.types import Ledger, Reply

WIDTH = 64  # units at once: enough to hide what one waits for, and their graphs fit into memory
ROUNDS = 50  # of the event loop without a further call of a unit, after which all its calls are known
MOST_BATCHES = 4  # that one call is sent in
CUSTOM = 64  # characters of a request's name


@dataclass
class _Draft:
    """A batch in the making: its file, and the calls in it."""

    batch: Batch
    file: BinaryIO
    size: int = 0
    calls: list[BatchCall] = field(default_factory=list)


class BatchExecutor:
    """Does units with the replies that have come, and collects the requests of those that lack one.

    Args:
        folder: where the files of requests are written.
        chats: by model; with limits that hold nothing back, and no retries.
        log: of the run.
        most_requests, most_bytes: of one batch.

    Attributes:
        waiting: the units that wait for replies; those that came stand among their calls.
    """

    def __init__(
        self,
        folder: Path,
        chats: Mapping[str, Chat],
        log: BatchLog,
        most_requests: int = MOST_REQUESTS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._folder, self._chats, self._log = folder, chats, log
        self._most_requests, self._most_bytes = most_requests, most_bytes
        self._drafts: dict[str, _Draft] = {}
        self._collected: set[str] = set()
        self.waiting: set[str] = set()
        self._broken = ""  # why no further request can be written down
        self._next = log.next_number()

    def width(self, model: str) -> int:  # noqa: ARG002
        """The same for every model."""
        return WIDTH

    async def answer(self, work: Work, ledger: Ledger) -> Answer | None:
        """The unit's answer; None where it waits for replies, whose requests are collected then.

        The answer's `seconds` run from the first batch with a call of it, the time at its endpoint included.

        Raises:
            NoWorkerError: requests cannot be written down.
            MultiplexError: there is none; the error says why.
        """
        calls = _UnitCalls(ledger, work.unit, self)
        chat = self._chats[work.unit.model].recorded(calls, work.secret).with_transport(calls)
        task = asyncio.create_task(execute(work, chat))
        try:
            if not await calls.settle(task):
                if self._broken:
                    raise NoWorkerError(self._broken)
                self.waiting.add(work.unit.id)
                return None
            answer, waited = await task, self._log.seconds(work.unit.id)
            return answer if waited is None else answer.model_copy(update={"seconds": waited})
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(chat.aclose() for chat in self._chats.values()))

    def close(self) -> None:
        """Close the files of requests of which no batch was made."""
        for draft in self._drafts.values():
            with suppress(OSError):  # the disk is full, which was told
                draft.file.close()

    def collect(self, unit: Unit, request: Request) -> Mapping[str, Any] | None:
        """The response to a request; None where it has not come: then it is, or will be, in a batch.

        Raises:
            EndpointError: it was refused, or no batch brought a response.
        """
        custom = name_request(unit.id, request)
        known = self._log.call(custom)
        if known is not None and known.status is not None and known.reply is not None:
            if known.status == 200:
                return known.reply
            raise EndpointError(read_error(known.reply, known.status))
        if known is not None and known.open:
            return None
        attempts = known.attempts if known is not None else 0
        if attempts >= MOST_BATCHES:
            raise EndpointError(Told(f"no reply came in any of {attempts} batches", status=500))
        if custom not in self._collected:
            self._collected.add(custom)
            try:
                self._write(unit, custom, request_line(custom, request.body), attempts + 1)
            except (OSError, MultiplexError) as error:
                told = error if isinstance(error, MultiplexError) else explained(error, self._log.path)
                self._broken = str(told)
        return None

    def wave(self) -> list[Batch]:
        """The batches of everything collected since, planned in the log, their files on disk."""
        planned = [self._close(draft) for draft in list(self._drafts.values())]
        self._drafts.clear()
        return planned

    def note_failure(self, custom: str) -> bool:
        """Whether a call's failure is to be written down: only once, though the unit that met it runs again."""
        known = self._log.call(custom)
        if known is None:
            return True
        if not known.told:
            self._log.note_failure(custom)
        return not known.told

    def _write(self, unit: Unit, custom: str, line: bytes, attempts: int) -> None:
        draft = self._drafts.get(unit.model)
        if draft is not None and (len(draft.calls) >= self._most_requests or draft.size + len(line) > self._most_bytes):
            self._close(draft)
            draft = None
        if draft is None:
            number, self._next = self._next, self._next + 1
            file = request_file(self._folder, number).open("wb")
            draft = self._drafts[unit.model] = _Draft(Batch(number, unit.model, 0), file)
        draft.file.write(line)
        draft.size += len(line)
        draft.calls.append(BatchCall(custom, unit.id, draft.batch.number, attempts))

    def _close(self, draft: _Draft) -> Batch:
        _sync(draft.file)
        draft.file.close()
        batch = Batch(draft.batch.number, draft.batch.model, len(draft.calls))
        return self._log.plan(batch, draft.calls)


class UsingExecutor(BatchExecutor):
    """Does units with the replies and refusals that ended batches brought, as far as they go; nothing is sent."""

    async def answer(self, work: Work, ledger: Ledger) -> Answer | None:
        """As a batch run makes it; None too where that would fail, since the run makes the unit's other calls next."""
        try:
            return await super().answer(work, ledger)
        except MultiplexError:
            self.waiting.add(work.unit.id)
            return None

    def _write(self, unit: Unit, custom: str, line: bytes, attempts: int) -> None:
        """No batch follows."""


class _UnitCalls:
    """The calls of one unit: a ledger that counts those being written down, and the transport that waits."""

    def __init__(self, ledger: Ledger, unit: Unit, executor: BatchExecutor) -> None:
        self._ledger, self._unit, self._executor = ledger, unit, executor
        self._customs: dict[str, str] = {}
        self._waiting = self._busy = self._seen = 0
        self._one_waits = asyncio.Event()

    async def settle(self, task: asyncio.Task[Answer]) -> bool:
        """Return when the unit has ended (True), or when all of its calls wait."""
        first = asyncio.create_task(self._one_waits.wait())
        try:
            await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            first.cancel()
        seen, quiet = self._seen, 0
        while not task.done() and quiet < ROUNDS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if seen == self._seen and not self._busy else 0
            seen = self._seen
        return task.done()

    async def fetch(self, request: Request) -> Mapping[str, Any]:
        """The response, where it has come; else wait, which never ends."""
        self._seen += 1
        self._customs[request.key] = name_request(self._unit.id, request)
        body = self._executor.collect(self._unit, request)
        return body if body is not None else await self._wait()

    async def begin(self, key: str) -> Reply | None:
        return await self._ledger.begin(key)

    async def admit(self, key: str) -> None:
        """Requests are not sent one by one: what a batch may cost is bounded before."""

    async def keep(self, key: str, reply: Reply) -> None:
        self._busy += 1
        try:
            await self._ledger.keep(key, reply)
        finally:
            self._seen, self._busy = self._seen + 1, self._busy - 1

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        self._busy += 1
        try:
            if self._executor.note_failure(self._customs.get(key, "")):
                await self._ledger.fail(key, error, seconds, attempts)
        finally:
            self._seen, self._busy = self._seen + 1, self._busy - 1

    async def _wait(self) -> Mapping[str, Any]:
        self._one_waits.set()
        never: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        return await never


def name_request(unit: str, request: Request) -> str:
    """The `custom_id` of a request: its unit's id, and the beginning of the SHA-256 of what is sent.

    Where the endpoint takes no seed, calls of a unit may differ in nothing that is sent: their keys tell them apart.
    """
    apart = "" if "seed" in request.body else request.key
    return f"{unit}-{sha256(request_line(apart, request.body).decode())}"[:CUSTOM]


def request_file(folder: Path, number: int) -> Path:
    """The file that the requests of a batch are sent as."""
    return folder / f"batch-{number:04}.jsonl"


def halve(folder: Path, batch: Batch, number: int) -> list[tuple[Batch, list[str]]]:
    """Write the requests of a batch as the files of two, numbered from `number`; each with the names of its calls."""
    halves = []
    with request_file(folder, batch.number).open("rb") as lines:
        for part, calls in ((number, batch.calls // 2), (number + 1, batch.calls - batch.calls // 2)):
            customs = []
            with request_file(folder, part).open("wb") as file:
                for line in islice(lines, calls):
                    file.write(line)
                    customs.append(json.loads(line)["custom_id"])
                _sync(file)
            halves.append((replace(batch, number=part, calls=calls), customs))
    return halves


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
