"""Where the work of a unit is done: in this process, or wherever another executor takes it.

The runner decides which unit is next, counts what it costs, and alone writes the store; an executor has one unit done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from multiplex.bench.execute.unit import Work, execute
from multiplex.council.answer import Answer
from multiplex.errors import MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.types import Ledger

LOCAL_WIDTH = 3  # units at once on the embedded model: its slots are full then, and units still end one by one


class NoWorkerError(MultiplexError):
    """Whoever does the units is gone, or cannot do any: no unit's fault, so the run stops and none fails."""


class Executor(Protocol):
    """Has units done, many at once."""

    def width(self, model: str) -> int:
        """How many units of a model are worth doing at once now; at least 1."""

    async def answer(self, work: Work, ledger: Ledger) -> Answer | None:
        """A unit's answer, each reply in `ledger` before it is used; None where replies come in a later start.

        Raises:
            NoWorkerError: no unit can be done any more.
            MultiplexError: there is none; the error says why.
        """

    async def aclose(self) -> None:
        """Give back what this event loop holds; a later unit takes it anew."""


@dataclass(frozen=True)
class LocalExecutor:
    """Does units in this process."""

    chats: Mapping[str, Chat]

    def width(self, model: str) -> int:
        """One unit a call, so that the limiter always has a call to admit."""
        chat = self.chats[model]
        if chat.spec.local:
            return LOCAL_WIDTH
        return chat.limiter.limit if chat.limiter is not None else chat.spec.limit

    async def answer(self, work: Work, ledger: Ledger) -> Answer:
        """The unit's answer."""
        return await execute(work, self.chats[work.unit.model].recorded(ledger, work.secret))

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(chat.aclose() for chat in self.chats.values()))
