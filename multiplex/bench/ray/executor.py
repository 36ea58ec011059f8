"""Has units done by workers of a Ray cluster, while this process alone writes the run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from multiplex.bench.execute.unit import Work
from multiplex.bench.ray.cluster import connected, cores
from multiplex.bench.ray.worker import LedgerRequest, UnitWorker
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.errors import MultiplexError
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Ledger

MANY = 1000  # calls of one worker under way, with those that lend it ledgers


class RayExecutor:
    """A `multiplex.bench.execute.executor.Executor` whose units are done by actors, one for each core of the cluster.

    Actors ask for no core: they wait for endpoints, and one that is made anew must find room wherever there is some.
    Args:
        ray: the module, connected.
        secret: goes into the marks of prompts.
    """

    def __init__(self, ray: Any, specs: Sequence[ModelSpec], council: Council, secret: str) -> None:
        count = cores(ray)
        made = ray.remote(UnitWorker).options(
            num_cpus=0, scheduling_strategy="SPREAD", max_restarts=-1, max_task_retries=-1, max_concurrency=MANY
        )
        start = max(1, max(spec.limit for spec in specs) // count)
        self._ray, self._council = ray, ray.put(council)
        self._workers = [made.remote(tuple(specs), secret, start) for _ in range(count)]
        self._limits = [dict.fromkeys((spec.name for spec in specs), start) for _ in range(count)]
        self._busy: Counter[int] = Counter()
        self._ledgers: dict[str, Ledger] = {}
        self._lending: set[asyncio.Task[None]] = set()
        self._listening: list[asyncio.Task[None]] = []

    def width(self, model: str) -> int:
        """As many units as the endpoint has borne calls, over all workers."""
        return sum(limits[model] for limits in self._limits)

    async def answer(self, work: Work, ledger: Ledger) -> Answer:
        """The unit's answer, from the worker that has the least to do."""
        if not self._listening:
            self._listening = [asyncio.create_task(self._listen(number)) for number in range(len(self._workers))]
        number = min(range(len(self._workers)), key=self._busy.__getitem__)
        self._ledgers[work.unit.id] = ledger
        self._busy[number] += 1
        asked = self._workers[number].answer.remote(work.unit, work.words, work.heard, [self._council])
        try:
            made: Answer | MultiplexError = await asked
        except asyncio.CancelledError:
            self._ray.cancel(asked)
            raise
        except self._ray.exceptions.RayError as error:
            raise MultiplexError(f"Ray could not do unit {work.unit.id} ({type(error).__name__})") from error
        finally:
            self._busy[number] -= 1
            self._ledgers.pop(work.unit.id, None)
        if isinstance(made, MultiplexError):
            raise made
        return made

    async def aclose(self) -> None:
        """Lend no ledger any more; the workers end with the connection to the cluster."""
        tasks = [*self._listening, *self._lending]
        self._listening = []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, number: int) -> None:
        """Serve a worker's questions to the ledgers, as they come."""
        worker = self._workers[number]
        while True:
            asked, self._limits[number] = await worker.asked.remote()
            for each in asked:
                task = asyncio.create_task(self._lend(worker, each))
                self._lending.add(task)
                task.add_done_callback(self._lending.discard)

    async def _lend(self, worker: Any, asked: LedgerRequest) -> None:
        ledger = self._ledgers.get(asked.unit)
        if ledger is not None:  # else the unit has ended: a life of its worker that is over asked
            value = await getattr(ledger, asked.method)(*asked.arguments)
            worker.told.remote(asked.number, value)


@contextmanager
def ray_executor(address: str, specs: Sequence[ModelSpec], council: Council, secret: str) -> Iterator[RayExecutor]:
    """An executor on the cluster at `address`.

    Raises:
        UsageError: Ray is not installed.
        MultiplexError: the cluster cannot be reached.
    """
    with connected(address) as ray:
        yield RayExecutor(ray, specs, council, secret)
