"""A run by batches: collect what came, do what can be done with it, send what it asks for; then end, or wait.

The same command, started again at any time, goes on: hours or days may lie between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from multiplex.bench.execute.batching import BatchExecutor
from multiplex.bench.execute.posting import Post
from multiplex.bench.execute.runner import Outcome, Runner
from multiplex.bench.plan.units import Unit
from multiplex.council.personas import Council
from multiplex.errors import CallError, MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.limiter import Limiter
from multiplex.llm.spec import ModelSpec

if TYPE_CHECKING:
    from multiplex.bench.execute.progress import Progress
    from multiplex.bench.plan.budget import Budget
    from multiplex.bench.store.store import Store

SOONEST, LATEST = 1.0, 60.0  # seconds between two looks at what is out; they double
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
    log, secret = store.batches(), store.secret()
    post = Post(store.folder, chats, log, watch.note, order.redo_lost)
    stopped: str | None = None
    pause, first = SOONEST, True
    try:
        while True:
            await post.send()
            ended = await post.fetch()
            if ended or first:
                executor = BatchExecutor(store.folder, chats, secret, log)
                if first:
                    store.retry_failed()
                out, states = log.out(), store.states()
                todo = [unit for unit in units if unit.id not in out and states[unit.id] == "pending"]
                outcome = await Runner(store, chats, council, budget, watch, spoiled, executor).run(todo)
                if (stopped := outcome.stopped) is not None:
                    break
                executor.wave()
                pause, first = SOONEST, False
                await post.send()
            if not order.wait or not log.batches("sent"):
                break
            await asyncio.sleep(pause)
            pause = min(LATEST, 2 * pause)
    except (CallError, MultiplexError) as error:
        if error.exit_code == 2:
            raise
        stopped = str(error)
    finally:
        await asyncio.gather(*(chat.aclose() for chat in chats.values()))
    return replace(_stand(store, units, spoiled), stopped=stopped)


def _stand(store: Store, units: Sequence[Unit], spoiled: frozenset[str]) -> Outcome:
    states = store.states()
    ended = [states[unit.id] for unit in units if unit.id not in spoiled]
    out = store.batches().batches("planned", "sent")
    return Outcome(
        ended.count("done"), ended.count("failed"), ended.count("pending"), damaged=len(units) - len(ended),
        calls_out=sum(batch.calls for batch in out), batches_out=len(out),
    )  # fmt: skip
