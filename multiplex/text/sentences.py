"""Splits an answer into sentences, Markdown included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from multiplex.text.tokens import JOINED, has_word

# A full stop after these never ends a sentence: something always follows.
_NEVER = frozenset(("mr", "mrs", "ms", "dr", "prof", "rev", "vs", "cf", "viz", "e.g", "i.e", "approx"))
# After these, and after initials, it ends one only where the next word begins sentences.
_SELDOM_TEXT = (
    "st mt ft jr sr fr hon ven gen col lt capt sgt pres gov sen rep dept univ est inc ltd co corp etc al ca "
    "fig figs vol ch pp ed eds trans jan feb mar apr jun jul aug sep sept oct nov dec"
)
_SELDOM = frozenset(_SELDOM_TEXT.split())
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}|[^\W\d_]")
_STARTERS_TEXT = (
    "the this that these those in on at for from to with by as it its he she they we you his her their our my "
    "there here but and so yet if when while where what who why how although though because since after before "
    "however moreover therefore thus also many most some few all both each every no not one another such "
    "people families elders among within across even instead similarly finally"
)
_STARTERS = frozenset(_STARTERS_TEXT.split())
# Characters that show nothing may stand round a stop, above all where text runs from right to left.
_UNSEEN = "\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
# Also the German closing marks, and the French one after its space.
_CLOSERS = f"(?:[\"'”’“‘»›)\\]}}*_{_UNSEEN}]|[\u00a0\u202f](?=[»›]))*"
_FOOTNOTES = r"(?:\[\d+\])*"
_NO_SPACES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
STOPS, OWN_STOPS = ".!?…؟۔‽", "։।॥།။።፧፨។៕。！？｡"
"""Stops that may stand inside a sentence too, and those of a script that has no other use for them."""
_STOP = re.compile(
    rf"(?P<mark>(?<![{STOPS}])[{STOPS}]++(?={_CLOSERS}{_FOOTNOTES}(?:\s|$))"
    rf"|(?<=[{_NO_SPACES}])[!?]+(?=[{_NO_SPACES}])|[{OWN_STOPS}]+)"
    rf"(?P<close>{_CLOSERS}[」』）》】]*{_CLOSERS}{_FOOTNOTES})"
)
_CASELESS = frozenset(f"؟۔{OWN_STOPS}")
_BEFORE = re.compile(rf"[\w.'’{JOINED}-]*$")
_NEXT = re.compile(rf"[\s\"'“‘«‹(\[*_¿¡—–{_UNSEEN}-]*(\w*)")
_SYLLABLE = re.compile(f"[{_NO_SPACES}\\uac00-\\ud7af]")

_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}(?:\s+|$)")
_UNDERLINE = re.compile(r"\s{0,3}(?:=+|-{2,})\s*$")
_RULE = re.compile(r"\s*(?:[-*_][ \t]*){3,}$")
_ITEM = re.compile(
    r"\s*(?:(?:[-*+•‣▪●◦∙]|(?P<number>\(?\d{1,3}[.)])|\(?[a-z]\))\s+|(?:\d{1,3}、(?!\d)|（\d{1,3}）)\s*)"
    r"(?:\[[ xX]\]\s+)?"
)
_ROW = re.compile(r"\s*\||.*\S[ \t]\|[ \t]\S")
_ROW_LINE = re.compile(r"[\s|:-]*-[\s|:-]*$")
_BOLD = re.compile(r"\s*(\*\*|__)(?:(?!\1).)+\1\s*:?\s*$")
_BREAK = re.compile(r"(?:[ \t]{2,}|\\|<br ?/?>)$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: `text` is the source from character `start` up to, not including, `end`."""

    start: int
    end: int
    text: str


def split(text: str) -> list[Sentence]:
    """The sentences of a text, in order, without overlap; each holds at least one word.

    A Markdown list item, heading and table row is one sentence, however many stops it holds; in
    running text a sentence ends at a stop of the Latin, Arabic, Urdu, Ethiopic, Devanagari, Armenian,
    Tibetan, Burmese, Khmer, Chinese or Japanese script that no abbreviation, initial or lower-case
    continuation takes back. A blank line, or a Markdown hard break, always ends one. Thai and Lao
    write no stops: there only these end a sentence.
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
        if item and start is not None and not whole and item["number"] and int(item["number"].strip("(.)")) != 1:
            item = None  # a wrapped line of prose that happens to begin with a number
        rule = bool(_RULE.match(line))
        underline = start is not None and not whole and lines == 1 and bool(_UNDERLINE.match(line))
        alone = bool(_HEADING.match(line) or _ROW.match(line) or _BOLD.match(line))
        if not line.strip() or rule or underline or alone or item or _FENCE.match(line):
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
        return True
    after = _NEXT.match(text, stop.end(), end)
    following = after[1] if after else ""
    first = following[:1]
    if first.islower() and first.title() != first:  # a Georgian letter counts as small, and begins sentences
        return False
    if mark != ".":
        return True
    before = _BEFORE.search(text, max(start, stop.start() - 20), stop.start())
    word = before.group().strip("'’-").lower() if before else ""
    if word in _NEVER:
        return False
    if word == "no":
        return not following[:1].isdigit()
    if word in _SELDOM or (_DOTTED.fullmatch(word) and not _SYLLABLE.match(word)):
        return following.lower() in _STARTERS or not following
    return True
