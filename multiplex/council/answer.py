"""What a strategy returns: an answer, the voices in it, and what they cost."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from multiplex.council.touched_harms import Touched
from multiplex.llm.usage import Usage
from multiplex.settings import Check

Span = tuple[int, int]
Form = Literal["essay", "composed", "voices"]
FindingKind = Literal["name", "number", "unmet", "added", "sharpened", "false", "staged", "unequal", "contradicted"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Choice(_Frozen):
    """How a respondent answered a closed question.

    Attributes:
        options: as they were written, in the order of the question, whatever order they were shown in.
        method: `logprobs` (the options' letters as the next token), `verbalised` (a distribution in words of the model)
            or `sample` (draws). Figures of different methods are never mixed.
        shares: by option, summing to 1; None where nothing could be read, or one single draw was made.
        point: the place of the option of a single draw; else None.
        outside: with `logprobs`, the mass on tokens that are no letter of an option, 0..1; else None.
        readable, refused, unreadable: replies of each kind; only the readable are counted in `shares`.
        note: why there are no shares, or what was mended; else None.
    """

    options: tuple[str, ...]
    method: Literal["logprobs", "verbalised", "sample"]
    shares: tuple[float, ...] | None = None
    point: int | None = None
    outside: float | None = None
    readable: int = 0
    refused: int = 0
    unreadable: int = 0
    note: str | None = None

    @property
    def answered(self) -> bool:
        """Whether an answer could be read."""
        return self.shares is not None or self.point is not None


class Cited(_Frozen):
    """A position of the sourcebook that stands in a voice, or that a sentence of it rests on.

    Attributes:
        id: in the sourcebook of the voice's persona.
        source: author, work and year, as a line.
        places: the ends, in the voice's text, of what it bears out.
    """

    id: str
    says: str
    whose: str
    source: str
    places: tuple[int, ...] = ()


class Voice(_Frozen):
    """What one persona said in one round, or the error that kept it silent.

    Attributes:
        text: what it said; empty exactly where `error` is set.
        quoted: [start, end) spans of the text that stand so in the sourcebook.
        scaffold: spans that our code wrote: whose a position is, and its source.
        positions: of the sourcebook, those that it quotes or rests on, in the order of the text.
        asks: the question that a small model put to the reader; None where it asked none, or speaks for itself.
        error: one line; None where it spoke.
        error_kind: the `kind` of the CallError behind it; None where it spoke, or where it was no call that failed.
        note: a flaw of a voice that did speak, such as a reply cut off at the token limit; else None.
        seconds: from its start to its end, retries included.
        digest: SHA-256 of the persona's content.
        choice: how it answered a closed question, where it was asked one.
    """

    persona: str
    perspective: str
    title: str
    model: str
    text: str = ""
    quoted: tuple[Span, ...] = ()
    scaffold: tuple[Span, ...] = ()
    positions: tuple[Cited, ...] = ()
    asks: str | None = None
    error: str | None = None
    error_kind: str | None = None
    note: str | None = None
    round: int = 1
    seconds: float = 0.0
    usage: Usage = Usage()
    digest: str = ""
    choice: Choice | None = None

    @property
    def quotes(self) -> bool:
        """Whether a small model spoke, which quotes the sourcebook: our code wrote what stands round its statements."""
        return bool(self.scaffold)

    @property
    def states(self) -> bool:
        """Whether it spoke and said something: a sourcebook may hold nothing near the question."""
        return self.error is None and self.scaffold != ((0, len(self.text)),)


class Finding(_Frozen):
    """What a check found in an essay that its voices do not bear out, and what became of it.

    Attributes:
        by: who found it: `text` compares names and numbers, `model` is one call, `nli` an inference model.
        kind: `name` or `number`: it stands in no voice and not in the question; `unmet`: a tradition that spoke is
            not met; `added`, `sharpened`, `false`, `staged` (a debate that no voice tells of), `unequal`: as the
            model judged; `contradicted`: a voice says the contrary, by the inference model.
        quote: words of the essay; empty for `unmet`.
        why: one line.
        perspective: whose it is; None where that is not known.
        state: `open` before a revision; `revised`: its words no longer stand there; `remains`: they do;
            `dismissed`: the inference model finds the words in a voice.
    """

    by: Literal["text", "model", "nli"]
    kind: FindingKind
    quote: str = ""
    why: str = ""
    perspective: str | None = None
    state: Literal["open", "revised", "remains", "dismissed"] = "open"


class Synthesis(_Frozen):
    """The multiplex answer. `scaffold` are the [start, end) spans that our code wrote, not a model; `quoted` those that
    stand so in the sourcebook.

    `failed`: no model connected the voices, which stand side by side. `cut`: the token limit ended it.
    `check`: which check the essay passed through, None where it has no essay. `form`: what it is. `message_id`: under
    which LangGraph's stream of messages showed the text as it was written; None where it showed nothing yet.
    """

    text: str
    form: Form = "essay"
    check: Check | None = None
    findings: tuple[Finding, ...] = ()
    harms: tuple[Touched, ...] = ()
    scaffold: tuple[Span, ...] = ()
    quoted: tuple[Span, ...] = ()
    usage: Usage = Usage()
    note: str | None = None
    failed: bool = False
    cut: bool = False
    message_id: str | None = None


class Answer(_Frozen):
    """One strategy's answer to one question.

    Attributes:
        prompt: everything our code put before the models but the question, so that names which stood there
            can be told from names the model brought.
        voices: the voices of the last round in which each persona spoke, in the council's order.
        rounds: every voice of every round.
        lost: perspectives whose voice is missing.
        cut: whether the token limit ended the text.
        notes: what a reader should know, a line each.
        quoted: spans of the text that stand so in the sourcebook: they are scored, and told apart from a model's words.
        form: of a council's answer: an `essay` made of the voices, `composed` of positions of the sourcebook, or the
            `voices` alone; None for other strategies and for answers stored by version 0.1.0.
        language: ISO 639 code of the question's language, or of the one that was chosen; empty where it was not
            recognised. Our own words are in it where `prompts/locales/` has it, else in English.
        check: which check an essay passed through; None where there is no essay.
        findings: what the checks found, and what became of it.
        harms: practices that harm people and that the question or a voice touches, with everyone in the council who is
            on record against them, and the sources.
    """

    strategy: str
    text: str
    model: str
    prompt: str = ""
    voices: tuple[Voice, ...] = ()
    rounds: tuple[Voice, ...] = ()
    lost: tuple[str, ...] = ()
    scaffold: tuple[Span, ...] = ()
    quoted: tuple[Span, ...] = ()
    usage: Usage = Usage()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    cut: bool = False
    form: Form | None = None
    language: str = "en"
    check: Check | None = None
    findings: tuple[Finding, ...] = ()
    harms: tuple[Touched, ...] = ()


def last_words(voices: list[Voice], perspectives: tuple[str, ...]) -> list[Voice]:
    """Each perspective's latest voice that spoke, or its latest error, in the order of `perspectives`."""
    latest: dict[str, Voice] = {}
    for voice in sorted(voices, key=lambda voice: voice.round):
        if voice.error is None or voice.perspective not in latest or latest[voice.perspective].error is not None:
            latest[voice.perspective] = voice
    return [latest[perspective] for perspective in perspectives if perspective in latest]
