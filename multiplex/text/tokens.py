"""Words of a text with their places, and how two spellings of a word are compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

# Soft hyphen, zero-width joiner, word joiner and zero-width no-break space show nothing and part no word.
_UNSEEN = "\u00ad\u200d\u2060\ufeff"
_NON_JOINER = "\u200c"  # parts a Persian ending from its word, which stays one word
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʻʿʾ´′", "'") | dict.fromkeys(_UNSEEN, ""))
# Letters with a stroke have no decomposition in Unicode, so stripping marks would leave them.
_STROKES = str.maketrans("łŁøØđĐħĦıŧŦ", "lLoOdDhHitT")
_FULL_WIDTH = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_MARK = re.compile("[\u0300-\u036f]")
# Chinese and Japanese write no spaces, so there every character is a word of its own.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs and other marks belong to the word, but Python's \w leaves them out.
JOINED = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    "\u06ea-\u06ed\u0711-\u074a\u07a6-\u07b0\u07eb-\u07f3\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u0f71-\u0fbc"
    "\u102b-\u103e\u1056-\u109d\u135d-\u135f\u17b4-\u17d3\u180b-\u180d\u1a17-\u1a1b\u1a55-\u1a7f\u1b00-\u1b44\u1b80-\u1bf3"
    "\u1c24-\u1c37\ua980-\ua9c0\uaa29-\uaa4d\uabe3-\uabea\uabec\uabed"
)
# The signs of ayn, hamza and okina are letters to Unicode; here they are apostrophes, which only stand inside a word.
_LETTER = f"(?:[^\\W_ʼʻʿʾ{_UNSPACED}]|[{JOINED}])"
_VOICED = "\u3099\u309a"  # marks of a decomposed kana
_WORD = re.compile(f"[{_UNSPACED}][{_VOICED}]?|{_LETTER}+(?:['’‘ʼʻʿʾ´′{_UNSEEN}]{_LETTER}+)*")
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
    return len(_ASCII_WORD.findall(text) if text.isascii() else _WORD.findall(text.replace(_NON_JOINER, "")))


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
