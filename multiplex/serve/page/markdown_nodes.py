"""Markdown as a tree of nodes that a page builds element by element, so that no text is ever read as HTML.

A node is a string, or {"t": tag, "c": [nodes]}; a numbered list may have a "start". References lie in it as
{"t": "mark", "r": [their numbers], "c": [nodes]}, what our own code wrote as {"t": "s", "c": [nodes]}; further nodes of
the caller's stand at single places. Links and images
stay as they were written: a model's address is a claim like any other, and nothing is loaded because of it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from multiplex.evaluation.extraction.references import Reference, Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

Node = str | dict[str, Any]

_TAGS = {
    "p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "blockquote", "hr", "table", "thead", "tbody", "tr",
    "th", "td",
}  # no `s`, which is our own  # fmt: skip
_HEADING = 3  # at least: the page's own headings stand above those of a text
_DEEPEST = 40  # elements in one another; what is deeper stands in the last of them
_NESTED = 30  # levels of quotations and lists; the signs of those within stay as they were written
_PARSED = 100  # levels after which the parser drops what it reads, in silence: none is reached
_PLANE = range(0xF0000, 0xFFFFE)  # private use: no text means anything by them
_DIGITS = 16
_WIDTH = 4
_WORDS = re.compile(r"[^\W_](?:.*[^\W_])?")
_OURS = re.compile(r"[^\s#>*_+|-](?:.*[^\s*_])?")  # our code writes brackets and stops, and no numbered list


def prose(
    text: str,
    references: Sequence[Reference] = (),
    scaffold: Sequence[Span] = (),
    points: Sequence[tuple[int, Node]] = (),
) -> list[Node]:
    """The nodes of a Markdown text, its references numbered as they are given; `points` are nodes at places of it.

    Every boundary of a reference or of scaffold goes through the parser as a few characters that mean nothing to it and
    stand nowhere in the text, and becomes a boundary of nodes again.
    """
    stretches = [
        _Stretch(*span, number)
        for number, each in enumerate(references)
        for span in _in_lines(text, each.start, each.end, _WORDS)
    ]
    stretches += [_Stretch(*span, None) for start, end in scaffold for span in _in_lines(text, start, end, _OURS)]
    cuts = sorted({place for each in stretches for place in (each.start, each.end)} | {place for place, _ in points})
    signs = _signs(text)
    if signs is None or len(cuts) >= _DIGITS**_WIDTH:
        stretches, cuts, points = [], [], ()
    marked, last = [], 0
    for number, place in enumerate(cuts):
        marked += [text[last:place], _written(number, signs or "")]
        last = place
    marked.append(text[last:])
    reader = _Reader(text, cuts, list(_holding(cuts, stretches)), signs or "", points)
    return reader.nodes(_markdown().parse("".join(marked)))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Characters `start` up to `end` of one line: of a reference by its number, or (None) of scaffold."""

    start: int
    end: int
    number: int | None


def _in_lines(text: str, start: int, end: int, kept: re.Pattern[str]) -> Iterator[Span]:
    """What lies in a span, line by line, without the signs of Markdown around it."""
    for line in re.finditer(r"[^\r\n]+", text[start:end]):
        if found := kept.search(line[0]):
            yield start + line.start() + found.start(), start + line.start() + found.end()


def _holding(cuts: Sequence[int], stretches: Iterable[_Stretch]) -> Iterator[tuple[list[int], bool]]:
    """What holds from each cut to the next: the references' numbers, and whether scaffold does."""
    begin: dict[int, list[_Stretch]] = {}
    for each in stretches:
        begin.setdefault(each.start, []).append(each)
    held: list[_Stretch] = []
    for cut in cuts:
        held = [each for each in held if each.end > cut] + begin.get(cut, [])
        numbers = sorted({each.number for each in held if each.number is not None})
        yield numbers, any(each.number is None for each in held)


def _signs(text: str) -> str | None:
    """Characters that stand nowhere in the text: a first one and sixteen digits; None where there are too few."""
    there = {ord(sign) for sign in text if ord(sign) >= _PLANE.start}
    free = (chr(code) for code in _PLANE if code not in there)
    found = "".join(sign for _, sign in zip(range(_DIGITS + 1), free, strict=False))
    return found if len(found) > _DIGITS else None


