"""The answers of one condition as numbers for statistics: a few hundred bytes an answer however long its text."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from multiplex.bench.analysis.model import AttributionAccuracy
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Record, Score
from multiplex.council.answer import Answer
from multiplex.evaluation import Measures, Retention
from multiplex.evaluation.depth.figures import FIGURES
from multiplex.evaluation.extraction.references import pairs
from multiplex.evaluation.retention.attribution import Attribution
from multiplex.evaluation.statistics import diversity, row_sums
from multiplex.evaluation.statistics.summary import TONES, WEIGHTINGS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

COUNCIL = ("coverage", "net", "evenness", "extractiveness", "homogeneity")
COST = ("words", "seconds", "calls", "input_tokens", "output_tokens")


@cache
def figure_names(frame: tuple[str, ...]) -> tuple[str, ...]:
    """The figures of an answer besides its counts, in the order of `Observations.figures`."""
    measured = ("unprompted", "outside", "headline", "excluded", "berger_parker", "per_100_words", "spread")
    tones = (*(f"tone {tone}" for tone in TONES), *(f"label {tone}" for tone in TONES))
    stances = (f"stance {name} {tone}" for name in frame for tone in TONES)
    return (*measured, *FIGURES, *tones, *stances, *COST, *COUNCIL)


@dataclass
class Observations:
    """What one model's units under one strategy came to, gathered record by record.

    Attributes:
        frame: of its measures; empty until there is one.
        units: all of them, those without a measured answer too.
        language: of the questions, as in `Unit`.
        ids, questions: of the measured answers, in order of arrival.
        measured: their ids by question and epoch.
        partial: ids of those whose language is read for names and not for concepts: their counts are of names alone.
        counts: by weighting, K counts an answer, one answer after another.
        figures: those of `figure_names`, one answer after another; NaN where the answer has no such figure.
        asked: by question, its domain and whether it is cued.
        reported: measured answers whose endpoint said how many tokens they took.
        councils: measured answers that were held against their voices; `by_construction` of them are mostly copies.
        attributions: of the voices and of their parts: texts, right, relative right, and texts times chance.
    """

    model: str
    strategy: str
    language: str = ""
    frame: tuple[str, ...] = ()
    units: int = 0
    wordless: int = 0
    unread: dict[str, Counter[str]] = field(default_factory=dict)
    unscored: int = 0
    pending: int = 0
    short: int = 0
    reported: int = 0
    councils: int = 0
    by_construction: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    measured: dict[tuple[str, int], str] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    questions: list[str] = field(default_factory=list)
    asked: dict[str, tuple[str, bool | None]] = field(default_factory=dict)
    counts: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in WEIGHTINGS})
    figures: array[float] = field(default_factory=lambda: array("d"))
    kind: str = ""
    attributions: dict[str, list[float]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take in one unit."""
        self.units += 1
        if record.answer is not None:
            self.short += bool(record.answer.lost)
            self.lost.update(record.answer.lost)
            if record.score is None:
                self.unscored += 1
            elif record.score.unread is not None:
                self._note(record.score.unread, ("names",))
            elif record.score.measures is None:
                self.wordless += 1
            else:
                self._note(record.score.measures.language, record.score.measures.unread)
                self._measured(record.unit, record.answer, record.score, record.score.measures)
        elif record.failure is not None:
            self.failures[record.failure.kind] += 1
        else:
            self.pending += 1

    def table(self, only: Iterable[str] | None = None) -> QuestionTable | None:
        """The measured answers, or those of the unit ids in `only`, by question; None where there is none."""
        import numpy as np

        wanted = set(self.ids if only is None else only)
        places = [place for place, name in enumerate(self.ids) if name in wanted]
        if not places:
            return None
        questions = [self.questions[place] for place in places]
        rows = {
            name: row_sums.average_epochs(questions, row_sums.answer_rows(_rows(counts, len(self.frame))[places]))[1]
            for name, counts in self.counts.items()
        }
        names = figure_names(self.frame)
        figures = _rows(self.figures, len(names))[places]
        known = ~np.isnan(figures)
        filled = np.where(known, figures, 0.0)
        entropy, has = filled[:, 0], known[:, 0].astype(float)
        ones = np.ones(len(places))
        rows["unprompted"] = row_sums.average_epochs(questions, np.column_stack([entropy, has, entropy, ones]))[1]
        order, averaged = row_sums.average_epochs(
            questions, np.column_stack([filled, known, np.zeros((len(places), 3)), ones])
        )
        values, parts = averaged[:, : len(names)], averaged[:, len(names) : 2 * len(names)]
        values = np.divide(values, parts, out=np.zeros_like(values), where=parts > 0)
        answers = Counter(questions)
        return QuestionTable(
            frame=self.frame,
            questions=order,
            domains=tuple(self.asked[name][0] for name in order),
            cued=tuple(self.asked[name][1] for name in order),
            answers=tuple(answers[name] for name in order),
            rows=rows,
            figures=np.column_stack([values, parts > 0]),
        )

    def totals(self) -> dict[str, int]:
        """References by perspective, all measured answers together."""
        sums = _rows(self.counts["reference"], len(self.frame)).sum(axis=0)
        return {name: int(value) for name, value in zip(self.frame, sums, strict=True)}

    def _note(self, language: str, why_not: Iterable[str]) -> None:
        """Count what the language of an answer is not read for."""
        for what in why_not:
            self.unread.setdefault(what, Counter())[language] += 1

    def _measured(self, unit: Unit, answer: Answer, score: Score, measures: Measures) -> None:
        self.frame = measures.frame
        self.ids.append(unit.id)
        self.measured[unit.question_id, unit.epoch] = unit.id
        if "concepts" in measures.unread:
            self.partial.add(unit.id)
        self.questions.append(unit.question_id)
        self.asked.setdefault(unit.question_id, (unit.domain, unit.cued))
        counts: dict[str, Mapping[str, float]] = {
            "reference": measures.counts,
            "presence": diversity.by_presence(measures.counts),
            "words": measures.counts_by_words,
        }
        for weighting, row in counts.items():
            self.counts[weighting].extend([float(row[name]) for name in self.frame])
        figures = _figures(measures) | _cost(answer, measures)
        if score.retention is not None:
            figures |= self._council(score.retention)
        self.reported += None not in (answer.usage.input_tokens, answer.usage.output_tokens)
        self.figures.extend([_number(figures.get(name)) for name in figure_names(self.frame)])

    def _council(self, retention: Retention) -> dict[str, float | None]:
        coverage = retention.coverage
        self.councils += 1
        self.kind = coverage.kind
        self.by_construction += coverage.by_construction
        for name, attribution in (("voices", retention.voice_attribution), ("parts", retention.part_attribution)):
            if attribution is not None and attribution.n > 1:  # version 0.1.0 kept that of a single part too
                self._add_attribution(name, attribution)
        return {
            "coverage": coverage.mean, "net": coverage.mean_net, "evenness": coverage.evenness,
            "extractiveness": coverage.extractiveness, "homogeneity": retention.homogeneity,
        }  # fmt: skip

    def _add_attribution(self, name: str, new: Attribution) -> None:
        so_far = self.attributions.get(name, [0.0] * 4)
        added = (new.n, new.right, new.relative_right, new.n * new.chance)
        self.attributions[name] = [a + b for a, b in zip(so_far, added, strict=True)]

    def attribution_accuracy(self, name: str) -> AttributionAccuracy | None:
        """Blind attribution of the `voices` or the `parts`, all answers together; None where it was never made."""
        if name not in self.attributions:
            return None
        texts, right, relative, chances = self.attributions[name]
        return AttributionAccuracy(
            texts=int(texts), right=int(right), relative_right=int(relative), chance=chances / texts
        )


