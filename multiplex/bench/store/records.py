"""What a run holds of a unit: its answer or its failure, its score and its calls; and the run at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from multiplex.bench.plan.units import Unit
from multiplex.council.answer import Answer
from multiplex.evaluation import Measures, Retention
from multiplex.evaluation.renamed import Renamed
from multiplex.llm.usage import Usage


class Failure(BaseModel):
    """Why a unit has no answer.

    Attributes:
        kind: of `CallError.kind`, or `voices_lost`, or the name of the error.
        message: one line.
    """

    model_config = ConfigDict(frozen=True)
    kind: str
    message: str


class Score(Renamed):
    """What was measured in an answer.

    Attributes:
        measures: of the whole answer; None where it holds no word or is in a language that is not read,
            and `note` says so.
        retention: what a council's synthesis kept of its voices; None where fewer than two spoke.
        voices: by perspective of the voice, the counts of references in what it said itself.
        note: why something could not be measured; else None.
        unread: the code of the answer's language where that is not read (empty: not recognised); else None.
    """

    model_config = ConfigDict(frozen=True)
    former_names: ClassVar = {"retention": "kept"}
    measures: Measures | None
    retention: Retention | None = None
    voices: dict[str, dict[str, int]] = Field(default_factory=dict)
    note: str | None = None
    unread: str | None = None


class Record(BaseModel):
    """A unit with what came of it: an answer, a failure, or neither as long as it is pending."""

    model_config = ConfigDict(frozen=True)
    unit: Unit
    answer: Answer | None = None
    failure: Failure | None = None
    score: Score | None = None


@dataclass(frozen=True)
class CallRow:
    """One call of a unit: `error` is None where a reply was kept, else the kind and message of what it failed with.

    `seconds` with retries; `attempts` counts the requests sent.
    """

    key: str
    seconds: float
    attempts: int
    usage: Usage
    error: Failure | None = None


@dataclass(frozen=True)
class Overview:
    """A run at a glance: how many questions, which models and strategies, how many units of each state.

    `changed` is what the clock said when something was last written (UTC, ISO 8601); empty where nothing was.
    """

    questions: int
    models: tuple[str, ...]
    strategies: tuple[str, ...]
    done: int
    failed: int
    pending: int
    changed: str
