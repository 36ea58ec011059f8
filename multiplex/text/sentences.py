"""Splits an answer into sentences, Markdown included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from multiplex.text.abbreviations import (
    COUNTED,
    ENGLISH_STARTERS,
    LAST,
    LAST_LETTERS,
    NEVER,
    NUMBERED,
    SELDOM,
    STARTERS,
    TITLES,
)
from multiplex.text.tokens import JOINED, has_word, normal, plain

# Also of letters with signs ("बी.आर."), in which a single one may be any word.
_LETTER = f"[^\\W\\d_][{JOINED}]*"
_DOTTED = re.compile(rf"(?:(?:{_LETTER}){{1,3}}\.)+(?:{_LETTER}){{1,3}}|[^\W\d_]")
_NUMBER = re.compile(r"\d{1,2}|[ivxlc]{1,6}")
# Characters that show nothing may stand round a stop, above all where text runs from right to left.
_UNSEEN = "\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_PICTURES = "\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
# Also the German closing marks, and the French one after its space.
_CLOSERS = f"(?:[\"'”’“‘»›)\\]}}*_{_UNSEEN}{_PICTURES}]|[\u00a0\u202f](?=[»›]))*"
_FOOTNOTES = r"(?:\[\^?\d+(?:[,;–-] ?\^?\d+)*\]|[¹²³⁰⁴-⁹])*"
_END = rf"(?={_CLOSERS}{_FOOTNOTES}(?:\s|$))"
_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
STOPS = ".!?…؟۔‽‼⁇⁈⁉"
OWN_STOPS = "։।॥།༎။።፧፨។៕。！？｡\u037e܀᙮᠃᠉᱾᱿꯫꧉"
"""Stops that may stand inside a sentence too, and those of a script that has no other use for them."""
_STOP = re.compile(
    rf"(?P<mark>(?<![{STOPS}])[{STOPS}]++{_END}"
    rf"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);{_END}"  # the Greek question mark, as it is typed
    rf"|(?<=[\u1200-\u135a])(?:፡፡|::)"  # the Ethiopic full stop, as it is typed
    rf"|(?<=[{_NO_SPACES}])[!?]+(?=[{_NO_SPACES}])|(?<=[{_NO_SPACES}])．|[{OWN_STOPS}]+)"
    rf"(?P<close>{_CLOSERS}[」』）》】]*{_CLOSERS}{_FOOTNOTES})"
)
_CASELESS = frozenset(f"؟۔{OWN_STOPS}")
_BEFORE = re.compile(rf"[\w.'’{JOINED}-]*$")
_NEXT = re.compile(rf"[\s\"'“‘«‹(\[*_¿¡—–{_UNSEEN}-]*(\w*)")
_SYLLABLE = re.compile(f"[{_NO_SPACES}\\uac00-\\ud7af]")
_QUOTED_ON = re.compile(
    "って|と(?!ころ|ても|にかく|りわけ|はいえ)"
)  # behind a Japanese quotation: its sentence goes on

_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}(?:\s+|$)")
_UNDERLINE = re.compile(r"\s{0,3}(?:=+|-{2,})\s*$")
_RULE = re.compile(r"\s*(?:[-*_][ \t]*){3,}$")
_BULLETS = "•‣▪●◦∙⁃·・○■□◆◇★☆→➤►▶✓✔✅❖※\u2460-\u2473\u2776-\u277f"
_ITEM = re.compile(
    rf"\s*(?:(?:[-*+{_BULLETS}]\ufe0f?|(?P<number>\(?\d{{1,3}}[.)])|(?P<dash>–)|\(?[^\W\d_]\)|\d\ufe0f?\u20e3"
    r"|[가나다라마바사아자차카타파하]\.)\s+"
    rf"|(?:\d{{1,3}}[、．](?!\d)|\d{{1,3}}）|（[\d一二三四五六七八九十]{{1,3}}）|[一二三四五六七八九十]{{1,3}}、"
    rf"|[{_BULLETS}](?=[{_NO_SPACES}]))\s*)"
    r"(?:\[[ xX]\]\s+)?"
)
_PICTURE = re.compile("\\s*[\U0001f000-\U0001faff]")
_ROW = re.compile(r"\s*\||.*\S[ \t]\|[ \t]\S")
_ROW_LINE = re.compile(r"[\s|:-]*-[\s|:-]*$")
_BOLD = re.compile(r"\s*(\*\*\*?|__)(?:(?!\1).)+\1\s*:?\s*$")
_BREAK = re.compile(r"(?:[ \t]{2,}|\\|<br ?/?>)$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: `text` is the source from character `start` up to, not including, `end`."""

    start: int
    end: int
    text: str


