"""Reads a run's database, page by page, beside whoever writes it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multiplex.bench.store.schema import at_rest, connect, explaining

PAGE = 64  # units read at once: a council's answer is some 50 kB
Row = tuple[Any, ...]


class Reader:
    """A connection that sees what is committed, from any thread. No read outlives its call, so none holds a writer up.

    A run at rest is read without a lock and without a trace in its folder; a read during which somebody began to
    write is made again. Every method raises UsageError where the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._guard = path, threading.Lock()
        self._rest = at_rest(path)
        self._connection = connect(path, write=False)

    def rows(self, query: str, *values: Any) -> list[Row]:
        """Every row that answers the query."""
        with self._guard, explaining(self._path):
            while True:
                try:
                    found = self._connection.execute(query, values).fetchall()
                except sqlite3.Error:
                    if not self._disturbed():
                        raise
                else:
                    if not self._disturbed():
                        return found
                self._connection.close()
                self._rest = at_rest(self._path)
                self._connection = connect(self._path, write=False)

    def _disturbed(self) -> bool:
        """Whether the run was at rest when it was opened and is no more."""
        return self._rest is not None and at_rest(self._path) != self._rest

    def row(self, query: str, *values: Any) -> Row | None:
        """The first row; None where there is none."""
        return next(iter(self.rows(query, *values)), None)

    def pages(self, query: str, *values: Any) -> Iterator[Row]:
        """The rows of a query of units, in their order, without their number.

        The query's first column is `units.number`, its last two parameters are the number after which a page begins
        and the size of a page.
        """
        after = -1
        while page := self.rows(query, *values, after, PAGE):
            for row in page:
                yield row[1:]
            after = page[-1][0]

    def close(self) -> None:
        """Close the connection."""
        with self._guard:
            self._connection.close()
