"""The database file of a run: its tables, its versions, how it is opened, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiplex.bench.store.checksums import COVERED, add_checksum
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
_BATCHES = {
    "batches": """number INTEGER PRIMARY KEY, model TEXT NOT NULL, calls INTEGER NOT NULL, state TEXT NOT NULL,
        file TEXT, batch TEXT, at TEXT NOT NULL, checksum TEXT""",
    "batch_calls": """number INTEGER PRIMARY KEY, custom TEXT NOT NULL UNIQUE, unit TEXT NOT NULL,
        batch INTEGER NOT NULL REFERENCES batches (number), attempts INTEGER NOT NULL, status INTEGER, reply TEXT,
        told INTEGER NOT NULL DEFAULT 0, checksum TEXT""",
}
_THIRD = tuple(
    f"ALTER TABLE {table} ADD COLUMN {column} TEXT"
    for table, sums in COVERED.items()
    if table not in _BATCHES
    for column in sums
)
_FOURTH = (
    *(f"CREATE TABLE {table} ({columns})" for table, columns in _BATCHES.items()),
    "CREATE INDEX batch_calls_unit ON batch_calls (unit)",
    "CREATE INDEX batch_calls_batch ON batch_calls (batch)",
)
MIGRATIONS = (_FIRST, _SECOND, _THIRD, _FOURTH)
"""MIGRATIONS[i] brings a database of version i to version i + 1; a new one goes through them all."""
VERSION = len(MIGRATIONS)
_COLUMNS = {
    "meta": "rowid, key, value",
    "units": "number, id, question_id, model, strategy, epoch, state, unit, answer",
    "calls": "number, unit, request, text, cut, calls, input_tokens, output_tokens, seconds, kind, message",
    "errors": "number, unit, kind, message, at",
    "scorings": "number, key, description",
    "measures": "rowid, unit, scoring, score",
}
_TRANSIENT = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
)
Rest = tuple[int, int, int]  # what tells whether a file that nobody has open was written: inode, size, time


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
        if _log(path).exists() and not os.access(path.parent, os.W_OK):
            return UsageError(
                f"{path}: a run that was not closed, in a folder that may not be written; copy the folder and read that"
            )
        return UsageError(f"{path}: cannot be opened ({error}); check who may read and write there")
    if code is not None and code & 0xFF == sqlite3.SQLITE_READONLY:
        return UsageError(f"{path}: may not be written ({error}); check its permissions")
    if code is not None and code & 0xFF in _TRANSIENT:
        return MultiplexError(f"{path}: {error}; nothing finished is lost; run the same command again")
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, sqlite3.Error):
        return MultiplexError(
            f"{path}: {said}; where it comes again, restore the file from a copy, or name another run"
        )
    return MultiplexError(f"{path}: {said}")


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
    """A connection that any thread may use, one at a time; each statement commits unless BEGIN stands before it.

    One that only reads writes no file where the run is at rest. It reads older schemas as they are, and text that is
    no UTF-8 with U+FFFD: the checksum says that it is damaged.
    """
    mode = "mode=rwc" if write else "mode=ro&immutable=1" if at_rest(path) else "mode=ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False
    )
    try:
        add_checksum(connection)
        if write:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
        else:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            _translate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def at_rest(path: Path) -> Rest | None:
    """What the file of a run looks like that no process writes; None where one may, or was killed while it did.

    An empty log that lies where nobody may write was left by a reader.
    """
    log = _log(path)
    try:
        if log.exists() and (log.stat().st_size or os.access(path.parent, os.W_OK)):
            return None
        now = path.stat()
    except FileNotFoundError:  # a log that its writer has just removed
        return None
    return now.st_ino, now.st_size, now.st_mtime_ns


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _translate(connection: sqlite3.Connection) -> None:
    """Views that show an older schema as this one, in memory: whoever only reads migrates nothing."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 < found < VERSION:
        return
    for table, columns in _BATCHES.items():
        connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
    for table, columns in _COLUMNS.items() if found < 3 else ():
        lacking = ["1 AS attempts" if found == 1 else "attempts"] if table == "calls" else []
        lacking += [f"NULL AS {column}" for column in COVERED[table]]
        every = ", ".join((columns, *lacking))
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {every} FROM main.{table}")  # noqa: S608


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
