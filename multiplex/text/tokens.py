"""Words of a text with their places, and how two spellings of a word are compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

# Soft hyphen, word joiner and zero-width no-break space show nothing and part no word.
_UNSEEN = "\u00ad\u2060\ufeff"
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʻʿʾ´′", "'") | dict.fromkeys(_UNSEEN, ""))
# Letters with a stroke have no decomposition in Unicode, so stripping marks would leave them.
_STROKES = str.maketrans("łŁøØđĐħĦıŧŦ", "lLoOdDhHitT")
_FULL_WIDTH = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_MARK = re.compile("[\u0300-\u036f]")
# Chinese and Japanese write no spaces, so there every character is a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and other marks belong to the word, but Python's \w leaves them out.
JOINED = (
    "\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0f71-\u0fbc\u102b-\u103e\u17b4-\u17d3"
)
# The signs of ayn, hamza and okina are letters to Unicode; here they are apostrophes, which only stand inside a word.
_LETTER = f"(?:[^\\W_ʼʻʿʾ{_UNSPACED}]|[{JOINED}])"
_WORD = re.compile(f"[{_UNSPACED}]|{_LETTER}+(?:['’‘ʼʻʿʾ´′{_UNSEEN}]{_LETTER}+)*")
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*")  # what _WORD finds in ASCII, several times as fast


class Token(NamedTuple):
    """One word: `text[start:end]`, with `word` its NFC spelling and `key` that without case or diacritics."""

    start: int
    end: int
    word: str
    key: str


def tokens(text: str) -> list[Token]:
    """The words of a text in order; a word keeps its inner apostrophes ("Qur'an", "Japan's")."""
    if text.isascii():
        return [
            Token(match.start(), match.end(), word := match.group(), word.lower())
            for match in _ASCII_WORD.finditer(text)
        ]
    found = []
    for match in _WORD.finditer(text):
        word = normal(match.group())
        found.append(Token(match.start(), match.end(), word, key(word)))
    return found


def count_words(text: str) -> int:
    """How many words a text has; numbers count, punctuation and Markdown marks do not.

    A Chinese or Japanese character counts as one word.
    """
    return len((_ASCII_WORD if text.isascii() else _WORD).findall(text))


def has_word(text: str) -> bool:
    """Whether a text holds a word at all."""
    return (_ASCII_WORD if text.isascii() else _WORD).search(text) is not None


def normal(word: str) -> str:
    """A word in Unicode NFC with one kind of apostrophe and without unseen signs; full-width letters become plain."""
    form: Literal["NFC", "NFKC"] = "NFKC" if _FULL_WIDTH.search(word) else "NFC"
    return unicodedata.normalize(form, word).translate(_APOSTROPHES)


def plain(word: str) -> str:
    """A word without diacritics, case kept: "Māori" -> "Maori", "Łódź" -> "Lodz"."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _MARK.sub("", unicodedata.normalize("NFD", word))).translate(_STROKES)


def key(word: str) -> str:
    """A word without diacritics or case: what an index is keyed by."""
    return plain(word).casefold()
