"""Records beside the threads of a conversation memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiosqlite
from langgraph.store.base import GetOp, Item, PutOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from multiplex.serve.conversation.checkpointers import CONNECTING, Lasting, PostgresMemory, SqliteMemory, lasting

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver


class KeyValueStore:
    """Records by their id, in the same database as the threads and as lasting."""

    def __init__(self, store: AsyncSqliteStore | AsyncPostgresStore, saver: Lasting) -> None:
        self._store, self._saver = store, saver

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """As the saver's; a transaction that was called off in its midst is ended: no other could begin after it."""
        async with self._saver.watched():
            try:
                yield
            except BaseException:
                if isinstance(self._store, AsyncSqliteStore):
                    async with self._store.lock:
                        await self._store.conn.rollback()
                raise

    async def put(self, kind: str, name: str, record: dict[str, Any]) -> None:
        """Keep a record; raises MemoryLostError."""
        async with self._watched():
            await self._store.abatch([PutOp((kind,), name, record, index=False)])

    async def touch(self, kind: str, names: Sequence[str]) -> None:
        """Count these records as changed now, where they are; raises MemoryLostError."""
        if names:
            await self._saver.touch(kind, names)

    async def delete(self, kind: str, name: str) -> None:
        """Delete a record, where there is one; raises MemoryLostError."""
        async with self._watched():
            await self._store.abatch([PutOp((kind,), name, None)])

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The record of this name; None where there is none; raises MemoryLostError."""
        async with self._watched():
            found = (await self._store.abatch([GetOp((kind,), name)]))[0]
        return found.value if isinstance(found, Item) else None


@asynccontextmanager
async def shelf_beside(saver: BaseCheckpointSaver[Any]) -> AsyncIterator[KeyValueStore]:
    """The shelf in the database of an open memory.

    Raises:
        MemoryLostError: the database refuses.
    """
    if isinstance(saver, SqliteMemory):
        async with lasting(saver.place):
            connection = await aiosqlite.connect(saver.path, timeout=CONNECTING, isolation_level=None)
        try:
            store = AsyncSqliteStore(connection)
            async with lasting(saver.place):
                await store.setup()
            yield KeyValueStore(store, saver)
        finally:
            await connection.close()
    elif isinstance(saver, PostgresMemory):
        kept = AsyncPostgresStore(saver.pool)
        async with lasting(saver.place):
            await kept.setup()
        yield KeyValueStore(kept, saver)
    else:
        raise TypeError(f"no shelf beside a {type(saver).__name__}")
