"""LangGraph's checkpointers, made to last: each failure of the database is one clear error, and none is for good."""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

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
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from multiplex.errors import MemoryLostError, UsageError
from multiplex.serve.conversation.plain_serde import ForeignValueError, PlainSerializer
from multiplex.serve.conversation.records import EXCHANGES

CONNECTING = 5.0  # seconds until a database that does not answer counts as away, or a lock as held
PATIENCE = 15.0  # seconds until one reading or writing counts as lost
POOL = 10  # connections to PostgreSQL
THREAD = 4_000_000  # bytes that one thread may hold
TABLES = {"checkpoints", "writes"}
# A value that the database cannot hold is the fault of the value, not of the database.
_OF_THE_VALUE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    psycopg.IntegrityError,
    psycopg.DataError,
)
_AWAY = (sqlite3.Error, psycopg.Error, ormsgpack.MsgpackDecodeError, ForeignValueError, TimeoutError)

_Put = tuple[RunnableConfig, Checkpoint, CheckpointMetadata, ChannelVersions]
_OF_THREAD = "thread_id = %(thread)s AND checkpoint_ns = %(space)s"
_EARLIER = (
    f'DELETE FROM checkpoints WHERE {_OF_THREAD} AND checkpoint_id COLLATE "C" < %(checkpoint)s',  # noqa: S608
    f'DELETE FROM checkpoint_writes WHERE {_OF_THREAD} AND checkpoint_id COLLATE "C" < %(checkpoint)s',  # noqa: S608
    f"DELETE FROM checkpoint_blobs AS blob WHERE {_OF_THREAD} AND NOT EXISTS (SELECT FROM checkpoints AS kept "  # noqa: S608
    "WHERE kept.thread_id = blob.thread_id AND kept.checkpoint_ns = blob.checkpoint_ns "
    "AND kept.checkpoint -> 'channel_versions' ->> blob.channel = blob.version)",
)
# Threads of ours have names with a stroke; those of other programs in the same database are left alone.
_OLD = (
    "SELECT thread_id FROM checkpoints WHERE position('/' in thread_id) > 0 "
    'GROUP BY thread_id HAVING max(checkpoint_id COLLATE "C") < %s'
)


def first_id(moment: datetime) -> str:
    """The first id that a checkpoint made at this moment could have: ids are UUIDs of version 6, ordered by time."""
    ticks = int(moment.timestamp() * 10_000_000) + 0x01B21DD213814000  # of 100 ns, since 1582
    high = f"{ticks >> 12:012x}"
    return f"{high[:8]}-{high[8:]}-6{ticks & 0xFFF:03x}-0000-000000000000"


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
    """What both checkpointers have in common: where they are, how they fail, and that a thread has one state.

    A thread's earlier states are deleted as the next is kept: each held the whole conversation.
    """

    place: str
    _turn: list[_Put] | None = None

    def for_turn(self) -> Self:
        """A copy that keeps what a graph puts until `save` is called: so the turn's answer outlives a lost database."""
        turn = copy.copy(self)
        turn._turn = []
        return turn

    async def save(self) -> None:
        """Keep what a turn has put.

        Raises:
            MemoryLostError: the database refuses, or the thread would hold more than THREAD bytes.
        """
        puts, self._turn = self._turn or [], None
        for put in puts:
            await self.aput(*put)

    async def forget_earlier(self, thread: str, space: str, checkpoint: str) -> None:
        """Delete a thread's states before this one; raises MemoryLostError."""
        raise NotImplementedError

    async def forget_before(self, moment: datetime) -> int:
        """Delete the threads and the page's exchanges unchanged since; how many. Raises MemoryLostError."""
        raise NotImplementedError

    async def touch(self, kind: str, names: Sequence[str]) -> None:
        """Count these of the page's records as changed now. Raises MemoryLostError."""
        raise NotImplementedError

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
        """As LangGraph's, in place of the thread's earlier states; raises MemoryLostError."""
        place = config["configurable"]
        kept: RunnableConfig = {
            "configurable": {
                "thread_id": place["thread_id"],
                "checkpoint_ns": place.get("checkpoint_ns", ""),
                "checkpoint_id": checkpoint["id"],
            }
        }
        if self._turn is not None:
            self._turn.append((config, checkpoint, metadata, new_versions))
            return kept
        size = len(self.serde.dumps_typed(checkpoint)[1])
        if size > THREAD:
            said = f"a thread of {size:,} bytes, and {THREAD:,} is the most that one may hold; begin another"
            raise MemoryLostError(f"conversation memory {self.place}: {said}")
        async with self.watched():
            await super().aput(config, checkpoint, metadata, new_versions)
        await self.forget_earlier(str(place["thread_id"]), place.get("checkpoint_ns", ""), checkpoint["id"])
        return kept

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Nothing: the graph has no interrupts, so a turn is resumed from its checkpoint alone.

        LangGraph writes these beside its checkpoints, in no order: one could outlive the state it belonged to.
        """

    async def adelete_thread(self, thread_id: str) -> None:
        """As LangGraph's; raises MemoryLostError."""
        async with self.watched():
            await super().adelete_thread(thread_id)


