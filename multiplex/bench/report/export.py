"""A run as a table (CSV) or as its full records (JSON Lines), written unit by unit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol, TextIO

from multiplex.bench.store.records import Record
from multiplex.content import open_draft
from multiplex.evaluation import FRAME, Measures
from multiplex.evaluation.depth.figures import FIGURES
from multiplex.text.terminal import escape_json

Kind = Literal["csv", "jsonl"]
Cell = str | int | float | None

FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula."""


FORMER_COLUMNS = {former: name for name, former in Measures.former_names.items()}
"""Columns that repeat others under their names of version 0.1.0."""


class Records(Protocol):
    """Anything that streams the records of a run, such as `Store`."""

    def records(self, scoring: str | None = None) -> Iterator[Record]: ...


def export(store: Records, path: Path, kind: Kind, scoring: str | None = None) -> int:
    """Write every unit of a run to a file, whole or not at all; returns how many there were.

    `csv`: one row a unit with its text and figures; a figure that does not exist is an empty cell. `jsonl`: one
    object a unit with everything that is known of it. `scoring` as in `Store.records`.

    Raises:
        MultiplexError: the disk refuses.
    """
    written = 0
    with open_draft(path) as out:
        table = CsvTable(out, _frame(store, scoring)) if kind == "csv" else None
        for written, record in enumerate(store.records(scoring), start=1):  # noqa: B007  # the last is returned
            if table is not None:
                table.add(record)
            else:
                out.write(as_line(record))
    return written


def as_line(record: Record) -> str:
    """Everything that is known of a unit as a line of JSON."""
    try:
        return escape_json(record.model_dump_json()) + "\n"
    except ValueError:  # half a character in a model's text has no UTF-8
        return escape_json(json.dumps(record.model_dump(mode="python"), ensure_ascii=False)) + "\n"


class CsvTable:
    """The CSV table, unit by unit; the head is written at once."""

    def __init__(self, out: TextIO, frame: tuple[str, ...]) -> None:
        self._table, self._frame = csv.writer(out), frame
        of_frame = [f"{what}_{name}" for name in frame for what in ("references", "share")]
        self._table.writerow([*_HEAD, *of_frame])

    def add(self, record: Record) -> None:
        """One unit."""
        self._table.writerow([harmless(cell) for cell in _row(record, self._frame)])


def _frame(store: Records, scoring: str | None) -> tuple[str, ...]:
    """The frame of the scoring, the same in all its measures; the default where nothing was measured."""
    for record in store.records(scoring):
        if record.score and record.score.measures:
            return record.score.measures.frame
    return FRAME


_HEAD = (
    "unit", "question_id", "domain", "cued", "question", "language", "model", "strategy", "epoch", "state", "error",
    "lost", "notes", "text", "words", "references", "entropy", "entropy_unprompted", "hill_number", "excluded",
    "berger_parker", "depth", "label_share", "specific", "plurality", "plural", "disagreement", "balance",
    "generalised", "out_of_frame", "expected_perspectives", "per_100_words", "positive", "neutral", "negative",
    "coverage", "homogeneity", "calls", "input_tokens", "output_tokens", "seconds", "score_note", *FORMER_COLUMNS,
)  # fmt: skip


def _row(record: Record, frame: tuple[str, ...]) -> list[Cell]:
    unit, answer, failure, score = record.unit, record.answer, record.failure, record.score
    state = "done" if answer else "failed" if failure else "pending"
    cued = None if unit.cued is None else str(unit.cued).lower()
    cells: list[Cell] = [unit.id, unit.question_id, unit.domain, cued, unit.question, unit.language or None]
    cells += [unit.model, unit.strategy, unit.epoch, state]
    cells.append(f"{failure.kind}: {failure.message}" if failure and not answer else None)
    cells += [" ".join(answer.lost), "; ".join(answer.notes), answer.text] if answer else [None] * 3
    cells += _figures(score.measures if score else None)
    cells += [score.retention.coverage.mean, score.retention.homogeneity] if score and score.retention else [None] * 2
    if answer:
        cells += [answer.usage.calls, answer.usage.input_tokens, answer.usage.output_tokens, round(answer.seconds, 3)]
    else:
        cells += [None] * 4
    cells.append(score.note if score else None)
    of = score.measures if score else None
    cells += [getattr(of, name) if of else None for name in FORMER_COLUMNS.values()]
    for name in frame:
        cells += [of.counts[name], of.shares[name] if of.n else None] if of else [None, None]
    return cells


def _figures(of: Measures | None) -> list[Cell]:
    if of is None:
        return [None] * (13 + len(FIGURES))
    cells: list[Cell] = [
        of.words,
        of.n,
        of.entropy,
        of.entropy_unprompted,
        of.hill_number,
        of.excluded,
        of.berger_parker,
    ]
    cells += of.depth.scalars().values() if of.depth else [None] * len(FIGURES)
    cells += [of.out_of_frame, of.expected_perspectives, of.per_100_words]
    tone = of.sentiment
    return cells + ([tone.positive, tone.neutral, tone.negative] if tone else [None] * 3)


def harmless(cell: Cell) -> Cell:
    """The cell, behind an apostrophe where it is a text that a spreadsheet would run; numbers stay numbers."""
    if isinstance(cell, str) and (cell[:1] in FORMULA or _from_visible(cell)[:1] in FORMULA):
        return "'" + cell
    return cell


def _from_visible(text: str) -> str:
    """The text from its first visible sign on: spreadsheets skip white space, control and zero-width signs."""
    start = next((at for at, sign in enumerate(text) if sign.isprintable() and not sign.isspace()), len(text))
    return text[start:]
