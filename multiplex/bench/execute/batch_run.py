"""A run by batches: collect what came, do what can be done with it, send what it asks for; then end, or wait.

The same command, started again at any time, goes on: hours or days may lie between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from multiplex.bench.execute.batching import BatchExecutor, UsingExecutor
from multiplex.bench.execute.posting import BatchStoppedError, Post, Troubles
from multiplex.bench.execute.runner import Outcome, Runner
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.batch_log import OUT, BatchLog
from multiplex.bench.store.schema import explained
from multiplex.council.personas import Council
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.batches import PassingError
from multiplex.llm.chat import Chat
from multiplex.llm.limiter import Limiter
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import spent_on

if TYPE_CHECKING:
    from multiplex.bench.execute.progress import Progress
    from multiplex.bench.plan.budget import Budget
    from multiplex.bench.store.store import Store

SOONEST, LATEST = 1.0, 60.0  # seconds between two looks at what is out; they double
LONGEST = 86_400.0  # seconds of waiting for an endpoint that is away: what a batch may take
MANY = 10**6  # calls: a limiter that holds none back


@dataclass(frozen=True)
class BatchOrder:
    """How a run goes by batches: whether to wait for them, and whether to pay again for what an endpoint has lost."""

    wait: bool = False
    redo_lost: bool = False


def batch_chats(specs: Sequence[ModelSpec]) -> dict[str, Chat]:
    """Chats whose calls all wait at once. What failed is sent in another batch, so that there are no retries."""
    return {
        spec.name: Chat(spec.model_copy(update={"retries": 0}), limiter=Limiter(MANY), transport="whole")
        for spec in specs
    }


async def run_batches(
    order: BatchOrder,
    store: Store,
    chats: Mapping[str, Chat],
    council: Council,
    units: Sequence[Unit],
    budget: Budget,
    watch: Progress,
    spoiled: frozenset[str] = frozenset(),
) -> Outcome:
    """Go as far as the replies that are there allow; with `order.wait` to the end.

    Raises:
        UsageError: an endpoint has no batches.
        MultiplexError: the disk refuses.
    """
    log = store.batches()
    post = Post(store.folder, chats, log, watch.note, order.redo_lost)
    stopped: str | None = None
    pause, late, noted, first = SOONEST, 0.0, "", True

    def make_runner(executor: BatchExecutor) -> Runner:
        return _BatchRunner(store, chats, council, budget, watch, spoiled, executor)

    try:
        while True:
            troubles = await post.send()
            ended, more = await post.fetch()
            troubles += more
            if (ended or first) and not any(isinstance(each, BatchStoppedError) for each in more):
                if first:
                    store.retry_failed()
                if (stopped := await _advance(store, chats, units, spoiled, make_runner)) is not None:
                    break
                pause, first = SOONEST, False
                troubles += await post.send()
            said = "; ".join(dict.fromkeys(map(str, troubles)))
            if said and not (order.wait and late < LONGEST and _may_pass(troubles, log)):
                stopped = said
                break
            if not order.wait or not log.batches(*OUT):
                break
            if said and said != noted:
                watch.note(f"{said}; looking again")
            rest = max(pause, *(each.wait for each in troubles if isinstance(each, PassingError)), 0.0)
            noted, late = said, late + rest if troubles else 0.0
            await asyncio.sleep(rest)
            pause = min(LATEST, 2 * pause)
    except (OSError, MultiplexError) as error:
        told = error if isinstance(error, MultiplexError) else explained(error, store.path)
        if told.exit_code == 2:
            raise told from error
        stopped = str(told)
    finally:
        await asyncio.gather(*(chat.aclose() for chat in chats.values()))
    return replace(_stand(store, units, spoiled), stopped=stopped)


async def _advance(
    store: Store,
    chats: Mapping[str, Chat],
    units: Sequence[Unit],
    spoiled: frozenset[str],
    make_runner: Callable[[BatchExecutor], Runner],
) -> str | None:
    """Use the replies that came, and plan the batches of what they ask for; what stopped it, if anything did."""
    log = store.batches()
    executor = BatchExecutor(store.folder, chats, log)
    out, states = spoiled | log.out(), store.states()
    todo = [unit for unit in units if unit.id not in out and states[unit.id] == "pending"]
    with closing(executor):
        outcome = await make_runner(executor).run(todo)
        if outcome.stopped is None:
            log.note_used(executor.waiting)
            executor.wave()
    return outcome.stopped


async def use_replies(
    store: Store,
    specs: Sequence[ModelSpec],
    council: Council,
    units: Sequence[Unit],
    budget: Budget,
    watch: Progress,
    spoiled: frozenset[str],
) -> None:
    """Write the replies that ended batches brought among the calls of their units, which do not ask for them again.

    Raises:
        MultiplexError: the disk refuses.
    """
    log, chats = store.batches(), batch_chats(specs)
    waiting = log.unused()
    todo = [unit for unit in units if unit.id in waiting - spoiled]
    executor = UsingExecutor(store.folder, chats, log)
    outcome = await _BatchRunner(store, chats, council, budget, watch, spoiled, executor).run(todo)
    if outcome.stopped is not None:
        raise MultiplexError(outcome.stopped)
    log.note_used(executor.waiting)


class _BatchRunner(Runner):
    """A runner whose calls have come, or have failed, already: what failed says nothing of what is sent next."""

    def refused(self, unit: Unit, error: CallError) -> None:
        """Count what a call that failed took; it stops nothing."""
        self._budget.add(unit.model, spent_on(error))


def _may_pass(troubles: Troubles, log: BatchLog) -> bool:
    """Whether an endpoint that hinders may do so no more in a while; of one that was never reached nobody knows."""
    return all(
        isinstance(each, PassingError) and (each.kind != "unreachable" or bool(log.batches("sent")))
        for each in troubles
    )


def _stand(store: Store, units: Sequence[Unit], spoiled: frozenset[str]) -> Outcome:
    states = store.states()
    ended = [states[unit.id] for unit in units if unit.id not in spoiled]
    out = store.batches().batches(*OUT)
    return Outcome(
        ended.count("done"), ended.count("failed"), ended.count("pending"), damaged=len(units) - len(ended),
        calls_out=sum(batch.calls for batch in out), batches_out=len(out),
    )  # fmt: skip
