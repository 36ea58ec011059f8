"""LangGraph's checkpointers, made to last: each failure of the database is one clear error, and none is for good."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import aiosqlite
import ormsgpack
import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import GetOp, Item, PutOp
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from multiplex.errors import MemoryLostError, UsageError

CONNECTING = 5.0  # seconds until a database that does not answer counts as away, or a lock as held
PATIENCE = 15.0  # seconds until one reading or writing counts as lost
POOL = 10  # connections to PostgreSQL
TABLES = {"checkpoints", "writes"}
# A value that the database cannot hold is the fault of the value, not of the database.
_OF_THE_VALUE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    psycopg.IntegrityError,
    psycopg.DataError,
)
_AWAY = (sqlite3.Error, psycopg.Error, ormsgpack.MsgpackDecodeError, TimeoutError)


@asynccontextmanager
async def lasting(place: str) -> AsyncIterator[None]:
    """Tell a failure of the database as such.

    Raises:
        MemoryLostError: the database is away, full, locked or damaged, or did not answer in time.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except _OF_THE_VALUE:
        raise
    except _AWAY as error:
        why = " ".join(str(error).split()) or f"no answer within {PATIENCE:g} seconds"
        raise MemoryLostError(f"conversation memory {place}: {why}; see to the database, then ask again") from error


class Lasting(BaseCheckpointSaver[Any]):
    """What both checkpointers have in common: where they are, and how they fail."""

    place: str

    def watched(self) -> AbstractAsyncContextManager[None]:
        """Tell a failure of this database as MemoryLostError."""
        return lasting(self.place)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            return await super().aget_tuple(config)

    async def alist(self, config: RunnableConfig | None, **options: Any) -> AsyncIterator[CheckpointTuple]:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            found = [each async for each in super().alist(config, **options)]
        for each in found:
            yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            await super().aput_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            await super().adelete_thread(thread_id)


class SqliteMemory(Lasting, AsyncSqliteSaver):
    """Threads in a SQLite file."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        super().__init__(connection)
        self.place, self.path, self._file = str(path), path, _file(path)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """A write that fails or is called off must not leave its transaction open: the next would share it."""
        if _file(self.path) != self._file:
            raise MemoryLostError(f"conversation memory {self.place}: the file was moved; put it back, or start again")
        async with lasting(self.place):
            try:
                yield
            except BaseException:
                async with self.lock:
                    await self.conn.rollback()
                raise


class PostgresMemory(Lasting, AsyncPostgresSaver):
    """Threads in a PostgreSQL database."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]], place: str) -> None:
        super().__init__(pool)
        self.place, self.pool = place, pool
        self.lock = nullcontext()  # type: ignore[assignment]  # it is for a lone connection; a pool has many


@asynccontextmanager
async def in_sqlite(path: Path) -> AsyncIterator[SqliteMemory]:
    """The memory in a file, which only its owner may read where it is made here.

    Raises:
        MemoryLostError: the file cannot be written, is damaged, or is something else.
    """
    path = path.absolute()
    if path.is_dir():
        raise MemoryLostError(f"conversation memory {path}: this is a folder; name a file")
    try:
        path.touch(mode=0o600)
    except OSError as error:
        why = error.strerror or str(error)
        raise MemoryLostError(f"conversation memory {path}: {why}; name a file that can be written") from error
    async with lasting(str(path)):
        connection = await aiosqlite.connect(path, timeout=CONNECTING)
    try:
        async with lasting(str(path)):
            await _ready(connection, path)
            saver = SqliteMemory(connection, path)
            await saver.setup()
        yield saver
    finally:
        await connection.close()


async def _ready(connection: aiosqlite.Connection, path: Path) -> None:
    """Raise unless the file is empty or such a memory, and can be written."""
    rows = await connection.execute_fetchall("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {str(row[0]) for row in rows}
    if tables and not tables >= TABLES:
        raise MemoryLostError(f"conversation memory {path}: a database of something else; name another file")
    await connection.execute("PRAGMA journal_mode = WAL")
    await connection.execute("PRAGMA synchronous = NORMAL")  # with WAL no crash damages the file
    await connection.execute("BEGIN IMMEDIATE")
    await connection.rollback()


def _file(path: Path) -> tuple[int, int] | None:
    """Which file is at a path now; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@asynccontextmanager
async def in_postgres(url: str) -> AsyncIterator[PostgresMemory]:
    """The memory in a PostgreSQL database, whose tables are made where there are none.

    Raises:
        UsageError: the URL cannot be read.
        MemoryLostError: the database cannot be reached, or refuses.
    """
    place = _place(url)
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}
    options["connect_timeout"] = int(CONNECTING)
    async with lasting(place), await psycopg.AsyncConnection[DictRow].connect(url, **options) as connection:
        await _make_tables(connection)
    pool = AsyncConnectionPool(
        url,
        kwargs=options,
        min_size=1,
        max_size=POOL,
        open=False,
        timeout=CONNECTING,
        reconnect_timeout=CONNECTING,  # else it waits longer from attempt to attempt, for minutes
        check=AsyncConnectionPool.check_connection,
        connection_class=psycopg.AsyncConnection[DictRow],
    )
    async with pool:
        yield PostgresMemory(pool, place)


async def _make_tables(connection: psycopg.AsyncConnection[DictRow]) -> None:
    """Make or migrate the tables; another server that does so at the same moment only makes this one try again."""
    for attempt in range(5):
        try:
            await AsyncPostgresSaver(connection).setup()
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.DeadlockDetected):
            if attempt == 4:
                raise
            await asyncio.sleep(0.2 * (attempt + 1))
        else:
            return


class KeyValueStore:
    """Records by their id, in the same database as the threads and as lasting."""

    def __init__(self, store: AsyncSqliteStore | AsyncPostgresStore, saver: Lasting) -> None:
        self._store, self._saver = store, saver

    async def put(self, kind: str, name: str, record: dict[str, Any]) -> None:
        """Keep a record; raises MemoryLostError."""
        async with self._saver.watched():
            await self._store.abatch([PutOp((kind,), name, record, index=False)])

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The record of this name; None where there is none; raises MemoryLostError."""
        async with self._saver.watched():
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


def _place(url: str) -> str:
    """HOST:PORT/DATABASE of a URL, to be shown.

    Raises:
        UsageError: the URL cannot be read, or a sign in its password was taken for the password's end.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its text quotes the password
        parts = {"host": "@"}
    host, port, database = (str(parts.get(name) or "") for name in ("host", "port", "dbname"))
    if "@" in host + port + database or not (port.replace(",", "") or "0").isdecimal():
        raise UsageError(
            "the memory's postgresql:// URL cannot be read; in a password write @ as %40, / as %2F, % as %25"
        )
    return f"{host or 'local'}{f':{port}' if port else ''}/{database}"