def _written(number: int, signs: str) -> str:
    digits = [signs[1 + (number // _DIGITS**place) % _DIGITS] for place in reversed(range(_WIDTH))]
    return signs[0] + "".join(digits)


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import blockquote, list_block

    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": _PARSED}).enable("table")
    reader.block.ruler.at("blockquote", _bounded(blockquote), {"alt": ["paragraph", "reference", "blockquote", "list"]})
    reader.block.ruler.at("list", _bounded(list_block), {"alt": ["paragraph", "reference", "blockquote"]})
    return reader.disable(["image", "link", "autolink", "reference", "html_block", "html_inline", "entity"])


def _bounded(rule: Callable[[StateBlock, int, int, bool], bool]) -> Callable[[StateBlock, int, int, bool], bool]:
    """A rule that opens nothing where _NESTED levels are open."""
    return lambda state, start, end, silent: state.level < _NESTED and rule(state, start, end, silent)


class _Reader:
    """Turns the parser's tokens into nodes; it remembers the cut after which it reads."""

    def __init__(
        self,
        text: str,
        cuts: Sequence[int],
        holding: Sequence[tuple[list[int], bool]],
        signs: str,
        points: Sequence[tuple[int, Node]] = (),
    ) -> None:
        self._cuts, self._holding = cuts, holding
        self._lines = [0, *(line.end() for line in re.finditer(r"\r\n|\r|\n", text))]
        self._sign = re.compile(f"{signs[0]}([{signs[1:]}]{{{_WIDTH}}})") if signs else None
        self._digits = signs[1:]
        self._points: dict[int, list[Node]] = {}
        for place, node in points:
            self._points.setdefault(cuts.index(place), []).append(node)
        self._cut = -1

    def nodes(self, tokens: Iterable[Token]) -> list[Node]:
        """The nodes of a whole text."""
        root: list[Node] = []
        self._read(tokens, [root])
        return root

    def _read(self, tokens: Iterable[Token], inside: list[list[Node]]) -> None:
        """Add what the tokens mean to the innermost of the open elements."""
        for token in tokens:
            if token.map:  # what the parser left out before this line, such as a cell too many, is over
                start = self._lines[min(token.map[0], len(self._lines) - 1)]
                self._cut = max(self._cut, bisect_right(self._cuts, start) - 1)
            if token.nesting > 0:
                inside.append(self._opened(token, inside[-1], len(inside)))
            elif token.nesting < 0:
                inside.pop()
            elif token.type == "inline":
                self._read(token.children or (), inside)
            else:
                inside[-1] += self._leaf(token)

    def _opened(self, token: Token, parent: list[Node], depth: int) -> list[Node]:
        """The children's place of an element that begins; its parent's where it is none of the page's."""
        tag = token.tag
        if tag.startswith("h") and tag[1:].isdigit():
            tag = f"h{min(6, max(_HEADING, int(tag[1:]) + 1))}"
        if token.hidden or tag not in _TAGS or depth > _DEEPEST:  # hidden: a paragraph of a list without blank lines
            return parent
        children: list[Node] = []
        start = token.attrGet("start") if tag == "ol" else None
        parent.append({"t": tag, "c": children} if start is None else {"t": tag, "c": children, "start": int(start)})
        return children

    def _leaf(self, token: Token) -> list[Node]:
        if token.type in ("softbreak", "hardbreak"):
            return ["\n"] if token.type == "softbreak" else [{"t": "br", "c": []}]
        if token.type == "hr":
            return [{"t": "hr", "c": []}]
        held = self._text(token.content)
        if token.type == "text":
            return held
        code: Node = {"t": "code", "c": held}
        return [code] if token.type == "code_inline" else [{"t": "pre", "c": [code]}]

    def _text(self, content: str) -> list[Node]:
        if self._sign is None:
            return [content] if content else []
        found: list[Node] = []
        last = 0
        for sign in self._sign.finditer(content):
            found += self._held(content[last : sign.start()])
            number = 0
            for digit in sign[1]:
                number = number * _DIGITS + self._digits.index(digit)
            self._cut = number
            found += self._points.pop(number, [])
            last = sign.end()
        return found + self._held(content[last:])

    def _held(self, piece: str) -> list[Node]:
        """A piece between two cuts, with all that holds there."""
        if not piece:
            return []
        numbers, scaffold = self._holding[self._cut] if self._cut >= 0 else ([], False)
        if numbers:
            return [{"t": "mark", "r": numbers, "c": [piece]}]
        return [{"t": "s", "c": [piece]}] if scaffold else [piece]
