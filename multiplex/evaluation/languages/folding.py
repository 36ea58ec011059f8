"""How words of each script are compared: what a reader takes for the same word has the same key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from multiplex.text.tokens import Token, plain

# Marks that are seldom written: Arabic vowel signs, tatweel, Hebrew points, stress marks, joiners, direction marks.
_UNWRITTEN = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640\u0591-\u05c7\u0301\u0300\u200c-\u200f"
                        "\u202a-\u202e\u2066-\u2069\u00ad\u061c\u093c]")  # fmt: skip
# Amharic writes some sounds by one or another series of letters: ሠ as ሰ, ዐ as አ, ፀ as ጸ, ሐ and ኀ as ሀ; ሃ, ኣ as ሀ, አ.
_SERIES = {0x1220: 0x1230, 0x12D0: 0x12A0, 0x1340: 0x1338, 0x1210: 0x1200, 0x1280: 0x1200}
_AMHARIC = {chr(one + order): chr(other + order) for one, other in _SERIES.items() for order in range(7)} | {
    **dict.fromkeys("ሃሓኃ", "ሀ"), **dict.fromkeys("ኣዓ", "አ"),
}  # fmt: skip
_SAME = str.maketrans({
    **_AMHARIC,
    **dict.fromkeys("أإآٱ", "ا"), **dict.fromkeys("ىیئ", "ي"), "ة": "ه", "ۀ": "ه", "ک": "ك", "ؤ": "و", "ё": "е", "ँ": "ं",
    **dict.fromkeys("ʼʻʿʾ’‘´′", "'"), "ς": "σ", "·": "・",
})  # fmt: skip
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_MARKS = re.compile("[\u0300-\u036f]")
_INSIDE = "\u200c-\u200f\u202a-\u202e\u2066-\u2069\u00ad\u061c"  # signs that stand inside a word and are not of it
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
_MARK = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0981-\u0dff\u0e31-\u0e4e"
    "\u3099\u309a\uff9e\uff9f"
)
_LETTER = f"(?:[^\\W_ʼʻʿʾ{_UNSPACED}]|[{_MARK}])"
_WORD = re.compile(
    f"[{_UNSPACED}][\u3099\u309a\uff9e\uff9f]?|{_LETTER}(?:[{_INSIDE}]*(?:['’‘ʼʻʿʾ´′])?[{_INSIDE}]*{_LETTER})*"
)
_ZWNJ = "\u200c"


def fold(word: str) -> str:
    """The key of a word: NFKC, without case, unwritten marks or spelling variants, and in Latin without diacritics."""
    if word.isascii():
        return word.lower()
    word = unicodedata.normalize("NFKC", word).replace("İ", "i").replace("I", "i")
    if _GREEK.search(word):
        word = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", word)))
    word = unicodedata.normalize("NFC", _UNWRITTEN.sub("", unicodedata.normalize("NFD", word)))
    return plain(word.casefold()).translate(_SAME)


def marked(word: str) -> bool:
    """Whether a Latin word is written with diacritics."""
    return plain(word) != word and bool(re.search("[A-Za-z]", plain(word)))


def cut(text: str, by_character: bool) -> Iterator[Token]:
    """The words of a text, with the keys of `fold`; Chinese and Japanese characters stand alone.

    Persian writes "Iranians" as two parts round a zero-width non-joiner: they are two words here.
    """
    for match in _WORD.finditer(text):
        start = match.start()
        for piece in match.group().split(_ZWNJ):
            if piece:
                word = unicodedata.normalize("NFKC", piece)
                found = fold(piece)
                if by_character and len(found) > 1 and re.match(f"[{_UNSPACED}]", word):
                    for one in found:
                        yield Token(start, start + len(piece), one, one)
                elif found:
                    yield Token(start, start + len(piece), unicodedata.normalize("NFC", word), found)
            start += len(piece) + 1
