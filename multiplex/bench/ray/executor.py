"""Has units done by workers of a Ray cluster, while this process alone writes the run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from multiplex.bench.execute.executor import NoWorkerError
from multiplex.bench.execute.unit import Work
from multiplex.bench.ray.cluster import connected, cores, last_line
from multiplex.bench.ray.worker import Installation, LedgerRequest, UnitWorker
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.error_mapping import safe
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Ledger

MANY = 1000  # calls of one worker under way, with those that lend it ledgers


class RayExecutor:
    """A `multiplex.bench.execute.executor.Executor` whose units are done by actors, one for each core of the cluster.

    There are no more of them than calls may be under way at first, and together they keep to the bound of one process.
    Actors ask for no core: they wait for endpoints, and one that is made anew must find room wherever there is some.
    One that Ray cannot make anew is left out, and others do its units again, from the ledger.

    Args:
        ray: the module, connected.

    Raises:
        UsageError: a worker has another version or content than this process, or no key.
        MultiplexError: a worker cannot be started.
    """

    def __init__(self, ray: Any, specs: Sequence[ModelSpec], council: Council) -> None:
        count = min(cores(ray), *(spec.limit for spec in specs))
        made = ray.remote(UnitWorker).options(
            num_cpus=0, scheduling_strategy="SPREAD", max_restarts=-1, max_task_retries=-1, max_concurrency=MANY
        )
        here = Installation.here()
        self._ray, self._council = ray, ray.put(council)
        self._workers = [made.remote(tuple(specs), count, here) for _ in range(count)]
        self._limits = [{spec.name: spec.limit // count for spec in specs} for _ in range(count)]
        self._busy: Counter[int] = Counter()
        self._gone: set[int] = set()
        self._ledgers: dict[str, Ledger] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] | None = None
        self._check()

    def _check(self) -> None:
        try:
            unfit = self._ray.get([worker.unfit.remote() for worker in self._workers])
        except self._ray.exceptions.RayError as error:
            raise MultiplexError(f"Ray cannot start a worker: {last_line(error)}") from error
        if said := next(filter(None, unfit), None):
            raise UsageError(said)

    def width(self, model: str) -> int:
        """As many units as the endpoint has borne calls, over all workers."""
        return max(1, sum(limits[model] for number, limits in enumerate(self._limits) if number not in self._gone))

    async def answer(self, work: Work, ledger: Ledger) -> Answer:
        """The unit's answer, from the worker that has the least to do."""
        if self._broken is None:
            self._broken = asyncio.get_running_loop().create_future()
            for number in range(len(self._workers)):
                self._serve(self._listen(number))
        self._ledgers[work.unit.id] = ledger
        try:
            while True:
                fit = [number for number in range(len(self._workers)) if number not in self._gone]
                if not fit:
                    raise NoWorkerError("every worker on the Ray cluster has died; its logs say why")
                number = min(fit, key=self._busy.__getitem__)
                try:
                    made = await self._asked(number, work, self._broken)
                except self._ray.exceptions.RayActorError:
                    self._gone.add(number)
                else:
                    break
        except self._ray.exceptions.RayError as error:
            raise MultiplexError(f"Ray could not do unit {work.unit.id}: {last_line(error)}") from error
        finally:
            self._ledgers.pop(work.unit.id, None)
        if isinstance(made, MultiplexError):
            raise made
        return made

    async def _asked(self, number: int, work: Work, broken: asyncio.Future[None]) -> Answer | MultiplexError:
        self._busy[number] += 1
        ref = self._workers[number].answer.remote(work.unit, work.words, work.heard, work.secret, [self._council])
        answer: asyncio.Future[Answer | MultiplexError] = asyncio.wrap_future(ref.future())
        try:
            either: set[asyncio.Future[Any]] = {answer, broken}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                broken.result()  # raises
            return answer.result()
        finally:
            self._busy[number] -= 1
            if not answer.done():
                answer.cancel()
                self._ray.cancel(ref)

    async def aclose(self) -> None:
        """Lend no ledger any more; the workers end with the connection to the cluster."""
        tasks, self._broken = [*self._serving], None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the units; if it fails, every unit hears of it, since it would wait for ever."""
        task = asyncio.create_task(work)
        self._serving.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._broken is not None and not self._broken.done():
            said = f"no ledger can be lent to Ray's workers: {type(error).__name__}: {last_line(error)}"
            self._broken.set_exception(NoWorkerError(safe(said)))
            self._broken.exception()  # if no unit is left to hear of it, asyncio need not tell

    async def _listen(self, number: int) -> None:
        """Serve a worker's questions to the ledgers, as they come, until it has died for good."""
        worker, seen = self._workers[number], ""
        while True:
            try:
                asked, self._limits[number] = await worker.asked.remote(seen)
            except self._ray.exceptions.RayActorError:
                return self._gone.add(number)
            for each in asked:
                self._serve(self._lend(worker, each))
            seen = asked[-1].number

    async def _lend(self, worker: Any, asked: LedgerRequest) -> None:
        ledger = self._ledgers.get(asked.unit)
        if ledger is not None:  # else the unit has ended: a life of its worker that is over asked
            value = await getattr(ledger, asked.method)(*asked.arguments)
            worker.told.remote(asked.number, value)


@contextmanager
def ray_executor(address: str, specs: Sequence[ModelSpec], council: Council) -> Iterator[RayExecutor]:
    """An executor on the cluster at `address`.

    Raises:
        UsageError: Ray is not installed, or a worker has another version or content than this process, or no key.
        MultiplexError: the cluster cannot be reached, or a worker cannot be started.
    """
    with connected(address) as ray:
        yield RayExecutor(ray, specs, council)
