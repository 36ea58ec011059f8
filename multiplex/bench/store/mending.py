"""Throws away what is damaged in a run, so that it is made again from what is sound."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from multiplex.bench.plan.units import Unit
from multiplex.bench.store.checksums import COVERED, digest
from multiplex.bench.store.damage import Checkup, Part
from multiplex.bench.store.json_text import as_json

_DEFINITION = COVERED["units"]["unit_checksum"]


def mend(db: sqlite3.Connection, checkup: Checkup, units: Sequence[Unit]) -> None:
    """Delete damaged replies, failures and scores, and make units with a damaged answer pending.

    A damaged unit is written anew as `units` have it; one that they do not name and no reply belongs to is deleted.
    The indexes are built anew where they differ. What is left damaged, a later check finds again.
    """
    if checkup.among("index"):
        db.execute("REINDEX")
    for part, query in _DELETE:
        db.executemany(query, [(each.place,) for each in checkup.among(part)])
    db.executemany(_REOPEN, [(each.place,) for each in checkup.among("outcome")])
    known = {unit.id: unit for unit in units}
    for each in checkup.among("unit"):
        if (unit := known.get(each.unit or "")) is not None:
            values = unit.model_dump(include=set(_DEFINITION)) | {"unit": as_json(unit), "number": each.place}
            db.execute(_REDEFINE, values)
        else:
            db.execute(_FORGET, (each.place,))


_DELETE: tuple[tuple[Part, str], ...] = (
    ("call", "DELETE FROM calls WHERE number = ?"),
    ("error", "DELETE FROM errors WHERE number = ?"),
    ("batch_call", "DELETE FROM batch_calls WHERE number = ?"),
    ("batch", "DELETE FROM batch_calls WHERE batch = ?"),
    ("batch", "DELETE FROM batches WHERE number = ?"),
    ("score", "DELETE FROM measures WHERE rowid = ?"),
    ("scoring", "DELETE FROM measures WHERE scoring = (SELECT key FROM scorings WHERE number = ?)"),
    ("scoring", "DELETE FROM scorings WHERE number = ?"),
    ("outcome", "DELETE FROM measures WHERE unit = (SELECT id FROM units WHERE number = ?)"),
)
_REOPEN = f"""UPDATE units SET state = 'pending', answer = NULL,
    outcome_checksum = {digest(("id", "'pending'", "NULL"))} WHERE number = ?"""  # noqa: S608
_REDEFINE = f"""UPDATE units SET {", ".join(f"{each} = :{each}" for each in _DEFINITION)},
    unit_checksum = {digest(f":{each}" for each in _DEFINITION)} WHERE number = :number"""  # noqa: S608
_FORGET = """DELETE FROM units WHERE number = ?
    AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.unit = units.id)
    AND NOT EXISTS (SELECT 1 FROM errors WHERE errors.unit = units.id)
    AND NOT EXISTS (SELECT 1 FROM measures WHERE measures.unit = units.id)"""
