"""Cuts sentences into clauses and says which perspectives each is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multiplex.evaluation.depth.words import DepthWords
from multiplex.evaluation.extraction.references import Reference
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words

_STOP = re.compile(r"(?<=[.!?;])[\"'”’*_)\]]*\s+(?=\S)")
_OPENER = 4  # words of a heading that opens the section of a perspective: "What African voices say"


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of a sentence that ends at a stop or a semicolon; a list item may hold several sentences.

    Attributes:
        sentence: the number of its sentence.
        start: the place of `text` in the whole text.
        about: the perspectives that it refers to or, where it refers to none, that it goes on about.
        references: those in it, of every cue.
        counted: of them, those with an accepted cue that is no echo of the question.
    """

    sentence: int
    start: int
    text: str
    about: tuple[str, ...]
    references: tuple[Reference, ...]
    counted: tuple[Reference, ...]


def cut_clauses(
    text: str, sentences: Sequence[Sentence], references: Sequence[Reference], cues: Sequence[str], words: DepthWords
) -> list[Clause]:
    """The clauses of a text, in order.

    A clause without a reference is about what the clause before it was, inside its line of the text; at the start of a
    line, about the perspective whose label stands alone in the last heading ("**African.**", "## Islamic").
    """
    by_sentence: dict[int, list[Reference]] = {}
    for reference in references:
        by_sentence.setdefault(reference.sentence, []).append(reference)
    found: list[Clause] = []
    section: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    end = 0
    for number, sentence in enumerate(sentences):
        here = by_sentence.get(number, [])
        if "\n" in text[end : sentence.start]:
            latest = section
        end = sentence.end
        labels = _perspectives(each for each in here if words.is_label(each.text, each.perspective))
        opens = bool(labels) and count_words(sentence.text) <= _OPENER
        for start, stop in _stretches(sentence):
            inside = tuple(each for each in here if start <= each.start < stop)
            counted = tuple(each for each in inside if each.cue in cues and not each.echo)
            latest = _perspectives(counted) or latest
            found.append(Clause(number, start, text[start:stop], latest, inside, counted))
        if opens:
            section = latest = labels
    return found


def _stretches(sentence: Sentence) -> list[tuple[int, int]]:
    stops = list(_STOP.finditer(sentence.text))
    starts = [sentence.start, *(sentence.start + stop.end() for stop in stops)]
    ends = [*(sentence.start + stop.start() for stop in stops), sentence.end]
    return list(zip(starts, ends, strict=True))


def _perspectives(references: Iterable[Reference]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.perspective for each in references))
