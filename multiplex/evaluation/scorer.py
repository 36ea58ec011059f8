"""Measures a stream of texts with one extractor or two, a batch at a time in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING

from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation.corpus import Passage, Skipped
from multiplex.evaluation.evaluator import BATCH, Evaluator, Extracted, Prepared
from multiplex.evaluation.extraction.agreement import Agreement, Comparison, Difference
from multiplex.evaluation.extraction.gazetteer import Entity
from multiplex.evaluation.extraction.local import ExtractorName
from multiplex.evaluation.extraction.references import Reference
from multiplex.evaluation.languages.reading import Reading, UnreadError
from multiplex.evaluation.measures import Measures
from multiplex.llm.usage import Usage, spent_on, total

if TYPE_CHECKING:
    import numpy as np

    from multiplex.evaluation.extraction.judge import Judge, JudgeReport


MANY = 10  # texts of one batch that all fail: the judge's endpoint is gone


@dataclass(frozen=True, slots=True)
class Scored:
    """One text's measures.

    Attributes:
        judged: what the judge found, where it was asked besides the local extractor.
        discarded: how many of the judge's findings were not believed, by reason; None where no judge was asked.
        differences: where the two extractors differ.
    """

    passage: Passage
    measures: Measures
    judged: tuple[Reference, ...] | None = None
    discarded: dict[str, int] | None = None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """A text in a language that is not read: nothing of it is measured, and `reading` says why."""

    passage: Passage
    reading: Reading


class Scorer:
    """Measures texts through `evaluator`; with a judge, a context manager that closes its connections.

    `extractor` says whose references are counted: those of `local`, or of the `judge`; with `both` the local ones
    are, and the judge's stand beside them. `judges_tone` lets the judge read the tone.

    Raises:
        UsageError: a judge is needed and there is none.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        extractor: ExtractorName = "local",
        judge: Judge | None = None,
        *,
        judges_tone: bool = False,
    ) -> None:
        if judge is None and (extractor != "local" or judges_tone):
            raise UsageError("the judge needs a chat model; name one with --model")
        self._evaluator, self._extractor, self._judge, self._judges_tone = evaluator, extractor, judge, judges_tone
        self._comparison = Comparison(evaluator.frame, evaluator.cues) if extractor == "both" else None
        self._runner = asyncio.Runner()
        self._usage = Usage()
        self._has_judged = False
        self._gave_up: MultiplexError | None = None

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._judge is not None:
            self._runner.run(self._judge.aclose())
        self._runner.close()

    def score(self, rows: Iterable[Passage | Skipped]) -> Iterator[Scored | Skipped | Unread]:
        """The rows in order, measured; one that cannot be measured comes back as Skipped, or Unread for its language.

        Where the judge failed on a batch of many after it judged others, it is not asked again: the rest is lost.

        Raises:
            MultiplexError: no text of the first batch could be judged; the first reason is raised.
        """
        source = iter(rows)
        while batch := list(islice(source, BATCH)):
            outcomes: list[Prepared | Skipped | Unread] = [
                each if isinstance(each, Skipped) else self._prepared(each) for each in batch
            ]
            ready = [each for each in outcomes if isinstance(each, Prepared)]
            done = iter(self._batch(ready))
            for outcome in outcomes:
                yield next(done) if isinstance(outcome, Prepared) else outcome

    @property
    def entities(self) -> Mapping[str, Entity]:
        """What the local extractor knows, by id."""
        return self._evaluator.local.gazetteer.entities

    @property
    def usage(self) -> Usage | None:
        """What the judge's calls took so far, those that failed too; None where there is no judge."""
        return None if self._judge is None else self._usage

    def agreement(self) -> Agreement | None:
        """How far the two extractors agree over all texts so far; None where there was one."""
        return self._comparison.result() if self._comparison else None

    def _prepared(self, passage: Passage) -> Prepared | Skipped | Unread:
        try:
            return self._evaluator.prepared(passage, read_here=self._extractor != "judge")
        except UnreadError as error:
            return Unread(passage, error.reading)
        except UsageError as error:
            return Skipped(passage.line, str(error))

    def _batch(self, batch: Sequence[Prepared]) -> list[Scored | Skipped]:
        reports: list[JudgeReport | MultiplexError | None] = [None] * len(batch)
        tones: list[np.ndarray | MultiplexError] | None = None
        if self._gave_up is not None:
            return [
                Skipped(each.passage.line, f"not judged: the judge failed before ({self._gave_up})", lost=True)
                for each in batch
            ]
        if self._judge is not None and batch:
            reports, tones = self._runner.run(self._judged(self._judge, batch))
        lost = [_error(reports[k], tones[k] if tones else None) for k in range(len(batch))]
        errors = [error for error in lost if error is not None]
        if errors and len(errors) == len(batch):
            if not self._has_judged:
                raise errors[0]
            if len(errors) >= MANY:
                self._gave_up = errors[-1]
        self._has_judged = self._has_judged or len(errors) < len(batch)
        kept = [k for k, error in enumerate(lost) if error is None]
        extracted = self._extracted([batch[k] for k in kept], [reports[k] for k in kept])
        measures = iter(self._evaluator.measured(extracted, [tones[k] for k in kept] if tones else None))  # type: ignore[misc]
        found = iter(extracted)
        return [
            Skipped(each.passage.line, f"not judged: {error}", lost=True)
            if error is not None
            else self._scored(next(found), next(measures), report)
            for each, error, report in zip(batch, lost, reports, strict=True)
        ]

    def _extracted(
        self, batch: Sequence[Prepared], reports: Sequence[JudgeReport | MultiplexError | None]
    ) -> list[Extracted]:
        if self._extractor != "judge":
            return self._evaluator.extracted(batch)
        return [
            Extracted(each, self._evaluator.at_home(report.references))  # type: ignore[union-attr]
            for each, report in zip(batch, reports, strict=True)
        ]

    def _scored(self, extracted: Extracted, measures: Measures, report: JudgeReport | MultiplexError | None) -> Scored:
        passage = extracted.text.passage
        if report is None or isinstance(report, MultiplexError):
            return Scored(passage, measures)
        scored = Scored(passage, measures, discarded={str(reason): n for reason, n in report.discarded.items()})
        if self._comparison is None:
            return scored
        judged = self._evaluator.at_home(report.references)
        differences = self._comparison.add(passage.id, extracted.text.sentences, extracted.references, judged)
        return replace(scored, judged=judged, differences=differences)

    async def _judged(
        self, judge: Judge, batch: Sequence[Prepared]
    ) -> tuple[list[JudgeReport | MultiplexError | None], list[np.ndarray | MultiplexError] | None]:
        """The judge's references and tones of every text, those that were asked for, together."""

        def spend(usage: Usage) -> None:
            self._usage += usage

        async def references() -> list[JudgeReport | MultiplexError | None]:
            if self._extractor == "local":
                return [None] * len(batch)
            asked = [(each.sentences, each.passage.question) for each in batch]
            found = [report async for report in judge.afind_each(asked)]
            spend(total(spent_on(each) if isinstance(each, MultiplexError) else each.usage for each in found))
            return list(found)

        async def tone(each: Prepared) -> np.ndarray | MultiplexError:
            try:
                return await judge.tones([sentence.text for sentence in each.sentences], on_usage=spend)
            except MultiplexError as error:
                spend(spent_on(error))
                return error

        async def tones() -> list[np.ndarray | MultiplexError] | None:
            return list(await asyncio.gather(*map(tone, batch))) if self._judges_tone else None

        both = await asyncio.gather(references(), tones())
        return both[0], both[1]


def _error(*outcomes: object) -> MultiplexError | None:
    return next((each for each in outcomes if isinstance(each, MultiplexError)), None)
