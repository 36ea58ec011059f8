"""Measures the answers of a run that are on disk, with any frame, cues or tone; no model is called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from multiplex.answering import compare_with_voices, said
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Score
from multiplex.content import PROJECT, content_root, sha256
from multiplex.council.answer import Answer
from multiplex.errors import ContentError, MultiplexError, UsageError
from multiplex.evaluation import Evaluator, Measures, Passage, count
from multiplex.evaluation.evaluator import Prepared
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, checked_cues
from multiplex.evaluation.extraction.frames import Frame, default_frame, load_frame, load_frames, shipped_frames
from multiplex.evaluation.languages.reading import UnreadError, language_note
from multiplex.evaluation.languages.recognition import ENGLISH

if TYPE_CHECKING:
    from multiplex.bench.store.store import Store

_READ = ("atlas.yaml", "cities.yaml", "cues.yaml", "coverage.json", "depth.yaml", "senses.yaml", "function_words.yaml",
         "attribution_head.json", "sentiment_head.json", "sentiment_layers.npz")  # fmt: skip

Heard = Callable[[int], None]
"""Told how many answers were measured so far."""


class Scoring(BaseModel):
    """What answers are measured with; answers measured by the same key can be compared.

    Attributes:
        frame, cues: what references are counted over, and by; a frame is given as `evaluation.load_frame` takes it.
        extractor: always the local one.
        sentiment_model: a `transformers` text classifier; None for the built-in head.
        content: SHA-256 over the gazetteers, lists, heads and calibration that are read, by default those there now.
        version: of this package, whose rules find references.

    Raises:
        UsageError: the frame or the cues name something unknown, or too little.
        ContentError: a file of `eval/` cannot be read.
    """

    model_config = ConfigDict(frozen=True)
    frame: Frame = Field(default_factory=default_frame)
    cues: tuple[str, ...] = HEADLINE_CUES
    extractor: Literal["local"] = "local"
    sentiment_model: str | None = None
    content: str = Field(default_factory=lambda: _content())
    version: str = Field(default_factory=lambda: version(PROJECT))

    @field_validator("frame", mode="before")
    @classmethod
    def _known_frame(cls, frame: Any) -> Any:
        return frame if isinstance(frame, dict) else load_frames(frame)[0]

    @field_validator("cues")
    @classmethod
    def _known_cues(cls, cues: tuple[str, ...]) -> tuple[str, ...]:
        return checked_cues(cues)

    @property
    def key(self) -> str:
        """16 hex digits, the same for the same scoring."""
        return sha256(self.model_dump_json())[:16]

    def evaluator(self) -> Evaluator:
        """An evaluator that measures so; nothing is loaded yet."""
        return Evaluator(self.frame, self.cues, self.sentiment_model)


def score(store: Store, scoring: Scoring, evaluator: Evaluator | None = None, progress: Heard | None = None) -> int:
    """Measure every answer that this scoring has not measured yet, and write the scores down as they come.

    It can be stopped at any time and called again, also while a run goes on. `evaluator`, by default a new one, is
    for callers who have one of this scoring loaded.

    Returns:
        How many answers were measured, those without a word among them.

    Raises:
        UsageError: the sentiment model cannot be used.
        ContentError: a gazetteer, calibration or trained head is missing or wrong.
        MultiplexError: the disk refuses.
    """
    evaluator = evaluator if evaluator is not None else scoring.evaluator()
    store.write_scoring(scoring.key, scoring.model_dump_json())
    done = 0
    # What is embedded together decides the last digits of a tone: always the same units, whatever shard they stand in.
    for _, together in groupby(store.unscored(scoring.key), key=_group):
        batch = list(together)
        scores = scores_of(batch, evaluator)
        store.keep_scores(scoring.key, {unit.id: each for (unit, _), each in zip(batch, scores, strict=True)})
        done += len(batch)
        if progress is not None:
            progress(done)
    return done


def _group(waiting: tuple[Unit, Answer]) -> tuple[str, str, str, int]:
    """What the units share that are measured together and written down in one go: a shard holds all of them."""
    unit, _ = waiting
    return unit.question_id, unit.language, unit.model, unit.epoch


def scores_of(batch: Sequence[tuple[Unit, Answer]], evaluator: Evaluator) -> list[Score]:
    """The score of each answer, in order; one that cannot be measured says why in `note`.

    Raises:
        ContentError: a gazetteer, calibration or trained head is missing or wrong.
    """
    outcomes: list[Prepared | UsageError] = [_prepared(unit, answer, evaluator) for unit, answer in batch]
    ready = [each for each in outcomes if isinstance(each, Prepared)]
    measured = iter(evaluator.measured(evaluator.extracted(ready)) if ready else ())
    return [
        _unmeasured(unit, answer, outcome, evaluator)
        if isinstance(outcome, UsageError)
        else _score(unit, answer, next(measured), evaluator)
        for (unit, answer), outcome in zip(batch, outcomes, strict=True)
    ]


def _unmeasured(unit: Unit, answer: Answer, error: UsageError, evaluator: Evaluator) -> Score:
    """The score of an answer without a word, or in a language that is not read."""
    unread = error.reading.language if isinstance(error, UnreadError) else None
    voices = _voices(unit, answer, evaluator)
    return Score(measures=None, note=f"not measured: {error}", voices=voices, unread=unread)


def _prepared(unit: Unit, answer: Answer, evaluator: Evaluator) -> Prepared | UsageError:
    """The answer cut into sentences, or why it cannot be."""
    passage = Passage(
        unit.id,
        answer.text,
        1,
        question=unit.question,
        prompt=answer.prompt,
        scaffold=tuple(answer.scaffold),
        quoted=tuple(answer.quoted),
    )
    try:
        return evaluator.prepared(passage)
    except UsageError as error:
        return error


def _score(unit: Unit, answer: Answer, measures: Measures, evaluator: Evaluator) -> Score:
    note = language_note(measures.language, measures.unread, measures.unread_sentences) or None
    if measures.language != ENGLISH:  # the embeddings that compare voices read English
        return Score(measures=measures, voices=_voices(unit, answer, evaluator), note=note)
    try:
        between = compare_with_voices(answer, evaluator.local.gazetteer)
    except UsageError as error:
        return Score(measures=measures, voices=_voices(unit, answer, evaluator), note=f"voices not compared: {error}")
    return Score(measures=measures, retention=between, voices=_voices(unit, answer, evaluator), note=note)


def _voices(unit: Unit, answer: Answer, evaluator: Evaluator) -> dict[str, dict[str, int]]:
    """By perspective of the voice, its own references by perspective of the frame.

    All 0 for a voice without a word; a voice in a language that is not read is absent.
    """
    counts = {}
    for name, text in said(answer.voices).items():
        try:
            ready = evaluator.prepared(Passage(name, text, 1, question=unit.question))
        except UnreadError:
            continue
        except UsageError:
            counts[name] = dict.fromkeys(evaluator.frame, 0)
            continue
        references = evaluator.written(ready)
        counts[name] = count(references, evaluator.frame, evaluator.cues)
    return counts


def outdated(description: str) -> str | None:
    """What of a stored scoring is no longer so: the frame, or the word lists and rules; None where nothing is.

    `description` is the scoring as JSON; one that cannot be read is of an older form.
    """
    try:
        then = Scoring.model_validate(described := json.loads(description))
    except (ValidationError, ValueError, MultiplexError):
        return "in a form that cannot be read"
    if isinstance(described["frame"], list):  # of names alone, as versions before facets wrote it
        return "without facets, by an older version"
    if then.frame.name in shipped_frames() and then.frame != load_frame(then.frame.name):
        return f"under an older frame {then.frame.name!r}"
    now = Scoring()
    return "with older word lists or rules" if (then.content, then.version) != (now.content, now.version) else None


def _content() -> str:
    folder = content_root() / "eval"
    files = [*sorted((folder / "gazetteers").glob("*.yaml")), *(folder / name for name in _READ)]
    files += sorted((folder / "languages").glob("*.yaml"))
    return sha256("\n".join(f"{file.name} {_digest(file)}" for file in files))


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ContentError(file, f"cannot be read: {error.strerror or error}") from error
