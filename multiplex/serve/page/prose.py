"""Markdown as a tree of nodes that a page builds element by element, so that no text is ever read as HTML.

A node is a string, or {"t": tag, "c": [nodes]}. References lie in it as {"t": "mark", "r": [their numbers],
"c": [nodes]}, what our own code wrote as {"t": "s", "c": [nodes]}. Links and images stay as they were written: a
model's address is a claim like any other, and nothing is loaded because of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from multiplex.evaluation.references import Reference, Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

Node = str | dict[str, Any]

_TAGS = {
    "p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "strong", "em", "blockquote", "hr", "table", "thead", "tbody", "tr",
    "th", "td",
}  # no `s`, which is our own  # fmt: skip
_HEADING = 3  # at least: the page's own headings stand above those of a text
_PLANE = range(0xF0000, 0xFFFFE)  # private use: no text means anything by them
_DIGITS = 16
_WIDTH = 4


def prose(text: str, references: Sequence[Reference] = (), scaffold: Sequence[Span] = ()) -> list[Node]:
    """The nodes of a Markdown text, its references numbered as they are given.

    Every boundary of a reference or of scaffold goes through the parser as a few characters that mean nothing to it and
    stand nowhere in the text, and becomes a boundary of nodes again.
    """
    spans = [*((each.start, each.end) for each in references), *_in_lines(text, scaffold)]
    cuts = sorted({place for span in spans for place in span})
    signs = _signs(text)
    if signs is None or len(cuts) >= _DIGITS**_WIDTH:
        spans, cuts = [], []
    marked, last = [], 0
    for number, place in enumerate(cuts):
        marked += [text[last:place], _written(number, signs or "")]
        last = place
    marked.append(text[last:])
    return _Reader(spans, len(references), cuts, signs or "").nodes(_parsed("".join(marked)))


def _in_lines(text: str, scaffold: Sequence[Span]) -> Iterator[Span]:
    """The words of each line of scaffold, without the signs before them that make a heading or a list of it."""
    for start, end in scaffold:
        for line in re.finditer(r"[^\n]+", text[start:end]):
            if words := re.search(r"\w(?:.*\w)?", line[0]):
                yield start + line.start() + words.start(), start + line.start() + words.end()


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

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    return reader.disable(["image", "link", "autolink", "reference", "html_block", "html_inline", "entity"])


def _parsed(text: str) -> SyntaxTreeNode:
    from markdown_it.tree import SyntaxTreeNode

    return SyntaxTreeNode(_markdown().parse(text))


class _Reader:
    """Turns the parser's tree into nodes; it remembers which spans hold at the place where it reads."""

    def __init__(self, spans: Sequence[Span], references: int, cuts: Sequence[int], signs: str) -> None:
        self._spans, self._references, self._cuts = spans, references, cuts
        self._sign = re.compile(f"{signs[0]}([{signs[1:]}]{{{_WIDTH}}})") if signs else None
        self._digits = signs[1:]
        self._place = -1  # in the text, as far as cuts tell

    def nodes(self, tree: SyntaxTreeNode) -> list[Node]:
        """The nodes of everything inside."""
        found: list[Node] = []
        for child in tree.children:
            found += self._node(child)
        return found

    def _node(self, node: SyntaxTreeNode) -> list[Node]:
        kind = node.type
        if kind == "inline":
            return self.nodes(node)
        if kind in ("text", "code_inline", "code_block", "fence"):
            held = self._text(node.content)
            if kind == "text":
                return held
            code: Node = {"t": "code", "c": held}
            return [code] if kind == "code_inline" else [{"t": "pre", "c": [code]}]
        if kind in ("softbreak", "hardbreak"):
            return ["\n"] if kind == "softbreak" else [{"t": "br", "c": []}]
        tag = node.tag
        if tag.startswith("h") and tag[1:].isdigit():
            tag = f"h{min(6, max(_HEADING, int(tag[1:]) + 1))}"
        children = self.nodes(node)
        if kind == "paragraph" and node.hidden:  # of a list without blank lines
            return children
        return [{"t": tag, "c": children}] if tag in _TAGS else children

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
            self._place = self._cuts[number]
            last = sign.end()
        return found + self._held(content[last:])

    def _held(self, piece: str) -> list[Node]:
        """A piece between two cuts with all that holds there."""
        if not piece:
            return []
        here = [number for number, (start, end) in enumerate(self._spans) if start <= self._place < end]
        referring = [number for number in here if number < self._references]
        if referring:
            return [{"t": "mark", "r": referring, "c": [piece]}]
        return [{"t": "s", "c": [piece]}] if here else [piece]
