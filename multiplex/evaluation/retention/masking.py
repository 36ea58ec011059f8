"""What of a text coverage compares: its sentences, without scaffold and without the cues that say whose they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from multiplex.evaluation.extraction.cue_words import CueWords
from multiplex.evaluation.extraction.gazetteer import Gazetteer
from multiplex.evaluation.extraction.references import Span, find, masked
from multiplex.text.sentences import split
from multiplex.text.tokens import count_words

# One function word for every kind of cue. The embeddings all but pass over it: two claims do not grow alike by their
# masks, as they do under "this tradition" and more under "X" or "[MASK]"; a claim stays near its paraphrase that
# names nobody, as it does where the cue is taken out, and the sentence keeps its form; and the mask does not tell a
# concept from a people or a place. `benchmarks/calibrate_coverage.py` prints the comparison.
PLACEHOLDER = "this"

_ARTICLE = re.compile(r"\b(?:the|an?)\s+$", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s\b")


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a text: as it stands there, and with its cues masked."""

    text: str
    bare: str


def without_cues(
    text: str, gazetteer: Gazetteer, cue_words: CueWords | None = None, *, placeholder: str = PLACEHOLDER
) -> str:
    """The text with every named, concept and place reference replaced by a placeholder; an empty one takes it out.

    An article before the form and a possessive after it go with it ("the Confucian view" -> "this view"), and forms
    that are merely listed leave one placeholder ("Chinese and Korean elders" -> "this elders"). What only looks like a
    reference ("the Indian Ocean") stays. `cue_words` are by default those that ship.
    """
    spans = sorted({(found.start, found.end) for found in find(text, gazetteer, cue_words=cue_words)})
    if not spans:
        return text
    kept, at = [], 0
    for start, end in spans:
        kept.append(_ARTICLE.sub("", text[at:start]) + placeholder)
        possessive = _POSSESSIVE.match(text, end)
        at = possessive.end() if possessive else end
    bare = "".join((*kept, text[at:]))
    if not placeholder:
        return re.sub(r"[ \t]{2,}", " ", bare).strip()
    word = re.escape(placeholder)
    return re.sub(
        rf"(?<!\w){word}(?:(?:[ \t]*[,;/&-][ \t]*|[ \t]+)(?:(?:and|or)[ \t]+)?{word}(?!\w))+", placeholder, bare
    )


def visible(text: str, scaffold: Sequence[Span]) -> str:
    """The text outside its scaffold, with a blank line wherever scaffold stood.

    Where our code wrote the list mark or the heading, only that blank line still keeps two voices' sentences apart.

    Raises:
        UsageError: a span does not lie in the text.
    """
    masked(text, scaffold)  # refuses a wrong span
    pieces, at = [], 0
    for start, end in sorted(scaffold):
        pieces.append(text[at:start])
        at = max(at, end)
    return "\n\n".join((*pieces, text[at:]))


def claims(text: str, gazetteer: Gazetteer, scaffold: Sequence[Span] = (), *, least: int = 1) -> list[Claim]:
    """The sentences of a text outside its scaffold that have at least `least` words, in order.

    A list item of several sentences, one unit elsewhere, is cut into them: an embedding of the whole would blur each.

    Raises:
        UsageError: a scaffold span does not lie in the text.
    """
    sentences = (part.text for item in split(visible(text, scaffold)) for part in split(item.text))
    return [Claim(one, without_cues(one, gazetteer)) for one in sentences if count_words(one) >= least]