class SqliteMemory(Lasting, AsyncSqliteSaver):
    """Threads in a SQLite file."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        super().__init__(connection, serde=PlainSerializer())
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

    async def forget_earlier(self, thread: str, space: str, checkpoint: str) -> None:
        """As of every memory."""
        async with self.watched(), self.lock:
            for table in ("checkpoints", "writes"):
                query = f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id < ?"  # noqa: S608
                await self.conn.execute(query, (thread, space, checkpoint))
            await self.conn.commit()

    async def forget_before(self, moment: datetime) -> int:
        """As of every memory."""
        ours = "SELECT thread_id FROM checkpoints WHERE instr(thread_id, '/')"
        old = f"{ours} GROUP BY thread_id HAVING max(checkpoint_id) < ?"
        async with self.watched(), self.lock:
            await self.conn.execute(f"DELETE FROM writes WHERE thread_id IN ({old})", (first_id(moment),))  # noqa: S608
            gone = await self.conn.execute(
                f"DELETE FROM checkpoints WHERE thread_id IN ({old})",  # noqa: S608
                (first_id(moment),),
            )
            count = gone.rowcount
            if await self.conn.execute_fetchall("SELECT 1 FROM sqlite_master WHERE name = 'store'"):
                since = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")  # as SQLite writes its time
                query = "DELETE FROM store WHERE prefix = ? AND updated_at < ?"
                count += (await self.conn.execute(query, (EXCHANGES, since))).rowcount
            await self.conn.commit()
        return count

    async def touch(self, kind: str, names: Sequence[str]) -> None:
        """As of every memory."""
        async with self.watched(), self.lock:
            query = "UPDATE store SET updated_at = CURRENT_TIMESTAMP WHERE prefix = ? AND key = ?"
            await self.conn.executemany(query, [(kind, name) for name in names])
            await self.conn.commit()


class PostgresMemory(Lasting, AsyncPostgresSaver):
    """Threads in a PostgreSQL database."""

    def __init__(self, pool: AsyncConnectionPool[psycopg.AsyncConnection[DictRow]], place: str) -> None:
        super().__init__(pool, serde=PlainSerializer())
        self.place, self.pool = place, pool
        self.lock = nullcontext()  # type: ignore[assignment]  # it is for a lone connection; a pool has many

    async def forget_earlier(self, thread: str, space: str, checkpoint: str) -> None:
        """As of every memory."""
        named = {"thread": thread, "space": space, "checkpoint": checkpoint}
        async with self.watched(), self.pool.connection() as connection, connection.transaction():
            for query in _EARLIER:
                await connection.execute(query, named)

    async def forget_before(self, moment: datetime) -> int:
        """As of every memory."""
        async with self.watched(), self.pool.connection() as connection, connection.transaction():
            old = await (await connection.execute(_OLD, (first_id(moment),))).fetchall()
            threads = [row["thread_id"] for row in old]
            for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints"):
                await connection.execute(f"DELETE FROM {table} WHERE thread_id = ANY(%s)", (threads,))  # noqa: S608
            there = await (await connection.execute("SELECT to_regclass('store') AS found")).fetchone()
            if there is None or there["found"] is None:
                return len(threads)
            query = "DELETE FROM store WHERE prefix = %s AND updated_at < %s"
            gone = await connection.execute(query, (EXCHANGES, moment))
            return len(threads) + gone.rowcount

    async def touch(self, kind: str, names: Sequence[str]) -> None:
        """As of every memory."""
        async with self.watched(), self.pool.connection() as connection:
            query = "UPDATE store SET updated_at = CURRENT_TIMESTAMP WHERE prefix = %s AND key = ANY(%s)"
            await connection.execute(query, (kind, list(names)))


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

    async def check(connection: psycopg.AsyncConnection[DictRow]) -> None:
        """One connection that is gone tells of a restart: all go at once, else each next is found in turn, waiting."""
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            await pool.drain()
            raise

    pool = AsyncConnectionPool(
        url,
        kwargs=options,
        min_size=1,
        max_size=POOL,
        open=False,
        timeout=CONNECTING,
        reconnect_timeout=CONNECTING,  # else it waits longer from attempt to attempt, for minutes
        check=check,
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
