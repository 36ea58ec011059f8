"""Finds what is damaged in a run: every record against its checksum, and the database against its own structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from multiplex.bench.plan.units import Unit
from multiplex.bench.store.checksums import matches
from multiplex.bench.store.json_text import parsed
from multiplex.bench.store.reader import PAGE, Reader, Row
from multiplex.bench.store.records import Score
from multiplex.council.answer import Answer
from multiplex.errors import MultiplexError, UsageError

Part = Literal["structure", "index", "meta", "unit", "outcome", "call", "error", "scoring", "score",
               "batch", "batch_call"]  # fmt: skip
MOST = 10  # damaged records named where there is no list of them all


@dataclass(frozen=True)
class Damage:
    """One damaged record.

    Attributes:
        what: names it, and why it counts as damaged, in one line.
        part: of what kind it is: `structure` is the file's and `index` can be built anew, the others are records.
        place: the number of its row; 0 where it is no record.
        unit: the id of its unit, as it stands there; None where it has none.
    """

    what: str
    part: Part
    place: int = 0
    unit: str | None = None


@dataclass(frozen=True)
class Checkup:
    """What a check of a whole run found.

    Attributes:
        records: how many were checked, each answer and each failure apart from its unit.
        unsummed: those of them without a checksum, of which only the form could be checked.
    """

    records: int
    unsummed: int
    damaged: tuple[Damage, ...]

    def among(self, *parts: Part) -> tuple[Damage, ...]:
        """What is damaged, of these kinds."""
        return tuple(each for each in self.damaged if each.part in parts)

    def summary(self) -> str:
        """What is damaged in one line, the first few by name; empty where nothing is."""
        if not self.damaged:
            return ""
        more = len(self.damaged) - MOST
        named = "; ".join(each.what for each in self.damaged[:MOST])
        return f"{len(self.damaged):,} damaged: {named}" + (f"; and {more:,} more" if more > 0 else "")


@dataclass(frozen=True)
class _Kind:
    """One checksum of a table: how its rows are named, and the model and the column that stand in them as JSON."""

    table: str
    column: str
    part: Part
    place: str
    names: str
    saying: str
    unit: bool = True  # whether the first name is the id of a unit
    model: type[BaseModel] | None = None
    json: str = ""


_KINDS = (
    _Kind("meta", "checksum", "meta", "rowid", "key", "the {} of the run", unit=False),
    _Kind("units", "unit_checksum", "unit", "number", "id", "unit {}: its question, model, strategy or epoch",
          model=Unit, json="unit"),
    _Kind("units", "outcome_checksum", "outcome", "number", "id", "unit {}: its answer", model=Answer, json="answer"),
    _Kind("calls", "checksum", "call", "number", "unit, number", "unit {}: call {}"),
    _Kind("errors", "checksum", "error", "number", "unit, number", "unit {}: failure {}"),
    _Kind("scorings", "checksum", "scoring", "number", "key", "scoring {}: its description", unit=False),
    _Kind("measures", "checksum", "score", "rowid", "unit, scoring", "unit {}: its score by scoring {}",
          model=Score, json="score"),
    _Kind("batches", "checksum", "batch", "number", "number", "batch {}", unit=False),
    _Kind("batch_calls", "checksum", "batch_call", "number", "unit, number", "unit {}: call {} of a batch"),
)  # fmt: skip
# What building the indexes anew mends, or what the checksum of a row names by itself.
_MENDABLE = re.compile(r"row \d+ missing from index|wrong # of entries in index|non-unique entry|NULL value in ")


def check(reader: Reader, path: Path) -> Checkup:
    """Check every record and the structure of the file, which is read whole.

    Raises:
        MultiplexError: the file cannot be read at all.
    """
    damaged, records, unsummed = list(_structure(reader)), 0, 0
    for kind in _KINDS:
        try:
            count, summed = reader.rows(f"SELECT count(*), count({kind.column}) FROM {kind.table}")[0]  # noqa: S608
            records, unsummed = records + count, unsummed + count - summed
            damaged += _differing(reader, kind)
            if summed < count and kind.model is not None:
                damaged += _misshapen(reader, kind, kind.model, path)
        except UsageError as error:  # a destroyed page: what stands behind it cannot be told
            damaged.append(Damage(f"table {kind.table}: {_reason(error, path)}", "structure"))
    return Checkup(records, unsummed, tuple(dict.fromkeys(damaged)))


def _structure(reader: Reader) -> Iterator[Damage]:
    try:
        lines = [str(line) for (line,) in reader.rows("PRAGMA integrity_check")]
    except MultiplexError as error:
        yield Damage(f"the database: {error}", "structure")
        return
    for line in lines:
        if line != "ok":
            mendable = _MENDABLE.match(line) is not None
            yield Damage(f"the database: {' '.join(line.split())}", "index" if mendable else "structure")


def _differing(reader: Reader, kind: _Kind) -> Iterator[Damage]:
    """The rows whose checksum is not that of their values."""
    columns = f"{kind.place}, {kind.names}"
    query = f"SELECT {columns} FROM {kind.table} WHERE ({matches(kind.table, kind.column)}) = 0"  # noqa: S608
    for row in reader.rows(query):
        yield _named(kind, row, "its checksum differs")


def _misshapen(reader: Reader, kind: _Kind, model: type[BaseModel], path: Path) -> Iterator[Damage]:
    """The rows without a checksum that hold no such model."""
    columns = f"{kind.place}, {kind.names}, {kind.json}"
    query = f"""SELECT {columns} FROM {kind.table} WHERE {kind.column} IS NULL AND {kind.json} IS NOT NULL
        AND {kind.place} > ? ORDER BY {kind.place} LIMIT ?"""  # noqa: S608
    after = -1
    while page := reader.rows(query, after, PAGE):
        for *row, text in page:
            try:
                parsed(model, text, path, "")
            except UsageError as error:
                yield _named(kind, tuple(row), _reason(error, path))
        after = page[-1][0]


def _named(kind: _Kind, row: Row, why: str) -> Damage:
    place, *names = row
    unit = _shown(names[0]) if kind.unit else None
    return Damage(f"{kind.saying.format(*map(_shown, names))} ({why})", kind.part, place, unit)


def _shown(name: Any) -> str:
    """An id as it stands there, on one line even where it is damaged."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in str(name))


def _reason(error: MultiplexError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").removeprefix(": ")
