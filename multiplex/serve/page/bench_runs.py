"""Benchmark runs as the page shows them: which there are, their units a page at a time, and any unit whole.

Everything here reads a folder of runs and blocks meanwhile. A name that came over the wire is only ever compared with
the names that are there; it never becomes part of a path by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from multiplex.answering import Measured
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Record, Score
from multiplex.bench.store.schema import DATABASE
from multiplex.bench.store.store import Store
from multiplex.content import storable
from multiplex.council.answer import Answer
from multiplex.council.personas import built_in
from multiplex.errors import MultiplexError
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.llm.usage import total
from multiplex.serve.openai.schema import ApiError
from multiplex.serve.page.views import answer_view, voice_view

REPORT = "report.html"
MOST = 50  # units of a page, unless another number is asked for


def listed(folder: Path) -> dict[str, Any]:
    """The runs of a folder by name, and a line for each that cannot be read.

    Tokens are of all replies, and None where an endpoint did not report those of every call. `changed` is UTC,
    ISO 8601.

    Raises:
        ApiError: 404, there is no such folder.
    """
    runs, unread = [], []
    there, strangers = _found(folder)
    for name, run in there.items():
        try:
            runs.append({"name": name, **_row(run), "report": _has_report(run, folder)})
        except MultiplexError as error:
            unread.append(_told(error, folder))
    return {"runs": runs, "unread": [*unread, *strangers]}


def report(folder: Path, name: str) -> Path:
    """The report of a run.

    Raises:
        ApiError: 404, there is no such run, or no report of it yet.
    """
    run = _run(folder, name)
    if not _has_report(run, folder):
        raise ApiError(404, f"no report yet: `multiplex bench report {quote(name)}` writes it", code="report_not_found")
    return run / REPORT


def units(
    folder: Path,
    name: str,
    *,
    text: str = "",
    model: str = "",
    strategy: str = "",
    state: str = "",
    after: int = 0,
    most: int = MOST,
) -> dict[str, Any]:
    """The units of a run that fit what is asked for, in order: at most `most` of those after place `after`.

    `text` stands in the question, in capitals or not, or begins the id. `total` counts all that fit; `next` is what
    `after` must be for those that follow, None where none does. Answers and scores are read for the units shown only.

    Raises:
        ApiError: 404, there is no such run; 500, it cannot be read.
    """
    with _store(folder, name) as store:
        states = store.states()
        rows = [_Row(place, unit, states.get(unit.id, "pending")) for place, unit in enumerate(store.units(), 1)]
        fitting = [row for row in rows if row.fits(text.casefold().strip(), model, strategy, state)]
        left = [row for row in fitting if row.place > after]
        shown = left[:most]
        return {
            "units": [_summary(store, row, folder) for row in shown],
            "next": shown[-1].place if len(left) > len(shown) else None,
            "models": list(dict.fromkeys(row.unit.model for row in rows)),
            "strategies": list(dict.fromkeys(row.unit.strategy for row in rows)),
            "total": len(fitting),
        }


def unit(folder: Path, name: str, unit_id: str) -> dict[str, Any]:
    """One unit with its answer, its voices, everything that failed, and why something could not be measured.

    Raises:
        ApiError: 404, there is no such run or unit; 500, it cannot be read.
    """
    with _store(folder, name) as store:
        states = store.states()
        record = store.record(unit_id) if unit_id in states else None
        if record is None:
            raise ApiError(404, f"no unit {unit_id!r} in run {name!r}", code="unit_not_found")
        answer, score = record.answer, record.score
        return {
            "unit": {"state": states[unit_id], **record.unit.model_dump()},
            "answer": _answer(answer, score) if answer else None,
            "voices": _voices(answer) if answer else [],
            "failures": [f"{at}: {failure.kind}: {failure.message}" for at, failure in store.failures(unit_id)],
            "note": _note(record, name),
        }


@dataclass(frozen=True)
class _Row:
    """A unit and where it stands; `place` counts from 1."""

    place: int
    unit: Unit
    state: str

    def fits(self, text: str, model: str, strategy: str, state: str) -> bool:
        unit = self.unit
        return (
            model in ("", unit.model)
            and strategy in ("", unit.strategy)
            and state in ("", self.state)
            and (text in unit.question.casefold() or unit.id.startswith(text))
        )


def _row(run: Path) -> dict[str, Any]:
    with Store.read(run) as store:
        of, spent = store.overview(), total(store.spent().values())
    given, made = spent.input_tokens, spent.output_tokens
    return {
        "questions": of.questions,
        "models": list(of.models),
        "strategies": list(of.strategies),
        "done": of.done,
        "failed": of.failed,
        "pending": of.pending,
        "tokens": None if given is None or made is None else given + made,
        "changed": of.changed,
    }


def _summary(store: Store, row: _Row, folder: Path) -> dict[str, Any]:
    """A line of the list; where a unit's record is damaged, `unread` says so and the others are still shown."""
    unread, measures = None, None
    try:
        record = store.record(row.unit.id)
        measures = record.score.measures if record and record.score else None
    except MultiplexError as error:
        unread = _told(error, folder)
    return {
        **row.unit.model_dump(include={"id", "question", "domain", "model", "strategy", "epoch"}),
        "state": row.state,
        "entropy": measures.entropy if measures else None,
        "depth": measures.depth.index if measures and measures.depth else None,
        "references": measures.n if measures else None,
        "unread": unread,
    }


