"""Says what can be measured in a text, given the languages of its sentences, and reads its names and concepts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.frame import Cue
from multiplex.evaluation.extraction.gazetteer import Entity, Gazetteer, Slot
from multiplex.evaluation.languages.files import MEASURABLE, known_languages
from multiplex.evaluation.languages.lexicon import ENGLISH_DEPTH, Lexicon
from multiplex.evaluation.languages.recognition import (
    ENGLISH,
    UNKNOWN,
    Languages,
    language_name,
    language_of,
    recognise,
)
from multiplex.text.matching import Match
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words

_NOT_READ = {
    "names": "are in languages whose names and concepts are not read",
    "concepts": "are in languages whose concepts are not read",
    "labels": "are in languages where a mere label of place counts as named",
    "depth": "are in languages whose depth is not read",
    "tone": "are in languages whose tone is not read",
}
_ENGLISH_TONE = "no classifier of tone was trained on this language"
Cued = tuple[Match[Slot, Entity], Cue]
_FEW = 6  # words up to which a text that English names or concepts stand in is taken for English


@dataclass(frozen=True, slots=True)
class Reading:
    """What can be measured in one text.

    Attributes:
        language: ISO 639 code; empty where it was not recognised.
        sentences: each sentence's languages.
        why_not: of names, concepts, labels, depth and tone those that are not measured, with the reason.
        unread: how many sentences are in languages whose names are not read, by language name.
    """

    language: str = ENGLISH
    sentences: tuple[tuple[str, ...], ...] = ()
    why_not: tuple[tuple[str, str], ...] = ()
    unread: tuple[tuple[str, int], ...] = ()

    def english(self) -> list[int]:
        """The numbers of the sentences that are in English."""
        return [number for number, languages in enumerate(self.sentences) if languages[:1] in ((ENGLISH,), ())]

    def by_judge(self) -> Reading:
        """The same where a judge finds the references, who reads any language: depth and tone alone may be missing."""
        reasons = dict(self.why_not)
        own = {"depth": ENGLISH_DEPTH, "tone": _ENGLISH_TONE}
        why_not = tuple((what, reason) for what, reason in own.items() if what in reasons)
        return replace(self, why_not=why_not, unread=())


class UnreadError(UsageError):
    """A text is in a language that is not read: nothing is measured in it; `reading` says why."""

    def __init__(self, reading: Reading) -> None:
        reason = dict(reading.why_not)["names"]
        where = f"the text is in {language_name(reading.language)}: " if reading.language else ""
        super().__init__(f"{where}{reason}")
        self.reading = reading


def language_note(language: str, why_not: Mapping[str, str], unread: Mapping[str, int]) -> str:
    """In one line what of a measured text is not read for its languages; empty where all is."""
    parts = []
    if why_not:
        reasons = "; ".join(f"{what} not measured: {reason}" for what, reason in why_not.items())
        parts.append(f"the text is in {language_name(language)}: {reasons}")
    if unread:
        parts.append(f"sentences not read: {', '.join(f'{name} {number}' for name, number in unread.items())}")
    return "; ".join(parts)


def not_read(unread: Mapping[str, Mapping[str, int]], texts: int) -> list[str]:
    """In how many of so many texts what was not measured, by language: a sentence each."""
    return [
        f"{sum(of.values()):,} of {texts:,} texts {phrase}: {_numbers(of)}."
        for what, phrase in _NOT_READ.items()
        if (of := unread.get(what)) and not (what == "concepts" and of == unread.get("names"))
    ]


def languages_of(unread: Mapping[str, Mapping[str, int]]) -> str:
    """The languages whose names are not read, with their number of texts, in brackets; nothing where there is none."""
    of = unread.get("names", {})
    return f" ({_numbers(of)})" if of else ""


def _numbers(of: Mapping[str, int]) -> str:
    return ", ".join(f"{language_name(code)} {number:,}" for code, number in of.items())


class LanguageReader:
    """The languages that can be read, each loaded when the first text of it comes; threads may share it."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer
        self._files = known_languages()
        self._lexicons: dict[str, Lexicon] = {}
        self._lock = threading.Lock()

    def read(self, sentences: Sequence[Sentence]) -> Reading:
        """What can be measured in a text of these sentences.

        Raises:
            ContentError: a language's file is wrong.
        """
        found = self._settled(sentences, recognise(sentences))
        unread: Counter[str] = Counter()
        words = {True: 0, False: 0}
        for sentence, languages in zip(sentences, found.sentences, strict=True):
            readable = not languages or any("names" not in self.why_not(each) for each in languages)
            words[readable] += count_words(sentence.text)
            if not readable:
                unread[language_name(languages[0])] += 1
        why_not = self.why_not(found.text)
        if words[False] > words[True] and "names" not in why_not:  # its languages together outweigh the largest one
            reason = f"more than half of it is in languages that are not read ({', '.join(unread)})"
            why_not = dict.fromkeys((*MEASURABLE, "depth"), reason)
        return Reading(
            found.text,
            found.sentences,
            tuple(why_not.items()),
            tuple(unread.items()),
        )

    def match(self, text: str, languages: Sequence[str]) -> list[Cued]:
        """The names and concepts of a sentence in those of its languages that are not English."""
        lexicons = [lexicon for each in languages if (lexicon := self._lexicon(each)) is not None]
        return [cued for lexicon in lexicons for cued in lexicon.match(text)]

    def ids_in(self, text: str, beside: Reading | None = None) -> frozenset[str]:
        """The ids of the entities that a question or prompt names, in English or in its own language.

        It may be too short to tell its language by, so it is also read in those of the answer `beside` it.
        """
        answers = beside.sentences if beside is not None else ()
        languages = dict.fromkeys((language_of(text), *(each for found in answers for each in found))) if text else ()
        lexicons = [lexicon for each in languages if (lexicon := self._lexicon(each)) is not None]
        return self._gazetteer.ids_in(text).union(*(lexicon.ids_in(text) for lexicon in lexicons))

    def why_not(self, language: str) -> dict[str, str]:
        """What is not measured in a language, with the reason; empty for English."""
        if language == ENGLISH:
            return {}
        lexicon = self._lexicon(language)
        if lexicon is not None:
            return lexicon.why_not
        name = language_name(language)
        reason = (
            "its language was not recognised" if language == UNKNOWN else f"no list of names and concepts in {name}"
        )
        return dict.fromkeys((*MEASURABLE, "depth"), reason)

    def _settled(self, sentences: Sequence[Sentence], found: Languages) -> Languages:
        """A few words of no known language that hold an English name or concept are English: "zakat and ubuntu"."""
        if found.text != UNKNOWN or sum(count_words(sentence.text) for sentence in sentences) > _FEW:
            return found
        if any(self._gazetteer.match(sentence.text) for sentence in sentences):
            return replace(found, text=ENGLISH, sentences=tuple((ENGLISH,) for _ in sentences))
        return found

    def _lexicon(self, language: str) -> Lexicon | None:
        if language not in self._files:
            return None
        with self._lock:
            if language not in self._lexicons:
                self._lexicons[language] = Lexicon.load(self._files[language], self._gazetteer)
            return self._lexicons[language]
