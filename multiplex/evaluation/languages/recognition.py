"""Tells which language each sentence of a text is in: by its script, its function words, and a statistical detector."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import RootModel

from multiplex.content import content_root, read_model
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import key, tokens

if TYPE_CHECKING:
    from lingua import LanguageDetector

UNKNOWN = ""
"""The code of a language that was not recognised."""
ENGLISH = "en"

_LATIN = "latin"
_SCRIPTS = {
    _LATIN: "A-Za-z\u00aa\u00ba\u00c0-\u024f\u0250-\u02af\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "cyrillic": "\u0400-\u052f",
    "armenian": "\u0530-\u058f",
    "hebrew": "\u0590-\u05ff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    "devanagari": "\u0900-\u097f",
    "bengali": "\u0980-\u09ff",
    "kana": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f",
    "hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "ethiopic": "\u1200-\u139f\u2d80-\u2ddf",
    "thai": "\u0e00-\u0e7f",
}
_ONE_LANGUAGE = {"hangul": "ko", "kana": "ja", "thai": "th", "hebrew": "he", "armenian": "hy", "greek": "el"}
_OF_SCRIPT = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS.items()}
_LETTER = re.compile(r"[^\W\d_]")
_ASSAMESE = re.compile("[\u09f0\u09f1]")
_PART = 0.2  # of a sentence's letters, from which a second script in it is read too
_FEW = 3  # words up to which nothing but the words themselves tells a Latin language
_CLEAR = 0.18  # share of function words from which they alone tell the language
_APART = 3  # times as many words speak for a language alone as for the next, where the detector is not asked
_LEAST = 0.08  # share of function words that a text of a language has at least
_BACKED = 6  # words from which a sentence of another language inside a text is told
_LONG = 16  # words from which a text holds some of its language's function words
_SAMPLE = 400  # words of a text that are looked at
_SCHWA = "ə"  # no other language in Latin script writes it as often as Azerbaijani
# Nor any other in Arabic script the article; Arabic writes many function words together with the next word.
_ARTICLE = re.compile("[وف]?(?:ال|لل).{2}")
_NOT_ARABIC = re.compile("[پچژگٹڈڑںےۍېڼښ]")  # letters of Persian, Urdu and Pashto
_SOME = 3  # words with the article that a text of Arabic has at least
_UNDETECTED = frozenset(("ha", "su", "jv", "hil", "ceb", "rn", "wo", "fj", "sm", "to", "pap", "fo", "aa", "ne", "ps"))
_ALIKE = str.maketrans("يكى", "یکی")


class _FunctionWords(RootModel[dict[str, str]]):
    pass


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of a text.

    Attributes:
        text: ISO 639 code of the language that most of the text's letters are in; UNKNOWN where it is not recognised.
        sentences: for each sentence its languages, the main one first; a second stands there where a good part of the
            sentence is in another script.
    """

    text: str
    sentences: tuple[tuple[str, ...], ...]


def recognise(sentences: Sequence[Sentence]) -> Languages:
    """The languages of a text's sentences.

    Sentences of one script are recognised together, since a short one alone tells little; a longer one that has no
    function word of its text's language and many of another is told apart.
    """
    parts = [_scripts(sentence.text) for sentence in sentences]
    together: dict[str, list[str]] = {}
    for sentence, scripts in zip(sentences, parts, strict=True):
        for script in scripts:
            together.setdefault(script, []).append(sentence.text)
    languages = {script: _of_script(script, " ".join(texts)) for script, texts in together.items()}
    weights: Counter[str] = Counter()
    found = []
    for sentence, scripts in zip(sentences, parts, strict=True):
        own = tuple(
            dict.fromkeys(_of_sentence(languages[script], sentence.text) if script == _LATIN else languages[script]
                          for script in scripts)
        )  # fmt: skip
        found.append(own)
        for script, language in zip(scripts, own, strict=False):
            weights[language] += scripts[script]
    return Languages(weights.most_common(1)[0][0] if weights else UNKNOWN, tuple(found))


def language_of(text: str) -> str:
    """The language of a text taken as one sentence."""
    return recognise([Sentence(0, len(text), text)]).text


def language_name(code: str) -> str:
    """The English name of a language; "not recognised" for UNKNOWN."""
    if code in (ENGLISH, UNKNOWN):
        return "English" if code else "not recognised"
    from babel import Locale

    return str(Locale.parse("en").languages.get(code, code))


def _scripts(text: str) -> dict[str, int]:
    """How many letters of each script a sentence holds, the most first; a script of few letters is left out."""
    if text.isascii():
        return {_LATIN: len(text)} if _LETTER.search(text) else {}
    counts = {name: len(of.findall(text)) for name, of in _OF_SCRIPT.items()}
    other = sum(unicodedata.category(letter)[0] == "L" for letter in text) - sum(counts.values())
    if counts["kana"]:
        counts["kana"] += counts.pop("han")
    if other > 0:
        counts["other"] = other
    total = sum(counts.values())
    enough = {name: count for name, count in counts.items() if count and count >= _PART * total}
    return dict(sorted(enough.items(), key=lambda item: -item[1]))


