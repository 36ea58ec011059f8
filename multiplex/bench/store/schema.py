"""The database file of a run: its tables, its versions, how it is opened, and what its errors mean."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiplex.errors import MultiplexError, UsageError

DATABASE = "run.sqlite"
LOCK = "run.lock"
APPLICATION = 0x4D585056  # "MXPV", in the file's header: what tells our database from another program's
BUSY = 30.0  # seconds to wait for a lock that another program (a backup, a viewer) holds

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE units (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, question_id TEXT NOT NULL, model TEXT NOT NULL,
        strategy TEXT NOT NULL, epoch INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
        unit TEXT NOT NULL, answer TEXT)""",
    """CREATE TABLE calls (
        number INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES units (id), request TEXT NOT NULL,
        text TEXT, cut INTEGER, calls INTEGER, input_tokens INTEGER, output_tokens INTEGER, seconds REAL NOT NULL,
        kind TEXT, message TEXT)""",
    "CREATE INDEX calls_request ON calls (unit, request)",
    """CREATE TABLE errors (
        number INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES units (id), kind TEXT NOT NULL,
        message TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX errors_unit ON errors (unit)",
    "CREATE TABLE scorings (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, description TEXT NOT NULL)",
    """CREATE TABLE measures (
        unit TEXT NOT NULL REFERENCES units (id), scoring TEXT NOT NULL REFERENCES scorings (key), score TEXT NOT NULL,
        PRIMARY KEY (unit, scoring))""",
)
_SECOND = (
    "ALTER TABLE calls ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1",
    # a view, not a table: the answer holds its voices already, and two copies could differ
    """CREATE VIEW voices AS SELECT
        units.id AS unit, voice.key AS number, json_extract(voice.value, '$.perspective') AS perspective,
        json_extract(voice.value, '$.persona') AS persona, json_extract(voice.value, '$.round') AS round,
        json_extract(voice.value, '$.text') AS text, json_extract(voice.value, '$.error') AS error,
        json_extract(voice.value, '$.seconds') AS seconds,
        json_extract(voice.value, '$.usage.input_tokens') AS input_tokens,
        json_extract(voice.value, '$.usage.output_tokens') AS output_tokens
        FROM units, json_each(units.answer, '$.rounds') AS voice""",
)
MIGRATIONS = (_FIRST, _SECOND)
"""MIGRATIONS[i] brings a database of version i to version i + 1; a new one goes through them all."""
VERSION = len(MIGRATIONS)


def explained(error: Exception, path: Path) -> MultiplexError:
    """What an error of the database means to who runs the command, in one line."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return MultiplexError(
            f"{path}: the disk is full; nothing finished is lost; make room and run the same command again"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MultiplexError(f"{path}: the disk is full; make room and run the same command again")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(f"{path.parent}: a file stands where a folder is needed; give another --name or --dir")
    if isinstance(error, PermissionError):
        return UsageError(f"{path.parent}: cannot be written; check its permissions, or give another --dir")
    if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return UsageError(f"{path}: damaged, or not a database ({error}); restore it from a copy, or name another run")
    if code is not None and code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        return UsageError(f"{path}: cannot be opened ({error}); check who may read and write there")
    if code is not None and code & 0xFF == sqlite3.SQLITE_READONLY:
        return UsageError(f"{path}: may not be written ({error}); check its permissions")
    if isinstance(error, sqlite3.OperationalError):
        return MultiplexError(f"{path}: {error}; nothing finished is lost; run the same command again")
    return MultiplexError(f"{path}: {type(error).__name__}: {error}")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turns the database's errors inside the block into one of ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explained(error, path) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a run's lock, which falls when this process ends, however it ends.

    Raises:
        UsageError: another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{folder}: another run is writing here; wait for it, stop it, or give another --name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def version(path: Path) -> int:
    """The schema version of a run's database; 0 where it is absent or was never finished.

    Raises:
        UsageError: the file is damaged, another program's, or of a version to come.
    """
    with explaining(path):
        if not path.exists():
            return 0
        connection = connect(path, write=False)
        try:
            (owner,), (found,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in _MARKS)
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    if not tables:
        return 0
    if owner != APPLICATION:
        raise UsageError(f"{path}: another program's database; name another run with --name or --dir")
    if found > VERSION:
        raise UsageError(f"{path}: written by a newer multiplex (schema {found}, this one knows {VERSION}); update it")
    return int(found)


_MARKS = ("application_id", "user_version")


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time; each statement commits unless BEGIN stands before it."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}",
        uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    if write:
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
    return connection


def migrate(connection: sqlite3.Connection, found: int) -> None:
    """Bring a database of version `found` to this one, in one transaction."""
    if found == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[found:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
