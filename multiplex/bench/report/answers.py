"""The units of a report as HTML: every question with its answers side by side. All foreign text is escaped."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from types import TracebackType
from typing import BinaryIO, TextIO

from multiplex.bench.plan.units import STRATEGIES, Unit
from multiplex.bench.report.tables import plain
from multiplex.bench.store.records import Record
from multiplex.council.answer import Answer, Voice
from multiplex.evaluation import Entity, Measures
from multiplex.present.depth import shown
from multiplex.present.highlight import clean, marked
from multiplex.present.numbers import number

"""What HTML does not allow in a text."""


@dataclass
class _Asked:
    """One question and where its answers lie in the draft: (places of model and strategy, epoch), offset, length."""

    unit: Unit
    answers: list[tuple[tuple[int, int, int], int, int]] = field(default_factory=list)


class Units:
    """Takes the units in any order into a draft on disk and writes them question by question.

    Memory grows by a line a unit. A context manager, which gives the disk space back.
    """

    def __init__(self, entities: Mapping[str, Entity]) -> None:
        self._entities = entities
        self._asked: dict[tuple[str, str], _Asked] = {}
        self._models: dict[str, int] = {}
        self._draft: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `__exit__`
        self._end = 0

    def __enter__(self) -> Units:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draft.close()

    def add(self, record: Record) -> None:
        """One unit."""
        unit = record.unit
        html = clean(article(record, self._entities)).encode("utf-8", "backslashreplace")
        self._draft.write(html)
        asked = self._asked.setdefault((unit.question_id, unit.question), _Asked(unit))
        key = (self._models.setdefault(unit.model, len(self._models)), STRATEGIES.index(unit.strategy), unit.epoch)
        asked.answers.append((key, self._end, len(html)))
        self._end += len(html)

    def write(self, out: TextIO) -> None:
        """Every question by domain, in the order in which they came; the first one open."""
        domains = list(dict.fromkeys(asked.unit.domain for asked in self._asked.values()))
        first = True
        for domain in domains:
            if any(domains):
                out.write(f"<h3>{escape(clean(domain)) or 'No domain'}</h3>\n")
            for asked in self._asked.values():
                if asked.unit.domain == domain:
                    self._question(asked, out, is_open=first)
                    first = False

    def _question(self, asked: _Asked, out: TextIO, *, is_open: bool) -> None:
        unit, answers = asked.unit, sorted(asked.answers)
        present = {key[0] for key, _, _ in answers}
        cued = "" if unit.cued is None else f", {'names a culture' if unit.cued else 'names no culture'}"
        language = f" in {unit.language}" if unit.language else ""
        in_it = f' lang="{escape(unit.language)}"' if unit.language else ""
        out.write(
            f'<details class="question"{" open" if is_open else ""}><summary><span dir="auto"{in_it}>'
            f'{escape(clean(unit.question))}</span> <span class="about">{escape(clean(unit.question_id))}'
            f"{escape(language)}{cued}, "
            f"{len(answers)} {'answer' if len(answers) == 1 else 'answers'}</span></summary>\n"
        )
        for model, place in self._models.items():
            if place not in present:
                continue
            if len(present) > 1:
                out.write(f"<h4>{escape(clean(model))}</h4>\n")
            out.write('<div class="answers">\n')
            for key, start, length in answers:
                if key[0] == place:
                    self._draft.seek(start)
                    out.write(self._draft.read(length).decode("utf-8"))
            out.write("</div>\n")
        out.write("</details>\n")


def article(record: Record, entities: Mapping[str, Entity]) -> str:
    """One unit: its figures, its answer with coloured references, its voices folded; or why there is none."""
    unit, answer = record.unit, record.answer
    epoch = f", epoch {unit.epoch}" if unit.epoch > 1 else ""
    head = f'<article id="u-{escape(unit.id)}">\n<h5>{unit.strategy}{epoch}</h5>\n'
    if answer is None:
        return head + _missing(record) + "</article>\n"
    measures = record.score.measures if record.score else None
    parts = [head, f'<p class="about">{_figures(measures)}; {_cost(answer)}</p>\n']
    if record.score is None:
        parts.append('<p class="warning">Not measured yet.</p>\n')
    elif record.score.note:
        parts.append(f'<p class="warning" dir="auto">{escape(record.score.note)}</p>\n')
    parts += [f'<p class="warning" dir="auto">{escape(line)}</p>\n' for line in _notes(answer)]
    references = measures.references if measures else ()
    parts.append(
        f'<div class="text" dir="auto">{marked(answer.text, references, answer.scaffold, entities)}</div>\n'
        if answer.text.strip()
        else '<p class="warning">The answer is empty.</p>\n'
    )
    if answer.voices:
        parts.append(_voices(record, answer))
    return "".join(parts) + "</article>\n"


def _missing(record: Record) -> str:
    failure = record.failure
    if failure is None:
        return '<p class="warning">Pending: not answered yet.</p>\n'
    return (
        f'<p class="warning"><strong>No answer: {escape(plain(failure.kind))}.</strong> '
        f'<span dir="auto">{escape(failure.message)}</span></p>\n'
    )


def _notes(answer: Answer) -> Iterable[str]:
    """Lost voices with their errors, then what else the answer says of itself."""
    told = set()
    for voice in answer.voices:
        if voice.error is not None:
            told.add(f"{voice.perspective}: {voice.error}")
            yield f"Lost voice, {plain(voice.perspective)}: {voice.error}"
    for name in answer.lost:
        if all(voice.perspective != name for voice in answer.voices):
            yield f"Lost voice, {plain(name)}"
    yield from (note for note in answer.notes if note not in told)


def _figures(of: Measures | None) -> str:
    if of is None:
        return "no figures"
    if not of.n:
        return f"no reference, so no entropy; {of.words:,} words"
    shares = sorted(((value, name) for name, value in of.shares.items() if value), reverse=True)
    listed = ", ".join(f"{plain(name)} {value:.0%}" for value, name in shares)
    tone = of.sentiment
    toned = f"; tone + {tone.positive:.2f} 0 {tone.neutral:.2f} − {tone.negative:.2f}" if tone else ""
    many = "reference" if of.n == 1 else "references"
    entropy = f"<strong>entropy {number(of.entropy, '.0f', '%')}</strong>"
    entropy += f", <strong>depth {shown(of.depth, 'depth')}</strong>"
    return f"{entropy}, {of.n} {many} ({listed}); {of.words:,} words{toned}"


def _cost(answer: Answer) -> str:
    usage = answer.usage
    calls = f"{usage.calls} {'call' if usage.calls == 1 else 'calls'}, {answer.seconds:.1f} s"
    return calls if usage.output_tokens is None else f"{calls}, {usage.output_tokens:,} tokens out"


def _voices(record: Record, answer: Answer) -> str:
    spoke = sum(voice.error is None for voice in answer.voices)
    total = f"{spoke} voices" if spoke == len(answer.voices) else f"{spoke} of {len(answer.voices)} voices"
    out = io.StringIO()
    out.write(f"<details><summary>{total}</summary>\n")
    for voice in answer.voices:
        counts = record.score.voices.get(voice.perspective) if record.score else None
        out.write(_voice(voice, counts))
    out.write("</details>\n")
    return out.getvalue()


def _voice(voice: Voice, counts: Mapping[str, int] | None) -> str:
    head = f"<h6>{escape(voice.title)}</h6>\n"
    if voice.error is not None:
        return f'{head}<p class="warning" dir="auto">Lost: {escape(voice.error)}</p>\n'
    found = {name: count for name, count in (counts or {}).items() if count}
    refers = ", ".join(f"{plain(name)} {count}" for name, count in found.items())
    told = "" if counts is None else f'<p class="about">refers to: {refers or "none"}</p>\n'
    note = f'<p class="warning" dir="auto">{escape(voice.note)}</p>\n' if voice.note else ""
    return f'{head}{told}{note}<div class="text" dir="auto">{escape(voice.text)}</div>\n'
