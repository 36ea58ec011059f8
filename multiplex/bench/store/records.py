"""What a run holds of a unit: its answer or its failure, and its score."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from multiplex.bench.plan.units import Unit
from multiplex.council.answer import Answer
from multiplex.evaluation import Kept, Measures


class Failure(BaseModel):
    """Why a unit has no answer.

    Attributes:
        kind: of `CallError.kind`, or `voices_lost`, or the name of the error.
        message: one line.
    """

    model_config = ConfigDict(frozen=True)
    kind: str
    message: str


class Score(BaseModel):
    """What was measured in an answer.

    Attributes:
        measures: of the whole answer; None where it holds no word, and `note` says so.
        kept: what a council's synthesis kept of its voices; None where fewer than two spoke.
        voices: by perspective of the voice, the counts of references in what it said itself.
        note: why something could not be measured; else None.
    """

    model_config = ConfigDict(frozen=True)
    measures: Measures | None
    kept: Kept | None = None
    voices: dict[str, dict[str, int]] = {}
    note: str | None = None


class Record(BaseModel):
    """A unit with what came of it: an answer, a failure, or neither as long as it is pending."""

    model_config = ConfigDict(frozen=True)
    unit: Unit
    answer: Answer | None = None
    failure: Failure | None = None
    score: Score | None = None
