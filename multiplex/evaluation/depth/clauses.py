"""Cuts sentences into clauses and says which perspectives each is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multiplex.evaluation.depth.words import DepthWords
from multiplex.evaluation.extraction.references import Reference
from multiplex.text.sentences import Sentence, split
from multiplex.text.tokens import count_words

_SEMICOLON = re.compile(r"(?<=;)[\"'”’*_)\]]*\s+(?=\S)")
_MARKED = re.compile(r"[ \t>]*(#{1,6})[ \t]+$")
_UNDERLINED = re.compile(r"[ \t]*\n {0,3}([=-])\1+[ \t]*(?:\n|$)")
_BOLD = re.compile(r"(\*\*|__)(?:(?!\1).)+\1\s*:?$", re.DOTALL)
_IN_BOLD, _PLAIN = 7, 8  # ranks below the six of Markdown's headings
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
    line, about the perspective whose label stands alone in the last heading ("**African.**", "## Islamic"), until one
    of its rank or above ("## Conclusion") ends that section.
    """
    by_sentence: dict[int, list[Reference]] = {}
    for reference in references:
        by_sentence.setdefault(reference.sentence, []).append(reference)
    found: list[Clause] = []
    section: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    end = rank_of_section = 0
    for number, sentence in enumerate(sentences):
        here = by_sentence.get(number, [])
        if "\n" in text[end : sentence.start]:
            latest = section
        end = sentence.end
        labels = _perspectives(each for each in here if words.is_label(each.text, each.perspective))
        opens, rank = bool(labels) and count_words(sentence.text) <= _OPENER, _rank(text, sentence)
        if rank <= rank_of_section and not opens:
            section, latest, rank_of_section = (), (), 0
        for start, stop in _stretches(sentence):
            inside = tuple(each for each in here if start <= each.start < stop)
            counted = tuple(each for each in inside if each.cue in cues and not each.echo)
            latest = _perspectives(counted) or latest
            found.append(Clause(number, start, text[start:stop], latest, inside, counted))
        if opens:
            section = latest = labels
            rank_of_section = min(rank, _PLAIN)
    return found


def _rank(text: str, sentence: Sentence) -> int:
    """1 to 6 for a heading of Markdown, 7 for a few words in bold alone, 8 before a colon, more for any other."""
    if marked := _MARKED.match(text[text.rfind("\n", 0, sentence.start) + 1 : sentence.start]):
        return len(marked[1])
    if underlined := _UNDERLINED.match(text, sentence.end):
        return 1 if underlined[1] == "=" else 2
    if count_words(sentence.text) <= _OPENER:
        if _BOLD.match(sentence.text):
            return _IN_BOLD
        if sentence.text.endswith(":"):
            return _PLAIN
    return _PLAIN + 1


def _stretches(sentence: Sentence) -> list[tuple[int, int]]:
    """Where the clauses of a sentence begin and end; no stop of "Dr. Eze" or "(b. 1931)" ends one."""
    found = []
    for part in split(sentence.text):
        start, end = sentence.start + part.start, sentence.start + part.end
        for gap in _SEMICOLON.finditer(part.text):
            found.append((start, sentence.start + part.start + gap.start()))
            start = sentence.start + part.start + gap.end()
        found.append((start, end))
    return found


def _perspectives(references: Iterable[Reference]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.perspective for each in references))