@dataclass(frozen=True)
class QuestionTable:
    """One condition by question, its epochs averaged; n questions in every array.

    Attributes:
        domains, cued, answers: of each question: where it belongs, and how many answers its row averages.
        rows: by weighting as `row_sums.answer_rows`, shape (n, K + 4); `unprompted` holds no counts, (n, 4).
        figures: shape (n, 2 F): the F figures of `figure_names`, 0 where absent, and whether the question has each.
    """

    frame: tuple[str, ...]
    questions: tuple[str, ...]
    domains: tuple[str, ...]
    cued: tuple[bool | None, ...]
    answers: tuple[int, ...]
    rows: Mapping[str, Array]
    figures: Array

    def __len__(self) -> int:
        return len(self.questions)

    def at(self, places: Sequence[int]) -> QuestionTable:
        """The questions at these places, in this order."""
        chosen = list(places)
        return QuestionTable(
            frame=self.frame,
            questions=tuple(self.questions[place] for place in chosen),
            domains=tuple(self.domains[place] for place in chosen),
            cued=tuple(self.cued[place] for place in chosen),
            answers=tuple(self.answers[place] for place in chosen),
            rows={name: rows[chosen] for name, rows in self.rows.items()},
            figures=self.figures[chosen],
        )


def paired(a: QuestionTable, b: QuestionTable) -> tuple[QuestionTable, QuestionTable]:
    """Both on the questions that both have, in the order of `a`."""
    place = {name: number for number, name in enumerate(b.questions)}
    mine = [number for number, name in enumerate(a.questions) if name in place]
    return a.at(mine), b.at([place[a.questions[number]] for number in mine])


def _figures(measures: Measures) -> dict[str, float | None]:
    headline = len(pairs(measures.references, measures.cues))
    found: dict[str, float | None] = {
        "unprompted": measures.entropy_unprompted, "outside": headline - measures.n, "headline": headline,
        "excluded": measures.excluded, "berger_parker": measures.berger_parker, "per_100_words": measures.per_100_words,
        "spread": measures.expected_perspectives,
    }  # fmt: skip
    if measures.depth is not None:
        found |= measures.depth.scalars()
    if measures.sentiment is not None:
        tones = measures.sentiment.model_dump()
        likeliest = max(TONES, key=tones.__getitem__)
        found |= {f"tone {tone}": tones[tone] for tone in TONES}
        found |= {f"label {tone}": float(tone == likeliest) for tone in TONES}
    for name, stance in measures.stance.items():
        found |= {f"stance {name} {tone}": value for tone, value in stance.model_dump().items()}
    return found


def _cost(answer: Answer, measures: Measures) -> dict[str, float | None]:
    return {
        "words": measures.words, "seconds": answer.seconds, "calls": answer.usage.calls,
        "input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens,
    }  # fmt: skip


def _rows(numbers: array[float], width: int) -> Array:
    import numpy as np

    return np.array(numbers, dtype=np.float64).reshape(-1, width)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
