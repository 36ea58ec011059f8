"""The one thread that writes: it takes all that waits, commits once, and only then says that it is written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from multiplex.bench.store.checksums import insertion
from multiplex.bench.store.schema import explained
from multiplex.errors import MultiplexError

Work = Callable[[sqlite3.Connection], object]
GROUP = 1000  # most writes of one commit
SET = insertion("meta", "OR REPLACE")


def clock() -> str:
    """What the clock says, UTC, ISO 8601: information only, since clocks go back."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class _Job:
    work: Work
    done: Future[None]


class Writer:
    """Owns a connection and closes it. After the first error nothing is written any more: every write raises it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._error: Exception | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="multiplex-store", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> Future[None]:
        """Queue a write; the future is done once it is on disk.

        Raises:
            MultiplexError: an earlier write failed, or the store is closed.
        """
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # a caller who leaves does not take the write with them
        with self._guard:
            self._check()
            self._jobs.put(_Job(work, done))
        return done

    def check(self) -> None:
        """Raises MultiplexError where nothing can be written any more."""
        with self._guard:
            self._check()

    def close(self) -> None:
        """Write what is queued, then end the thread and the connection."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _check(self) -> None:
        if self._error is not None:
            raise explained(self._error, self._path) from self._error
        if self._closed:
            raise MultiplexError(f"{self._path}: the store is closed")

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._group()
            if group:
                self._commit(group)

    def _group(self) -> tuple[list[_Job], bool]:
        """All that waits, at least one job; and whether the thread ends after it."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Job]) -> None:
        try:
            if self._error is not None:  # queued before the error was known
                raise self._error
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                job.work(self._connection)
            self._connection.execute(SET, {"key": "changed", "value": clock()})
            self._connection.execute("COMMIT")
        except Exception as error:  # whatever it is, it belongs to who waits
            with self._guard:
                self._error = error
            # no rollback, which could fail too: nothing more is written, and closing drops what is not committed
            for job in group:
                failure = explained(error, self._path)
                failure.__cause__ = error
                job.done.set_exception(failure)
        else:
            for job in group:
                job.done.set_result(None)
