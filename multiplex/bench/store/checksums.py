"""The checksum that every record of a run carries: what it covers, and the SQL that makes and compares it.

A record written before there were checksums has none (NULL); whether it is whole can be told by its form only.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterable

COVERED: dict[str, dict[str, tuple[str, ...]]] = {
    "meta": {"checksum": ("key", "value")},
    "units": {
        "unit_checksum": ("id", "question_id", "model", "strategy", "epoch", "unit"),
        "outcome_checksum": ("id", "state", "answer"),
    },
    "calls": {
        "checksum": ("unit", "request", "text", "cut", "calls", "input_tokens", "output_tokens", "seconds", "attempts",
                     "kind", "message"),
    },
    "errors": {"checksum": ("unit", "kind", "message", "at")},
    "scorings": {"checksum": ("key", "description")},
    "measures": {"checksum": ("unit", "scoring", "score")},
    "batches": {"checksum": ("number", "model", "calls", "state", "file", "batch", "at")},
    "batch_calls": {"checksum": ("custom", "unit", "batch", "attempts", "status", "reply", "told")},
}  # fmt: skip
"""By table and column of a checksum, the columns that it covers."""


def checksum(*values: bytes | float | None) -> str:
    """16 hex digits over values in their order; `add_checksum` makes it a function of SQL."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        if value is None:
            digest.update(b"n")
        elif isinstance(value, float):
            digest.update(b"f" + struct.pack("<d", value))
        else:
            digest.update(b"b%d:" % len(value))
            digest.update(value)
    return digest.hexdigest()


def add_checksum(connection: sqlite3.Connection) -> None:
    """Make `checksum` known to the SQL of a connection."""
    connection.create_function("checksum", -1, checksum, deterministic=True)


def digest(values: Iterable[str]) -> str:
    """SQL that computes the checksum over these expressions. Texts go in as bytes: a damaged one may be no UTF-8."""
    raw = (f"CASE typeof({each}) WHEN 'real' THEN {each} ELSE CAST({each} AS BLOB) END" for each in values)
    return f"checksum({', '.join(raw)})"


def matches(table: str, column: str = "checksum") -> str:
    """SQL: 1 where a row's checksum is right, 0 where the row is damaged, NULL where it carries none."""
    covered = (f"{table}.{each}" for each in COVERED[table][column])
    return f"CASE WHEN {table}.{column} IS NOT NULL THEN {table}.{column} = {digest(covered)} END"


def sound(table: str, column: str = "checksum") -> str:
    """SQL: whether a row is not known to be damaged."""
    return f"({matches(table, column)}) IS NOT 0"


def insertion(table: str, otherwise: str = "") -> str:
    """SQL that inserts a row, its checksums with it; the values are named as the columns.

    `otherwise` stands after INSERT, such as `OR REPLACE`.
    """
    sums = COVERED[table]
    columns = tuple(dict.fromkeys(each for covered in sums.values() for each in covered))
    values = [f":{each}" for each in columns] + [digest(f":{each}" for each in covered) for covered in sums.values()]
    return f"INSERT {otherwise} INTO {table} ({', '.join((*columns, *sums))}) VALUES ({', '.join(values)})"  # noqa: S608
