"""Conversation memory: a SQLite file or a PostgreSQL database that keeps the threads of a LangGraph."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.errors import MemoryLostError, UsageError

if TYPE_CHECKING:
    from multiplex.serve.conversation.checkpointers import Lasting

_POSTGRES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Memory:
    """What remembers conversations: a checkpointer, or None where nothing does. `place` may be shown to anyone."""

    checkpointer: Lasting | None = None
    place: str = "none"

    def for_turn(self) -> Lasting | None:
        """A checkpointer for one turn, whose `save` keeps it; None where nothing is remembered."""
        return self.checkpointer.for_turn() if self.checkpointer is not None else None

    def trouble(self, error: BaseException) -> MemoryLostError | None:
        """The memory's own failure behind an exception; None where the exception has another cause."""
        return next((each for each in _behind(error) if isinstance(each, MemoryLostError)), None)


@asynccontextmanager
async def memory(where: str | None) -> AsyncIterator[Memory]:
    """The memory at a place, open until the block ends.

    Args:
        where: a SQLite file, which is made where there is none; a `postgresql://` URL; or None: no memory.

    A checkpointer belongs to the event loop that opened it. Where its database is away, full, locked or damaged it
    raises MemoryLostError, and works again once the database does.

    Raises:
        UsageError: `where` is neither a file nor such a URL, or the packages for it are not installed.
        MemoryLostError: the database cannot be reached, or is no such memory.
    """
    if where is None:
        yield Memory()
        return
    scheme, mark, _ = where.partition("://")
    if not where.strip() or (mark and scheme not in _POSTGRES):
        raise UsageError("the memory is a file's path or a URL that begins with postgresql://")
    try:
        from multiplex.serve.conversation import checkpointers
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed; conversation memory comes with the extra [serve]") from error
    opened = checkpointers.in_postgres(where) if mark else checkpointers.in_sqlite(Path(where))
    async with opened as saver:
        yield Memory(saver, saver.place)


def _behind(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that it came from, itself first."""
    seen, waiting = set[int](), [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [cause for cause in (*inner, each.__cause__, each.__context__) if cause is not None]
