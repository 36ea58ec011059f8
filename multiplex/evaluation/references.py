"""Finds which perspectives the sentences of a text refer to, and counts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multiplex.errors import UsageError
from multiplex.evaluation.cues import Context, CueWords, shipped_cue_words
from multiplex.evaluation.frame import FRAME, HEADLINE_CUES, Cue
from multiplex.evaluation.gazetteer import Gazetteer
from multiplex.evaluation.sentences import Sentence, split
from multiplex.evaluation.tokens import tokens

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reference:
    """One cue that refers to one perspective.

    `text` stands at characters `start` up to `end`; `sentence` is the number of its sentence, from
    0. `entity` is the gazetteer's id, empty for an `implied` cue. `echo` says that the entity
    stands in the question's own words. `score` is 1 for what is written and the classifier's
    probability for what is implied.
    """

    start: int
    end: int
    text: str
    entity: str
    perspective: str
    cue: Cue
    sentence: int
    echo: bool = False
    score: float = 1.0


def masked(text: str, scaffold: Sequence[Span]) -> str:
    """The text with its scaffold spans blanked, line breaks kept, so that every place stays the same.

    Raises:
        UsageError: a span does not lie in the text.
    """
    for start, end in scaffold:
        if not 0 <= start <= end <= len(text):
            raise UsageError(f"scaffold span ({start}, {end}) does not lie in a text of {len(text)} characters")
    for start, end in scaffold:
        blank = "".join(letter if letter in "\r\n" else " " for letter in text[start:end])
        text = text[:start] + blank + text[end:]
    return text


def find(
    text: str,
    gazetteer: Gazetteer,
    question: str = "",
    scaffold: Sequence[Span] = (),
    *,
    cue_words: CueWords | None = None,
) -> tuple[Reference, ...]:
    """The named, concept and place references of a text, in order; none of them inside the scaffold.

    An entity of two perspectives gives one reference to each. Nothing is inferred across sentences.

    Raises:
        UsageError: a scaffold span does not lie in the text.
    """
    return find_in(split(masked(text, scaffold)), gazetteer, question, cue_words=cue_words)


def find_in(
    sentences: Sequence[Sentence], gazetteer: Gazetteer, question: str = "", *, cue_words: CueWords | None = None
) -> tuple[Reference, ...]:
    """As `find`, over sentences already split; `Reference.sentence` is a place in this sequence."""
    cue_words = cue_words if cue_words is not None else shipped_cue_words()
    asked = gazetteer.ids_in(question)
    found = []
    for number, sentence in enumerate(sentences):
        words = tokens(sentence.text)
        matches = gazetteer.match(sentence.text, words)
        if not matches:
            continue
        context = Context.of(sentence.text, words, matches, cue_words)
        for match in matches:
            entity = match.form.entity
            if not entity.perspectives:
                continue
            cue = context.cue(match)
            for perspective in entity.perspectives:
                found.append(
                    Reference(
                        start=sentence.start + match.start,
                        end=sentence.start + match.end,
                        text=sentence.text[match.start : match.end],
                        entity=entity.id,
                        perspective=perspective,
                        cue=cue,
                        sentence=number,
                        echo=entity.id in asked,
                    )
                )
    return tuple(found)


def pairs(
    references: Iterable[Reference], cues: Sequence[str] = HEADLINE_CUES, *, include_echo: bool = False
) -> frozenset[tuple[int, str]]:
    """The (sentence, perspective) pairs that hold at least one accepted cue."""
    return frozenset(
        (reference.sentence, reference.perspective)
        for reference in references
        if reference.cue in cues and (include_echo or not reference.echo)
    )


def count(
    references: Iterable[Reference],
    frame: Sequence[str] = FRAME,
    cues: Sequence[str] = HEADLINE_CUES,
    *,
    include_echo: bool = False,
) -> dict[str, int]:
    """How many sentences refer to each perspective of the frame; every perspective is a key.

    A sentence counts once for a perspective, however many of its cues it holds.
    """
    counts = dict.fromkeys(frame, 0)
    for _, perspective in pairs(references, cues, include_echo=include_echo):
        if perspective in counts:
            counts[perspective] += 1
    return counts
