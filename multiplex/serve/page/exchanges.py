"""What is kept of a question that was answered: its exchange, for its permalink and for what is asked next."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from multiplex.answering import Result
from multiplex.council.answer import Voice
from multiplex.council.order import Strategy
from multiplex.errors import MemoryLostError
from multiplex.serve.conversation.records import EXCHANGES

if TYPE_CHECKING:
    from multiplex.serve.conversation.key_value_store import KeyValueStore
    from multiplex.serve.conversation.memory import Memory

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")  # what `secrets.token_urlsafe` makes; no other name reaches a database
HELD = 200  # exchanges that a server without memory holds


class Exchange(BaseModel):
    """One question and all that came of it.

    Attributes:
        owner: the space of the caller who asked (`Keys.space`); only they continue it.
        council: the name of the offer whose council was asked.
        model: the name of the model.
        thread: the ids of the exchanges before it, the first first.
        asked: the question as it was put to the voices, which stands alone.
        stance: the options between which each voice was to choose; empty where none was asked to.
        voices: in the order in which they came, lost ones too.
        silent: the titles of those whose question ended before they had spoken.
        result: the answers with their measures, and what failed.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    owner: str
    council: str
    model: str
    strategies: tuple[Strategy, ...]
    thread: tuple[str, ...] = ()
    asked: str
    stance: tuple[str, ...] = ()
    voices: tuple[Voice, ...] = ()
    silent: tuple[str, ...] = ()
    result: Result


class Answers:
    """The exchanges of a server: on a shelf where it has a memory, else the last HELD of this process.

    What the shelf refuses is held as well. What it took is read from there alone: it may be deleted by its age, or by
    another server of the same database.
    """

    def __init__(self, shelf: KeyValueStore | None) -> None:
        self._shelf = shelf
        self._here: OrderedDict[str, Exchange] = OrderedDict()

    @property
    def lasting(self) -> bool:
        """Whether they outlive the server."""
        return self._shelf is not None

    def lasts(self, name: str) -> bool:
        """Whether this one does."""
        return self.lasting and name not in self._here

    async def keep(self, exchange: Exchange) -> None:
        """Keep an exchange, and those before it as long; it can be read here even where the memory refuses it.

        Raises:
            MemoryLostError: the memory cannot be reached.
        """
        self._here[exchange.id] = exchange
        while len(self._here) > HELD:
            self._here.popitem(last=False)
        if self._shelf is not None:
            await self._shelf.touch(EXCHANGES, exchange.thread)
            # as one text: a database may put the fields of an object in another order
            await self._shelf.put(EXCHANGES, exchange.id, {"exchange": exchange.model_dump_json()})
            self._here.pop(exchange.id, None)

    async def delete(self, name: str) -> None:
        """Delete an exchange, where there is one.

        Raises:
            MemoryLostError: the memory cannot be reached; then it is still there.
        """
        if self._shelf is not None and _ID.fullmatch(name):
            await self._shelf.delete(EXCHANGES, name)
        self._here.pop(name, None)

    async def get(self, name: str) -> Exchange | None:
        """The exchange of this id; None where there is none.

        Raises:
            MemoryLostError: the memory cannot be reached, or what it holds is damaged or of another version.
        """
        if (found := self._here.get(name)) is not None or not _ID.fullmatch(name):
            return found
        kept = await self._shelf.get(EXCHANGES, name) if self._shelf is not None else None
        if kept is None:
            return None
        try:
            return Exchange.model_validate_json(kept["exchange"])
        except (KeyError, ValidationError) as error:
            said = "this answer is damaged or was kept by another version; ask its question again"
            raise MemoryLostError(said) from error


@asynccontextmanager
async def answers(memory: Memory) -> AsyncIterator[Answers]:
    """The exchanges beside an open memory.

    Raises:
        MemoryLostError: the database refuses.
    """
    if memory.checkpointer is None:
        yield Answers(None)
        return
    from multiplex.serve.conversation.key_value_store import shelf_beside

    async with shelf_beside(memory.checkpointer) as shelf:
        yield Answers(shelf)
