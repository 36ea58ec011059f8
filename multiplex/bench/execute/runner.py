"""Runs units: as many at once as each model's endpoint bears, until all are done or something stops the run.

A unit that ends is on disk, and so is every reply before it is used: whatever ends this process, the next one goes on
from there. What stops a run (the budget is spent, an endpoint refuses everything, the disk is full) leaves the units
under way pending; what fails for a unit alone is written down as its failure, and tried again by the next start.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

from multiplex.bench.execute.executor import Executor, LocalExecutor, NoWorkerError
from multiplex.bench.execute.unit import Work, length
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Failure
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.errors import CallError, MultiplexError, VoicesLostError
from multiplex.llm.chat import Chat
from multiplex.llm.error_mapping import safe
from multiplex.llm.types import Reply
from multiplex.llm.usage import spent_on

if TYPE_CHECKING:
    from multiplex.bench.execute.progress import Progress
    from multiplex.bench.plan.budget import Budget
    from multiplex.bench.store.reply_cache import UnitLedger
    from multiplex.bench.store.store import Store

T = TypeVar("T")

CIRCUIT = 10  # calls, and questions, that fail with no answer between them say that nothing will be answered
_LACKING = {"failed": "failed", "damaged": "is damaged"}
REFUSALS = frozenset({"unreachable", "refused", "rate_limited", "server", "bad_request", "timeout"})
OF_ALL = frozenset({"unreachable", "refused"})  # what no question alone brings about, if two have met it


@dataclass(frozen=True)
class Outcome:
    """How the units of a run stand: done, failed, pending or damaged; in one line what stopped it, if anything did.

    `calls_out` calls in `batches_out` batches are out, whose replies a later start collects.
    """

    done: int
    failed: int
    pending: int
    stopped: str | None = None
    damaged: int = 0
    calls_out: int = 0
    batches_out: int = 0

    @property
    def error_rate(self) -> float:
        """Failed units of those that ended, 0..1; 0 where none ended."""
        return self.failed / (self.done + self.failed) if self.failed else 0.0


@dataclass
class _Circuit:
    """Whether a model's endpoint answers at all: the failures since its last answer, and what questions they are of.

    One question that an endpoint refuses for good fails in every call of every strategy, so questions are counted
    besides calls: as many as `most` says, but two where nothing answers or the key is refused. Where an answer was
    ever given, a `bad_request` says something of its question alone.

    Attributes:
        most: questions that must have failed; a run of fewer questions than CIRCUIT needs them all, and at least two.
        ever: whether the run holds an answer of this model.
    """

    most: int
    ever: bool
    calls: int = 0
    questions: set[str] = field(default_factory=set)

    def close(self) -> None:
        """An answer came."""
        self.ever, self.calls = True, 0
        self.questions.clear()

    def opens(self, question: str, kind: str) -> bool:
        """Count a call that failed for good; whether so many did that no further one is worth sending."""
        if kind not in REFUSALS or (kind == "bad_request" and self.ever):
            return False
        self.calls += 1
        self.questions.add(question)
        return self.calls >= CIRCUIT and len(self.questions) >= (2 if kind in OF_ALL else self.most)


class Runner:
    """One run in one process.

    Args:
        store: open for writing; it holds the units already.
        chats: by model.
        council: who speaks in the councils.
        budget: what may still be spent.
        watch: is told what happens.
        spoiled: the ids of units that are left as they are, since their records are damaged.
        executor: where units are done; by default in this process, with `chats`.
    """

    def __init__(
        self,
        store: Store,
        chats: Mapping[str, Chat],
        council: Council,
        budget: Budget,
        watch: Progress,
        spoiled: frozenset[str] = frozenset(),
        executor: Executor | None = None,
    ) -> None:
        self._store, self._models, self._council = store, tuple(chats), council
        self._budget, self._watch = budget, watch
        self._states: dict[str, str] = {**store.states(), **dict.fromkeys(spoiled, "damaged")}
        self._lengths: dict[str, int] = {}
        self._circuits: dict[str, _Circuit] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._out: set[str] = set()  # calls whose request was sent
        self._stopped: str | None = None
        self._executor = executor or LocalExecutor(chats)
        self._secret, self._secrets = store.secret(), store.secrets_of_shards()

    async def run(self, units: Sequence[Unit]) -> Outcome:
        """Do every unit that is not done yet: those that were never tried first, then those that failed, again."""
        before = {unit.id: self._states[unit.id] for unit in units}
        for model in self._models:
            own = [unit for unit in units if unit.model == model]
            questions = len({unit.question_id for unit in own})
            answered = any(before[unit.id] == "done" for unit in own)
            self._circuits[model] = _Circuit(most=max(2, min(CIRCUIT, questions)), ever=answered)
        todo: dict[str, deque[Unit]] = {model: deque() for model in self._models}
        for unit in sorted(units, key=lambda unit: before[unit.id] == "failed"):
            if before[unit.id] not in ("done", "damaged"):
                self._states[unit.id] = "pending"
                todo[unit.model].append(unit)
        try:
            await self._all(todo)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._executor.aclose()
        ended = [self._states[unit.id] for unit in units]
        done, failed, pending, damaged = map(ended.count, ("done", "failed", "pending", "damaged"))
        return Outcome(done, failed, pending, self._stopped, damaged)

    async def _all(self, todo: Mapping[str, deque[Unit]]) -> None:
        """The units of every model, each model's in order, but that a unit waits for those that it rests on."""
        running: dict[asyncio.Task[None], str] = {}
        while running or (any(todo.values()) and self._stopped is None):
            busy = Counter(running.values())
            for model, queue in todo.items():
                width = self._executor.width(model)
                while self._stopped is None and busy[model] < width and (unit := self._next(queue)) is not None:
                    task = asyncio.create_task(self._unit(unit))
                    self._tasks.add(task)
                    running[task] = model
                    busy[model] += 1
            if not running:
                return  # what is left waits for units whose replies come in a later start
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            self._tasks -= ended
            for task in ended:
                del running[task]
                if not task.cancelled():
                    task.result()  # raises what was not expected

    def _next(self, todo: deque[Unit]) -> Unit | None:
        """The first unit that need not wait, one of a question that did not just fail before the others.

        So a question that is refused for good holds nothing up, and an endpoint that is gone is soon known to be.
        """
        first: int | None = None
        for place, unit in enumerate(todo):
            if any(self._states[each] == "pending" for each in unit.awaits):
                continue
            first = place if first is None else first
            if unit.question_id not in self._circuits[unit.model].questions:
                break
        else:
            if first is None:
                return None
            place = first
        unit = todo[place]
        del todo[place]
        return unit

    async def _unit(self, unit: Unit) -> None:
        self._watch.unit_started(unit)
        try:
            if (failure := self._lacking(unit)) is not None:
                return await self._fail(unit, failure)
            words = self._length(unit.needs) if unit.needs else None
            heard = tuple(voice for each in unit.hears for voice in self._answer(each).voices)
            work = Work(unit, self._council, words, heard, self._secrets.get(unit.id, self._secret))
            try:
                answer = await self._executor.answer(work, _Gate(self._store.ledger(unit.id), unit, self))
            except NoWorkerError as error:
                await self.stop(str(error))
            except MultiplexError as error:
                return await self._fail(unit, Failure(kind=_kind(error), message=str(error)))
            except Exception as error:  # a fault of ours in one unit: told and counted, and the others go on
                said = safe(f"unexpected {type(error).__name__}: {error}")
                return await self._fail(unit, Failure(kind="unexpected", message=said))
            if answer is None:
                return self._watch.unit_waiting(unit)
            await self._store.finish(unit.id, answer)
            self._states[unit.id] = "done"
            if unit.strategy == "multiplex":
                self._lengths[unit.id] = length(answer)
            self._watch.unit_done(unit, answer)
        except MultiplexError as error:  # the store's
            await self.stop(str(error))

    async def _fail(self, unit: Unit, failure: Failure) -> None:
        await self._store.fail(unit.id, failure)
        self._states[unit.id] = "failed"
        self._watch.unit_failed(unit, failure)

    def _lacking(self, unit: Unit) -> Failure | None:
        """Why a unit cannot be done: one that it rests on has no answer."""
        lacking = next((_LACKING[s] for each in unit.awaits if (s := self._states[each]) in _LACKING), None)
        if lacking is None:
            return None
        if unit.needs is not None:
            return Failure(kind="no_length", message=f"the multiplex answer that gives its length {lacking}")
        return Failure(kind="not_heard", message=f"a voice of the round before, which this one hears, {lacking}")

    def _length(self, unit_id: str) -> int:
        if unit_id not in self._lengths:
            self._lengths[unit_id] = length(self._answer(unit_id))
        return self._lengths[unit_id]

    def _answer(self, unit_id: str) -> Answer:
        answer = self._store.answer(unit_id)
        if answer is None:
            raise AssertionError(f"unit {unit_id} is done and has no answer")
        return answer

    async def stop(self, why: str) -> NoReturn:
        """Cancel every unit under way, the caller's too: it waits here for that and goes no further."""
        self._note_stop(why)
        self._cancel()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the future is never done")

    def _note_stop(self, why: str) -> None:
        if self._stopped is None:
            self._stopped = why
            self._watch.note(f"stopping: {why}")

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def admit(self, call: str) -> None:
        """Return where a request may be sent; where the budget is spent, wait for the end of the run.

        Requests that are out by then are paid for, so the run ends when the last of them is written down.
        """
        if self._stopped is None:
            try:
                self._budget.admit()
            except MultiplexError as error:
                self._note_stop(str(error))
            else:
                self._out.add(call)
                return
        self.settled(call)
        await asyncio.get_running_loop().create_future()

    def settled(self, call: str) -> None:
        """A call is written down, or goes no further."""
        self._out.discard(call)
        if self._stopped is not None and not self._out:
            self._cancel()

    def answered(self, model: str, reply: Reply) -> None:
        """Count a reply that came and was written down."""
        self._circuits[model].close()
        self._budget.add(model, reply.usage)

    def refused(self, unit: Unit, error: CallError) -> str | None:
        """Count a call that failed for good, with what it took; why the run stops, where too many in a row did.

        From then on no call is admitted; the caller stops the run as soon as the failure is written down.
        """
        self._budget.add(unit.model, spent_on(error))
        circuit = self._circuits[unit.model]
        if not circuit.opens(unit.question_id, error.kind):
            return None
        why = f"{circuit.calls} calls in a row failed, the last: {error}"
        self._note_stop(why)
        return why


class _Gate:
    """A unit's ledger, which the run watches: it may refuse a further call, and it hears of every reply and failure.

    Its own troubles stop the run. They are no errors of the call, or a council would take them for a lost voice.
    """

    def __init__(self, ledger: UnitLedger, unit: Unit, run: Runner) -> None:
        self._ledger, self._unit, self._run = ledger, unit, run

    async def begin(self, key: str) -> Reply | None:
        return await self._written(self._ledger.begin(key))

    async def admit(self, key: str) -> None:
        await self._run.admit(self._unit.id + key)

    async def keep(self, key: str, reply: Reply) -> None:
        await self._written(self._ledger.keep(key, reply))
        self._run.answered(self._unit.model, reply)
        self._run.settled(self._unit.id + key)

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        why = self._run.refused(self._unit, error)  # before the write, which gives other calls time to be sent
        await self._written(self._ledger.fail(key, error, seconds, attempts))
        if why is not None:
            await self._run.stop(why)
        self._run.settled(self._unit.id + key)

    async def _written(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except MultiplexError as error:
            await self._run.stop(str(error))


def _kind(error: MultiplexError) -> str:
    if isinstance(error, CallError):
        return error.kind
    return "voices_lost" if isinstance(error, VoicesLostError) else type(error).__name__
