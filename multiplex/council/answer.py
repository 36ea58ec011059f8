"""What a strategy returns: an answer, the voices in it, and what they cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from multiplex.llm.usage import Usage

Span = tuple[int, int]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Voice(_Frozen):
    """What one persona said in one round, or the error that kept it silent.

    Attributes:
        text: what it said; empty exactly where `error` is set.
        error: one line; None where it spoke.
        note: a flaw of a voice that did speak, such as a reply cut off at the token limit; else None.
        seconds: from its start to its end, retries included.
        digest: SHA-256 of the persona's content.
    """

    persona: str
    perspective: str
    title: str
    model: str
    text: str = ""
    error: str | None = None
    note: str | None = None
    round: int = 1
    seconds: float = 0.0
    usage: Usage = Usage()
    digest: str = ""


class Synthesis(_Frozen):
    """The multiplex answer. `scaffold` are the [start, end) spans that our code wrote, not a model.

    `failed`: no model connected the voices, which stand side by side. `cut`: the token limit ended it.
    """

    text: str
    scaffold: tuple[Span, ...] = ()
    usage: Usage = Usage()
    note: str | None = None
    failed: bool = False
    cut: bool = False


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
    """

    strategy: str
    text: str
    model: str
    prompt: str = ""
    voices: tuple[Voice, ...] = ()
    rounds: tuple[Voice, ...] = ()
    lost: tuple[str, ...] = ()
    scaffold: tuple[Span, ...] = ()
    usage: Usage = Usage()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    cut: bool = False


def last_words(voices: list[Voice], perspectives: tuple[str, ...]) -> list[Voice]:
    """Each perspective's latest voice that spoke, or its latest error, in the order of `perspectives`."""
    latest: dict[str, Voice] = {}
    for voice in sorted(voices, key=lambda voice: voice.round):
        if voice.error is None or voice.perspective not in latest or latest[voice.perspective].error is not None:
            latest[voice.perspective] = voice
    return [latest[perspective] for perspective in perspectives if perspective in latest]