def _answer(answer: Answer, score: Score | None) -> dict[str, Any]:
    measured = Measured(
        answer=answer, measures=score.measures if score else None, retention=score.retention if score else None
    )
    return answer_view(measured, shipped_gazetteer().entities)


def _voices(answer: Answer) -> list[dict[str, Any]]:
    """Every voice of every round; its persona's sources where the persona is still the one that spoke."""
    personas = {persona.digest: persona for persona in built_in()}
    return [voice_view(voice, personas.get(voice.digest)) for voice in answer.rounds or answer.voices]


def _note(record: Record, name: str) -> str | None:
    """What a reader must know where something is missing."""
    if record.answer is None:
        return None if record.failure else "Pending: not answered yet."
    if record.unit.closed is not None:
        return None
    if record.score is None:
        return f"Not measured yet: `multiplex bench score {quote(name)}` does it."
    return record.score.note


@contextmanager
def _store(folder: Path, name: str) -> Iterator[Store]:
    """The store of a run, its errors told as they are over the wire."""
    run = _run(folder, name)
    try:
        with Store.read(run) as store:
            yield store
    except MultiplexError as error:
        raise ApiError(500, _told(error, folder), kind="server_error", code="run_unread") from error


def _run(folder: Path, name: str) -> Path:
    found, _ = _found(folder)
    if name not in found:
        raise ApiError(404, f"no run {name!r} here; the list of runs shows what is there", code="run_not_found")
    return found[name]


def _found(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The runs of a folder by name, and a line for each that is left alone."""
    if not folder.is_dir():
        raise ApiError(404, "the folder of runs is not there; `multiplex bench run` makes it", code="run_not_found")
    found, strangers = {}, []
    for path in sorted(folder.glob(f"*/{DATABASE}")):
        name = path.parent.name
        if not _inside(path, folder):
            strangers.append(f"{storable(name)}: a link that leads out of the folder of runs; copy the run itself here")
        elif storable(name) != name:
            strangers.append(f"{storable(name)}: the folder's name is not UTF-8; rename it")
        else:
            found[name] = path.parent
    return found, strangers


def _has_report(run: Path, folder: Path) -> bool:
    return (run / REPORT).is_file() and _inside(run / REPORT, folder)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _told(error: MultiplexError, folder: Path) -> str:
    """The error without where the folder lies on this machine."""
    return storable(str(error).replace(f"{folder}/", ""))