def _of_script(script: str, text: str) -> str:
    """The language of a text written in one script."""
    if script in _ONE_LANGUAGE:
        return _ONE_LANGUAGE[script]
    if script == "han":
        return "zh"
    if script == "bengali":
        return "as" if _ASSAMESE.search(text) else "bn"
    words = _words(text, script)
    if not words:
        return UNKNOWN
    shares = _shares(words)
    if script == "ethiopic":
        return "ti" if shares.get("ti", 0.0) > shares.get("am", 0.0) else "am"
    ranked = sorted(shares, key=lambda language: -shares[language])
    best = ranked[0] if ranked else UNKNOWN
    if best == ENGLISH and shares[best] >= _CLEAR:
        return ENGLISH  # without the detector: English is as fast as before
    if len(words) <= _FEW and script == _LATIN:
        return _of_few(text, best, shares)
    if script == _LATIN and sum(_SCHWA in word for word in words) > _CLEAR * len(words):
        return "az"
    if script == "arabic" and not _NOT_ARABIC.search(text):
        articles = sum(_ARTICLE.match(word) is not None for word in words)
        if articles >= max(_SOME, _CLEAR * len(words)):
            return "ar"
    if best and shares[best] >= _CLEAR and all(_apart(words, best, other) for other in ranked[1:3]):
        return best
    told = _detect(text)
    if told == "ms" and shares.get("id", 0.0) >= shares.get("ms", 0.0):
        told = "id"  # the detector takes plain Indonesian for Malay
    enough = shares.get(best, 0.0) * (1.0 if best in _UNDETECTED else 0.7)
    if told in shares and shares[told] >= max(_LEAST, enough):
        return told
    if best and (shares[best] >= _CLEAR or (best == ENGLISH and text.isascii())):
        return best
    if told in shares or told not in _function_words():  # a longer text would hold more of its function words
        return told if len(words) <= _LONG else UNKNOWN
    return told if script != _LATIN or told == ENGLISH else UNKNOWN


def _of_few(text: str, best: str, shares: dict[str, float]) -> str:
    """The language of one to three words: nothing is sure but English function words, or what reads as English."""
    if best and shares[best] >= _CLEAR and (best == ENGLISH or shares.get(ENGLISH, 0.0) < shares[best]):
        return best
    return ENGLISH if text.isascii() and _detect(text) == ENGLISH else UNKNOWN


def _of_sentence(language: str, text: str) -> str:
    """The language of a Latin sentence in a text of `language`."""
    words = _words(text, _LATIN)
    if len(words) < _BACKED:
        return language
    shares = _shares(words)
    best = max(shares, key=shares.__getitem__, default=language)
    other = shares.get(best, 0.0) > max(_CLEAR, 2 * shares.get(language, 0.0))
    return best if other and _detect(text) == best else language


def _words(text: str, script: str) -> list[str]:
    of = _OF_SCRIPT.get(script, _LETTER)
    return [_folded(token.word) for token in islice(tokens(text), _SAMPLE) if of.search(token.word)]


def _folded(word: str) -> str:
    """A word without case or diacritics; Persian and Arabic letters that look the same are."""
    return key(unicodedata.normalize("NFKC", word)).translate(_ALIKE)


def _shares(words: Sequence[str]) -> dict[str, float]:
    """By language the share of the words that are its function words, 0..1, where there is any."""
    counts: Counter[str] = Counter()
    by_word = _by_word()
    for word in words:
        for language in by_word.get(word, ()):
            counts[language] += 1
    return {language: count / len(words) for language, count in counts.items()}


def _apart(words: Sequence[str], best: str, other: str) -> bool:
    """Whether clearly more of the words are in the best language's list alone than in the other's alone."""
    lists = _function_words()
    ours = sum(word in lists[best] and word not in lists[other] for word in words)
    theirs = sum(word in lists[other] and word not in lists[best] for word in words)
    return ours >= max(2, _APART * theirs)


@cache
def _function_words() -> dict[str, frozenset[str]]:
    lists = read_model(content_root() / "eval" / "function_words.yaml", _FunctionWords).root
    return {language: frozenset(_folded(word) for word in words.split()) for language, words in lists.items()}


@cache
def _by_word() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language, words in _function_words().items():
        for word in words:
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}


_lock = threading.Lock()
_detector: list[LanguageDetector] = []


def _detect(text: str) -> str:
    """What the statistical detector says; it is built at the first text that function words alone do not tell."""
    with _lock:
        if not _detector:
            from lingua import LanguageDetectorBuilder

            _detector.append(LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build())
    language = _detector[0].detect_language_of(text[:400])
    return UNKNOWN if language is None else language.iso_code_639_1.name.lower()