def split(text: str) -> list[Sentence]:
    """The sentences of a text, in order, without overlap; each holds at least one word.

    A Markdown list item, heading and table row is one sentence, however many stops it holds. In
    running text a sentence ends at a stop of its script that no abbreviation, initial, ordinal or
    lower-case continuation takes back; abbreviations are known of English and of the languages of
    `eval/languages/`. A blank line, or a Markdown hard break, always ends one. Thai and Lao write no
    stops: there only these end a sentence.
    """
    found = []
    for start, end, whole in _blocks(text):
        for first, last in [(start, end)] if whole else _prose(text, start, end):
            piece = text[first:last]
            left = first + len(piece) - len(piece.lstrip())
            right = last - len(piece) + len(piece.rstrip())
            if left < right and has_word(text[left:right]):
                found.append(Sentence(left, right, text[left:right]))
    return found


def _blocks(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whole): stretches that no sentence crosses; `whole` ones are one sentence each."""
    start: int | None = None
    end = 0
    whole = quoted = False
    lines = at = 0
    for line in text.splitlines(keepends=True):
        left, at = at, at + len(line)
        line = line.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
        if quote := _QUOTE.match(line):
            left, line = left + quote.end(), line[quote.end() :]
        if start is not None and quoted != bool(quote):
            yield start, end, whole
            start = None
        quoted = bool(quote)
        right = left + len(line)
        item = _ITEM.match(line)
        if item and start is not None and not whole and _is_wrapped(item, text[max(start, end - 9) : end]):
            item = None
        rule = bool(_RULE.match(line))
        underline = start is not None and not whole and lines == 1 and bool(_UNDERLINE.match(line))
        alone = bool(_HEADING.match(line) or _ROW.match(line) or _BOLD.match(line))
        if not line.strip() or rule or underline or alone or item or _FENCE.match(line) or _PICTURE.match(line):
            if start is not None:
                yield start, end, whole or underline
            start = None
        if not line.strip() or rule or underline or _FENCE.match(line) or _ROW_LINE.match(line):
            continue
        if alone and not item:
            heading = _HEADING.match(line)
            yield left + (heading.end() if heading else 0), right, True
        elif item:
            start, end, whole, lines = left + item.end(), right, True, 1
        else:
            if start is None:
                start, whole, lines = left, False, 0
            end, lines = right, lines + 1
            if _BREAK.search(line) and not whole:
                yield start, end, False
                start = None
    if start is not None:
        yield start, end, whole


def _is_wrapped(item: re.Match[str], before: str) -> bool:
    """Whether a line of prose, which goes on from such a one, only happens to begin with a number or a dash."""
    number = item["number"]
    marked = item["dash"] or (number and int(number.strip("(.)")) != 1)
    return bool(marked) and not before.rstrip(" \t*_").endswith((":", "："))


def _prose(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence of running text."""
    for stop in _STOP.finditer(text, start, end):
        if stop.end() > start and _ends(text, stop, start, end):
            yield start, stop.end()
            start = stop.end()
    if start < end:
        yield start, end


def _ends(text: str, stop: re.Match[str], start: int, end: int) -> bool:
    """Whether a stop ends its sentence, told by the word before it and the word after it."""
    mark = stop["mark"]
    if mark[-1] in _CASELESS:
        return not ("」" in stop["close"] or "』" in stop["close"]) or not _QUOTED_ON.match(text, stop.end(), end)
    after = _NEXT.match(text, stop.end(), end)
    following = after[1] if after else ""
    first = following[:1]
    if first.islower() and first.title() != first:  # a Georgian letter counts as small, and begins sentences
        return False
    if mark != ".":
        return True
    before = _BEFORE.search(text, max(start, stop.start() - 20), stop.start())
    return _ends_behind(normal(before.group()).strip("'-") if before else "", following)


def _ends_behind(written: str, following: str) -> bool:
    """Whether a full stop behind this word and before that one ends a sentence."""
    word, after = written.lower(), following.lower()
    if word in NEVER or written in TITLES or (word in NUMBERED and after[:1].isdigit()):
        return False
    if after in COUNTED and _NUMBER.fullmatch(word):
        return False
    dotted = _DOTTED.fullmatch(word) is not None and not _SYLLABLE.match(word) and not _is_word(written)
    if not dotted and word not in SELDOM:
        return True
    often_last = word in LAST or (written.islower() and (written in LAST_LETTERS or (dotted and "." in written)))
    return not after or after in (STARTERS if often_last else ENGLISH_STARTERS)


def _is_word(letter: str) -> bool:
    """Whether a single letter is a word and no abbreviation, such as the Portuguese "é" and the Russian "я"."""
    return len(letter) == 1 and letter.islower() and (plain(letter) != letter or letter == "я")
