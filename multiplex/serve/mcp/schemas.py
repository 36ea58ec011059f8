"""What the MCP tools take and give back; their JSON schemas are what a client reads."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from multiplex.content import storable
from multiplex.council.answer import Finding, Form
from multiplex.council.order import Strategy
from multiplex.evaluation import Tone
from multiplex.llm.spec import QUESTION_LIMIT
from multiplex.llm.usage import Usage
from multiplex.present.depth import READING
from multiplex.present.result import CONSTRUCTIONS
from multiplex.settings import Check

TEXT_LIMIT = 100_000  # characters of all texts of one call together
TEXTS_LIMIT = 20
SEEDS = 2**31

Text = Annotated[str, AfterValidator(storable)]


def _as_list(given: Any) -> Any:
    """A list that came as its JSON text, as some clients send it, or a single value that stands for a list of one."""
    if not isinstance(given, str):
        return given
    try:
        read = json.loads(given)
    except (ValueError, RecursionError):
        return [given]
    return read if isinstance(read, list) else [given]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Arguments(_Shape):
    """Arguments of a tool; null is an argument left out, as clients send it whose schemas ask for every argument."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


class AnswerArguments(_Arguments):
    """What `multiplex_answer` takes."""

    question: Annotated[
        Text,
        Field(
            description="The question. It must stand alone: the council sees nothing else of the conversation.",
            json_schema_extra={"minLength": 1, "maxLength": QUESTION_LIMIT},
        ),
    ]
    strategies: Annotated[
        list[Strategy],
        BeforeValidator(_as_list),
        Field(
            min_length=1,
            description="Ways to answer: multiplex (the council), contextual (one call told to consider many "
            "traditions), uniplex (the same model simply asked, to compare with).",
        ),
    ] = ["multiplex"]
    council: Annotated[
        list[Text],
        BeforeValidator(_as_list),
        Field(description="Names of the personas that speak (see list_personas); empty: the server's whole council."),
    ] = []
    seed: Annotated[
        int | None, Field(ge=0, lt=SEEDS, description="Fixes orders and the calls' seeds; left out, it is drawn.")
    ] = None


class ScoreArguments(_Arguments):
    """What `multiplex_score` takes."""

    texts: Annotated[
        list[Text],
        BeforeValidator(_as_list),
        Field(
            min_length=1,
            max_length=TEXTS_LIMIT,
            description=f"The texts to measure, each by itself; together at most {TEXT_LIMIT:,} characters.",
        ),
    ]
    question: Annotated[
        Text, Field(description="What the texts answer: references that repeat its words are left out of the figures.")
    ] = ""


class NoArguments(_Arguments):
    """What `list_personas` takes."""


class VoiceGiven(_Shape):
    """What one persona said, or the error that kept it silent.

    `positions` are ids of the sourcebook's positions that it quotes or rests on; `asks` is a small model's question.
    """

    persona: str
    perspective: str
    text: str
    error: str | None = None
    seconds: float
    usage: Usage
    positions: tuple[str, ...] = ()
    asks: str | None = None


class OwnWords(_Shape):
    """The figures of what does not stand so in a sourcebook."""

    reference_count: int
    references: Annotated[int, Field(description="The former name of reference_count.")]
    entropy: float | None


class MeasuresGiven(_Shape):
    """The figures of one text; None where a figure does not exist. Shares 0..1, entropy 0..100."""

    reference_count: int
    references: Annotated[int, Field(description="The former name of reference_count.")]
    shares: dict[str, float]
    entropy: float | None
    depth: dict[str, float | None] | None
    hill_number: float | None
    effective: Annotated[float | None, Field(description="The former name of hill_number.")]
    excluded: float
    berger_parker: float | None
    dominance: Annotated[float | None, Field(description="The former name of berger_parker.")]
    out_of_frame: float | None
    sentiment: Tone | None
    words: int
    language: Annotated[str, Field(description="ISO 639 code of the language of most of the text.")] = "en"
    unread: Annotated[dict[str, str], Field(description="What is not measured in its language, and why.")] = {}
    unread_sentences: dict[str, int] = {}
    own_words: OwnWords | None = None


class AnswerGiven(_Shape):
    """One strategy's answer, with `notes` on what a reader should know of it.

    A council's are `voices`, `lost`, `form` (an `essay` made of the voices, `composed` of positions of the sourcebook,
    or the `voices` alone), `check` (which one an essay passed through) and `findings` (what it found).
    """

    text: str
    model: str
    voices: tuple[VoiceGiven, ...]
    lost: tuple[str, ...]
    notes: tuple[str, ...]
    form: Form | None = None
    check: Check | None = None
    findings: tuple[Finding, ...] = ()
    usage: Usage
    seconds: float
    measures: MeasuresGiven | None


class Answered(_Shape):
    """What `multiplex_answer` gives: answers by strategy, failures, and what a reader must know of them."""

    question: str
    seed: int
    frame: tuple[str, ...]
    frame_name: str
    answers: dict[str, AnswerGiven]
    failed: dict[str, str] = {}
    spoken: tuple[VoiceGiven, ...] = ()
    notes: tuple[str, ...]
    personas_are: str = CONSTRUCTIONS


class ReferenceGiven(_Shape):
    """A cue at characters `start` up to `end` of the text, and the perspective that it refers to."""

    text: str
    start: int
    end: int
    sentence: int
    perspective: str
    cue: str
    echo: bool


class TextScore(MeasuresGiven):
    """The figures of one text, and every cue in it, of those too that the figures leave out."""

    found: tuple[ReferenceGiven, ...]


class TextUnread(_Shape):
    """A text in a language that is not read: it has no figure, and `unread` says why."""

    reference_count: None = None
    entropy: None = None
    language: Annotated[str | None, Field(description="None where it was not recognised.")]
    unread: dict[str, str]


class ScoredTexts(_Shape):
    """What `multiplex_score` gives, in the order of the texts."""

    frame: tuple[str, ...]
    cues: tuple[str, ...]
    scores: tuple[TextScore | TextUnread, ...]
    reading: str = READING


class PersonaGiven(_Shape):
    """Who a persona speaks for, and whether it sits in the server's council."""

    name: str
    perspective: str
    title: str
    speaks_for: tuple[str, ...]
    does_not_speak_for: tuple[str, ...]
    version: str
    reviewed_by_members: bool
    in_council: bool


class Personas(_Shape):
    """What `list_personas` gives."""

    personas: tuple[PersonaGiven, ...]
    personas_are: str = CONSTRUCTIONS
