"""A text as HTML with its references coloured by perspective; everything that comes from outside is escaped."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from html import escape

from multiplex.evaluation import KNOWN, Entity, Reference
from multiplex.evaluation.extraction.facets import AXES
from multiplex.evaluation.extraction.frame import HEADLINE_CUES
from multiplex.evaluation.extraction.references import Span

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# Paul Tol's "light" and "muted" schemes, told apart by colour-blind readers; the letters tell them apart in print.
COLOURS: Mapping[str, tuple[str, str]] = {
    "western": ("#77aadd", "We"), "islamic": ("#44bb99", "Is"), "east_asian": ("#ee8866", "Ea"),
    "south_asian": ("#eedd88", "Sa"), "african": ("#bbcc33", "Af"), "latin_american": ("#ffaabb", "La"),
    "indigenous": ("#aaaa00", "In"), "southeast_asian": ("#99ddff", "Se"), "eastern_european": ("#cc99bb", "Ee"),
    "jewish": ("#ddcc77", "Je"), "christian": ("#bbaaee", "Ch"), "secular": ("#dddddd", "Sc"),
}  # fmt: skip

# What other frames count over, in the colours of what is nearest; a user's own perspectives stay grey.
_MORE: Mapping[str, tuple[str, str]] = {
    "islam": ("#44bb99", "Is"), "christianity": ("#bbaaee", "Ch"), "judaism": ("#ddcc77", "Ju"),
    "hinduism": ("#eedd88", "Hi"), "buddhism": ("#ffaabb", "Bu"), "confucian_daoist": ("#ee8866", "Co"),
    "sikh_jain": ("#99ddff", "Si"), "indigenous_religions": ("#aaaa00", "In"), "western_european": ("#77aadd", "We"),
    "north_american": ("#bbaaee", "Na"), "middle_eastern": ("#44bb99", "Me"), "oceanian": ("#aaaa00", "Oc"),
}  # fmt: skip


def colour_of(name: str) -> tuple[str, str]:
    """The colour and the letters of a perspective of any frame."""
    return COLOURS.get(name) or _MORE.get(name) or ("#dddddd", name[:2].title())


STYLE = "\n".join(
    [
        "mark { color: #000; border-radius: .2em; padding: 0 .15em; background: #ddd }",
        "mark::after { content: attr(data-code); font-size: .6em; vertical-align: super; margin-left: .15em }",
        "mark.place { background: none; color: inherit; border: 1px solid; }",
        "mark.implied { background: none; color: inherit; text-decoration: underline dotted; }",
        "mark.echo { opacity: .6 }",
        "s.scaffold { text-decoration: none; opacity: .5 }",
        ".text { white-space: pre-wrap; overflow-wrap: anywhere }",
        *(
            f"mark.{name} {{ background: {colour}; border-color: {colour} }}"
            for name, (colour, _) in {**COLOURS, **_MORE}.items()
        ),
        # after the colours, so that a mere label stays without one
        "mark.place, mark.implied { background: none }",
    ]
)


def marked(
    text: str,
    references: Sequence[Reference],
    scaffold: Sequence[Span] = (),
    entities: Mapping[str, Entity] | None = None,
) -> str:
    """The text with a `<mark>` round every reference, its cue, entity and source told on pointing at it.

    Overlapping references are cut into stretches, each naming all that hold there; scaffold is greyed.
    """
    cuts = {0, len(text)}
    for reference in references:
        cuts |= {reference.start, reference.end}
    for span in scaffold:
        cuts |= set(span)
    places = sorted(cuts)
    parts = []
    for start, end in itertools.pairwise(places):
        piece = escape(text[start:end])
        here = [each for each in references if each.start <= start and end <= each.end]
        if here:
            piece = _mark(piece, here, entities or {})
        elif any(first <= start and end <= last for first, last in scaffold):
            piece = f'<s class="scaffold">{piece}</s>'
        parts.append(piece)
    return "".join(parts)


def _mark(piece: str, here: Sequence[Reference], entities: Mapping[str, Entity]) -> str:
    strongest = min(here, key=lambda each: ("named", "concept", "place", "implied").index(each.cue))
    classes = [strongest.perspective, strongest.cue, *(["echo"] if strongest.echo else [])]
    codes = "·".join(dict.fromkeys(colour_of(each.perspective)[1] for each in here))
    told = "; ".join(dict.fromkeys(_told(each, entities) for each in here))
    return f'<mark class="{" ".join(classes)}" data-code="{codes}" title="{escape(told)}">{piece}</mark>'


def _told(reference: Reference, entities: Mapping[str, Entity]) -> str:
    words = [reference.perspective.replace("_", " "), reference.cue]
    if reference.entity:
        words.append(reference.entity.replace("_", " "))
    words += [f"{axis} {_plain(values)}" for axis in AXES if (values := getattr(reference.facets, axis))]
    if reference.cue == "implied":
        words.append(f"probability {reference.score:.2f}")
    if reference.echo:
        words.append("echo of the question, not counted")
    entity = entities.get(reference.entity)
    return ", ".join(words) + (f" ({entity.source})" if entity and entity.source else "")


def _plain(values: Sequence[str]) -> str:
    return " and ".join(values).replace("_", " ")


def legend(names: Sequence[str] = KNOWN, cues: Sequence[str] = HEADLINE_CUES) -> str:
    """What the colours and letters stand for, and which cues the figures count."""
    marks = " ".join(
        f'<mark class="{name}" data-code="{colour_of(name)[1]}">{name.replace("_", " ")}</mark>' for name in names
    )
    return (
        f'<p class="legend">{marks}<br>Filled: named or concept. Framed: a mere place. Counted: {", ".join(cues)}. '
        "Point at one to see why.</p>"
    )


def clean(text: str) -> str:
    """The text without characters that a page cannot hold."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
