"""Finds where a quotation stands in a sentence, however its marks, spaces and apostrophes are written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from multiplex.text.tokens import has_word

_QUOTES = str.maketrans(
    {**dict.fromkeys("’‘‚‛ʼʻʿʾ´`′", "'"), **dict.fromkeys("“”„‟«»″「」『』", '"'), **dict.fromkeys("<>", "‹")}
    | {"›": "‹"}
)
_WIDE = str.maketrans({wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)})
_TATWEEL = "\u0640"  # stretches an Arabic word


def locate(quotation: str, sentence: str) -> tuple[int, int] | None:
    """Where a quotation stands in a sentence: (start, end) in the sentence's own characters, or None.

    Compared in NFC with one kind of each quotation mark and single spaces, full-width letters as plain ones, case
    kept. What a model leaves out in copying is passed over: vowel signs of Arabic and Hebrew, Markdown's asterisks, and
    characters that show nothing, such as joiners and marks of direction. Where it stands several times, the first place
    that begins and ends with whole words is taken.
    """
    (whole, places), wanted = _folded(sentence), _folded(quotation)[0].strip()
    if not has_word(wanted):
        return None
    starts = [at for at in range(len(whole) - len(wanted) + 1) if whole.startswith(wanted, at)]
    if not starts:
        return None
    best = next((at for at in starts if _stands_alone(whole, at, at + len(wanted))), starts[0])
    return places[best][0], places[best + len(wanted) - 1][1]


def _folded(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text as quotations are compared, and where each of its characters stands in the source: (start, end)."""
    letters: list[str] = []
    places: list[tuple[int, int]] = []
    for start, end in _clusters(text):
        for letter in _nfc(text[start:end]).translate(_WIDE).translate(_QUOTES):
            if letter == "*":
                continue
            if _is_optional(letter):
                if places:
                    places[-1] = (places[-1][0], end)
            elif letter.isspace() and letters[-1:] == [" "]:
                places[-1] = (places[-1][0], end)
            else:
                letters.append(" " if letter.isspace() else letter)
                places.append((start, end))
    return "".join(letters), places


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the shortest pieces that NFC composes apart from each other."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not _joins(text[start:at], text[at]):
            yield start, at
            start = at


def _joins(piece: str, letter: str) -> bool:
    if letter.isascii():
        return False
    return bool(unicodedata.combining(letter)) or _nfc(piece + letter) != _nfc(piece) + _nfc(letter)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_optional(letter: str) -> bool:
    if letter.isascii():
        return False
    kind = unicodedata.category(letter)
    return (
        kind == "Cf"
        or letter == _TATWEEL
        or (kind == "Mn" and unicodedata.name(letter, "").startswith(("ARABIC", "HEBREW")))
    )


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no word goes on across either end."""
    before = start > 0 and _in_word(text[start - 1]) and _in_word(text[start])
    after = end < len(text) and _in_word(text[end - 1]) and _in_word(text[end])
    return not before and not after


def _in_word(letter: str) -> bool:
    """Whether it is a letter, a digit, or a sign that belongs to one, such as a vowel of Devanagari."""
    return letter.isalnum() or unicodedata.category(letter).startswith("M")
