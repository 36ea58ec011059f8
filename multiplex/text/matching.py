"""Finds many written forms in a sentence at once; the longest match wins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

from multiplex.text.tokens import Token, key, plain, tokens

# Between the words of a form a space, a line break and a hyphen are the same thing, and emphasis marks are nothing.
_LOOSE = re.compile(r"[\s*_‐‑–-]+")
_SHOUTED = 5  # letters from which a word, or a form, in capitals is in capitals and no abbreviation

SlotT = TypeVar("SlotT", bound=str)
EntityT = TypeVar("EntityT")


@dataclass(frozen=True, slots=True)
class Form(Generic[SlotT, EntityT]):
    """One way to write an entity, cut into words; `spelling` is what two forms may not share."""

    spelling: str
    words: tuple[str, ...]
    keys: tuple[str, ...]
    gaps: tuple[str, ...]
    marked: bool
    slot: SlotT
    entity: EntityT

    @classmethod
    def of(cls, text: str, slot: SlotT, entity: EntityT) -> Form[SlotT, EntityT]:
        """Compiles a form as a scholar writes it; without any letter it has no words."""
        found = tokens(text)
        words = tuple(token.word for token in found)
        gaps = _gaps(text, found)
        spelling = " ".join(gap + word for gap, word in zip(("", *gaps), words, strict=False))
        marked = any(plain(word) != word for word in words)
        return cls(spelling, words, tuple(map(key, words)), gaps, marked, slot, entity)


@dataclass(frozen=True, slots=True)
class Match(Generic[SlotT, EntityT]):
    """A form found: `text[start:end]`, its first and last word's numbers, and whether it ends in 's."""

    start: int
    end: int
    first: int
    last: int
    possessive: bool
    form: Form[SlotT, EntityT]


@dataclass(slots=True)
class _Starts(Generic[SlotT, EntityT]):
    """The forms that begin with one word: those that end with it too, and the others by their second word."""

    alone: list[Form[SlotT, EntityT]] = field(default_factory=list)
    onward: dict[str, list[Form[SlotT, EntityT]]] = field(default_factory=dict)


class Matcher(Generic[SlotT, EntityT]):
    """A dictionary from first and second words to forms: two look-ups a word of text, however many forms there are.

    A capital in a form must stand in the text; a word in lower case matches with any first letter; in a line of
    capitals all match.
    A form with diacritics needs them; one without matches with or without. Words match whole.
    """

    def __init__(self, forms: Iterable[Form[SlotT, EntityT]]) -> None:
        index: dict[str, _Starts[SlotT, EntityT]] = {}
        for form in forms:
            starts = index.setdefault(form.keys[0], _Starts())
            (starts.onward.setdefault(form.keys[1], []) if len(form.keys) > 1 else starts.alone).append(form)
        self._index = index

    def match(self, text: str, words: list[Token] | None = None) -> list[Match[SlotT, EntityT]]:
        """The matches in one sentence, by place, without overlap.

        Of overlapping candidates the one with more words wins, then the one with more letters,
        then the earlier; a form in the text's own case and diacritics goes before a looser one.
        """
        words = tokens(text) if words is None else words
        found = [match for at, form in self._candidates(words) if (match := _standing(text, words, at, form))]
        if len(found) > 1:
            found = without_overlap(sorted(found, key=_rank))
        return [match for match in found if not _negated(words, match)]

    def _candidates(self, words: list[Token]) -> Iterator[tuple[int, Form[SlotT, EntityT]]]:
        """(word number, a form that its word and the next could begin) for the few words that begin any."""
        index, last = self._index, len(words) - 1
        for at in [at for at, token in enumerate(words) if token.key in index or token.key.endswith("'s")]:
            token = words[at]
            starts = index.get(token.key)
            if starts is not None:
                for form in starts.alone:
                    yield at, form
                if starts.onward and at < last:
                    onward = words[at + 1].key
                    for form in starts.onward.get(onward, ()):
                        yield at, form
                    if onward.endswith("'s"):
                        for form in starts.onward.get(onward[:-2], ()):
                            yield at, form
            if token.key.endswith("'s") and (starts := index.get(token.key[:-2])) is not None:
                for form in starts.alone:
                    yield at, form


def without_overlap(found: Iterable[Match[SlotT, EntityT]]) -> list[Match[SlotT, EntityT]]:
    """The matches by place, of those that share a word the one that comes first among them."""
    taken: set[int] = set()
    kept = []
    for match in found:
        words = range(match.first, match.last + 1)
        if taken.isdisjoint(words):
            taken.update(words)
            kept.append(match)
    return sorted(kept, key=lambda match: match.start)


def whole_words(words: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of these words or phrases as whole words, in any case; the longest first."""
    return re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})\b", re.IGNORECASE)


def _standing(text: str, words: list[Token], at: int, form: Form[SlotT, EntityT]) -> Match[SlotT, EntityT] | None:
    """The form as a match, if it stands in the text from word `at` on."""
    last = at + len(form.keys) - 1
    if last >= len(words):
        return None
    final = words[last].key
    possessive = final == form.keys[-1] + "'s"
    if not possessive and final != form.keys[-1]:
        return None
    span = words[at : last + 1]
    if any(token.key != want for token, want in zip(span[:-1], form.keys[:-1], strict=True)):
        return None
    written = [token.word for token in span]
    if possessive:
        written[-1] = written[-1][:-2]
    if not _agrees(form, written, shouted=_shouted(words, at, last)) or _gaps(text, span) != form.gaps:
        return None
    return Match(span[0].start, span[-1].end - (2 if possessive else 0), at, last, possessive, form)


def _gaps(text: str, words: list[Token]) -> tuple[str, ...]:
    return tuple(_LOOSE.sub("", text[left.end : right.start]) for left, right in pairwise(words))


def _shouted(words: list[Token], first: int, last: int) -> bool:
    """Whether words stand in a line of capitals: they, with enough letters, and the words on both sides."""
    span = words[first : last + 1]
    around = words[max(0, first - 1) : last + 2]
    if sum(len(token.word) for token in span) < _SHOUTED or not any(token.word.isupper() for token in span):
        return False
    return all(token.word == token.word.upper() for token in around)


def _agrees(form: Form[SlotT, EntityT], written: list[str], *, shouted: bool) -> bool:
    """Whether words that are equal but for case and diacritics are so in the way that the form asks for."""
    for want, word in zip(form.words, written, strict=True):
        have = word if form.marked else plain(word)
        if have == want or (want.islower() and have[:1].lower() + have[1:] == want):
            continue
        capitals = shouted or (not want.islower() and len(have) >= _SHOUTED and have.isupper())
        if capitals and want.upper() == have:
            continue
        return False
    return True


def _rank(match: Match[SlotT, EntityT]) -> tuple[int, int, int, bool, bool]:
    capitals = any(not word.islower() for word in match.form.words)
    return (match.first - match.last, match.start - match.end, match.start, not match.form.marked, not capitals)


def _negated(words: list[Token], match: Match[SlotT, EntityT]) -> bool:
    """ "Non-Western" is what the West is not."""
    return match.first > 0 and words[match.first - 1].key == "non"
