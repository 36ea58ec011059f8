"""Finds the names and concepts of one language's file in its sentences, inflected and written together or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

from multiplex.evaluation.extraction.frame import Cue
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer, Slot
from multiplex.evaluation.languages.files import LanguageFile, read_language
from multiplex.evaluation.languages.folding import cut, fold, marked
from multiplex.evaluation.languages.territories import territory_names
from multiplex.text.matching import Form, Match, without_overlap
from multiplex.text.tokens import Token, plain

_TRAP = Entity("none")
_ALL_NAMED = "a mere label is not told from the holder of a view: both count as named"
ENGLISH_DEPTH = "the words by which depth is read are English"
_DEPTH = 3  # prefixes, and suffixes, that a word may carry
_LEAST = 2  # letters that are left of a word without them
_MOST = 64  # inflected spellings of one form
_LOOSE = " \t\r\n-‐‑–_*\u200c·・.'’"
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc]+")
_SHOUTED = 5  # letters from which a word in capitals is no abbreviation


@dataclass(frozen=True, slots=True)
class _Entry:
    """One form: its words as they are compared, and as they were written."""

    form: Form[Slot, Entity]
    keys: tuple[str, ...]
    written: tuple[str, ...]


class Lexicon:
    """The forms of one language, by their first word; it never changes once made."""

    def __init__(self, content: LanguageFile, gazetteer: Gazetteer) -> None:
        self.language = content.language
        self.why_not = content.read.why_not() | {"depth": ENGLISH_DEPTH}
        if not content.labels:
            self.why_not["labels"] = _ALL_NAMED
        self._by_character = content.written == "characters"
        self._prefixes = _affixes(content.prefixes)
        self._suffixes = _affixes(content.suffixes)
        self._endings = content.endings
        self._labels = frozenset(fold(word) for word in content.labels)
        self._streets = frozenset(fold(word) for word in content.streets)
        self._index: dict[tuple[str, str], list[_Entry]] = {}  # by first and second word; "" for forms of one
        self._stems: dict[str, tuple[str, ...]] = {}
        self._known: set[str] = {*self._labels, *self._streets}
        for phrase in content.traps:
            self._add(phrase, "trap", _TRAP)
        for slot, entries in (("concept", content.concepts), ("traditions", content.names)):
            for name, forms in entries.items():
                for text in forms:
                    self._add(text, slot, gazetteer.entities[name])  # type: ignore[arg-type]  # both are slots
        ambiguous = {fold(name) for name in content.ambiguous}
        for text, entity in territory_names(content.language, gazetteer):
            if fold(text) not in ambiguous:
                self._add(text, "places", entity)

    @classmethod
    def load(cls, path: Path, gazetteer: Gazetteer) -> Lexicon:
        """The lexicon of a language's file.

        Raises:
            ContentError: the file is absent or wrong; file, line and field are named.
        """
        return cls(read_language(path, gazetteer.names, gazetteer.concepts), gazetteer)

    def match(self, text: str) -> list[tuple[Match[Slot, Entity], Cue]]:
        """The names and concepts in one sentence with their cues, by place, without overlap; the longest wins."""
        words = list(cut(text, self._by_character))
        found = [match for at in range(len(words)) for match in self._standing(text, words, at)]
        found.sort(key=lambda match: (match.first - match.last, match.start - match.end, match.start))
        return [(match, self._cue(words, match)) for match in without_overlap(found) if match.form.slot != "trap"]

    def ids_in(self, text: str) -> frozenset[str]:
        """The ids of the entities that a text names."""
        return frozenset(match.form.entity.id for match, _ in self.match(text))

    def _cue(self, words: list[Token], match: Match[Slot, Entity]) -> Cue:
        """`concept` or `named`, or `place` where a word right next to a name makes it a mere label: "rue Voltaire"."""
        facets = match.form.entity.facets
        is_concept = match.form.slot == "concept"
        if is_concept or (facets.region and not facets.religion):
            labels = self._streets if is_concept else self._labels
            beside = [words[at] for at in (match.first - 1, match.last + 1) if 0 <= at < len(words)]
            if any(not labels.isdisjoint(self._bare(word.key)) for word in beside):
                return "place"
        return "concept" if is_concept else "named"

    def _add(self, text: str, slot: Slot, entity: Entity) -> None:
        words = list(cut(text, self._by_character))
        if not words:
            return
        form = Form(
            text,
            tuple(word.word for word in words),
            tuple(word.key for word in words),
            _gaps(text, words),
            False,
            slot,
            entity,
        )
        spelled = product(*(self._inflected(word.word) for word in words))
        for number, written in enumerate(spelled):
            if number == _MOST:
                break
            entry = _Entry(form, tuple(map(fold, written)), written)
            others = self._index.setdefault((entry.keys[0], "".join(entry.keys[1:2])), [])
            if not any(
                other.keys == entry.keys and other.form.gaps == form.gaps and _same(other, entry) for other in others
            ):
                others.append(entry)
            self._known.update(entry.keys)

    def _inflected(self, word: str) -> tuple[str, ...]:
        """The word with every ending that its own ending allows, itself first."""
        ending = max((each for each in self._endings if word.endswith(each)), key=len, default=None)
        if ending is None or len(word) - len(ending) < _LEAST:
            return (word,)
        stem = word[: len(word) - len(ending)]
        return (word, *(stem + other for other in self._endings[ending]))

    def _bare(self, key: str) -> tuple[str, ...]:
        """The word as it stands and without what may be written together with it, as far as that is known."""
        if key not in self._stems:
            if len(self._stems) > 100_000:
                self._stems.clear()
            self._stems[key] = tuple(dict.fromkeys(bare for bare in self._stripped(key) if bare in self._known))
        return self._stems[key]

    def _stripped(self, key: str) -> Iterator[str]:
        whole = [key]
        if "'" in key:
            before, _, after = key.partition("'")
            whole += [before, after]
        for word in whole:
            for front in _without(word, self._prefixes, before=True):
                yield from _without(front, self._suffixes, before=False)

    def _standing(self, text: str, words: list[Token], at: int) -> Iterator[Match[Slot, Entity]]:
        following = ("", *(self._bare(words[at + 1].key) if at + 1 < len(words) else ()))
        for pair in product(self._bare(words[at].key), following):
            for entry in self._index.get(pair, ()):
                last = at + len(entry.keys) - 1
                if last >= len(words) or not self._agrees(entry, words[at : last + 1], text):
                    continue
                yield Match(words[at].start, words[last].end, at, last, False, entry.form)

    def _agrees(self, entry: _Entry, words: list[Token], text: str) -> bool:
        for want, written, word in zip(entry.keys, entry.written, words, strict=True):
            if word.key != want and want not in self._bare(word.key):
                return False
            if not _spelled(written, word.word):
                return False
        if _gaps(text, words) != entry.form.gaps:
            return False
        return not self._by_character or _whole_katakana(text, words)


def _gaps(text: str, words: list[Token]) -> tuple[str, ...]:
    """What stands between the words of a form besides spaces, hyphens, dots and joiners."""
    return tuple(text[left.end : right.start].strip(_LOOSE) for left, right in pairwise(words))


def _spelled(want: str, word: str) -> bool:
    """Whether a word has the capital that the form asks for, and its diacritics or none.

    A form without diacritics may be followed by an ending that has some: "Kazakların" is Kazakh, and "haçlar",
    crosses, no hajj.
    """
    if want[:1].isupper() and not any(part[:1].isupper() for part in re.split("['’]", word)):
        return False
    if want.isupper() and 1 < len(want) < _SHOUTED and not word[: len(want)].isupper():
        return False
    if not marked(word) or marked(want) or not want.isascii():
        return True
    return all(plain(letter) == letter or fold(letter) != own for letter, own in zip(word, fold(want), strict=False))


def _same(one: _Entry, other: _Entry) -> bool:
    """Whether two entries of equal keys match the same words; the first then stands."""
    pairs = zip(one.written, other.written, strict=True)
    return all(a[:1].isupper() <= b[:1].isupper() and marked(a) >= marked(b) for a, b in pairs)


def _whole_katakana(text: str, words: list[Token]) -> bool:
    """A word in katakana ends where the katakana ends: Mali is not in a longer foreign word."""
    start, end = words[0].start, words[-1].end
    inside = text[start:end]
    before = start > 0 and _KATAKANA.match(inside[0]) and _KATAKANA.match(text[start - 1])
    after = end < len(text) and _KATAKANA.match(inside[-1]) and _KATAKANA.match(text[end])
    return not (before or after)


def _affixes(given: Mapping[str, str]) -> dict[str, str]:
    return {fold(affix): fold(left) for affix, left in given.items()}


def _without(word: str, affixes: Mapping[str, str], *, before: bool) -> Iterable[str]:
    """The word without up to three of the affixes, itself first."""
    found, latest = {word: None}, [word]
    for _ in range(_DEPTH):
        shorter = []
        for each in latest:
            for affix, left in affixes.items():
                if (each.startswith(affix) if before else each.endswith(affix)) and len(each) - len(affix) >= _LEAST:
                    bare = left + each[len(affix) :] if before else each[: len(each) - len(affix)] + left
                    if bare not in found:
                        found[bare] = None
                        shorter.append(bare)
        latest = shorter
    return found
