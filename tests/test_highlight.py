"""Coloured references: every character of the text, escaped, in its place."""

from __future__ import annotations

import re
from html import unescape

from multiplex.evaluation import KNOWN, Reference
from multiplex.present.highlight import COLOURS, STYLE, legend, marked

TEXT = 'Kant & <b>ubuntu</b> "meet" in Lagos.'


def reference(piece: str, perspective: str, cue: str = "concept", echo: bool = False) -> Reference:
    start = TEXT.index(piece)
    return Reference(start, start + len(piece), piece, piece.lower(), perspective, cue, 0, echo)  # type: ignore[arg-type]


def bare(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_the_text_comes_back_whole_and_escaped() -> None:
    html = marked(TEXT, [reference("Kant", "western"), reference("Lagos", "african", "place")], [(30, 32)])
    assert bare(html) == TEXT
    assert "<b>" not in html
    assert '<mark class="western concept" data-code="We" title="western, concept, kant">Kant</mark>' in html
    assert '<mark class="african place"' in html


def test_overlapping_references_are_cut_and_named_together() -> None:
    whole = Reference(0, len(TEXT), TEXT, "", "african", "implied", 0, score=0.7)
    html = marked(TEXT, [whole, reference("Kant", "western")])
    assert bare(html) == TEXT
    assert 'data-code="Af·We"' in html
    assert "probability 0.70" in html


def test_an_echo_says_that_it_is_not_counted() -> None:
    html = marked(TEXT, [reference("ubuntu", "african", echo=True)])
    assert 'class="african concept echo"' in html
    assert "echo of the question, not counted" in html


def test_every_perspective_has_a_colour_and_a_code_of_its_own() -> None:
    assert set(COLOURS) == set(KNOWN)
    assert len({code for _, code in COLOURS.values()}) == len({colour for colour, _ in COLOURS.values()}) == len(KNOWN)
    assert all(f"mark.{name} " in STYLE and name.replace("_", " ") in legend() for name in KNOWN)
