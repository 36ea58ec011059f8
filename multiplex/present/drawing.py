"""A figure as SVG inside a page, and as SVG and PDF files for a paper.

Text in SVG stays text, PDF holds its fonts, and equal figures have equal bytes: nothing depends on the clock, on the
user's matplotlib settings or on what was drawn before. matplotlib is imported when the first figure is drawn.
"""

from __future__ import annotations

import io
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETTINGS: Mapping[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Liberation Sans", "Arial", "sans-serif"],
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "ytick.major.size": 0,
    "grid.color": "#d4d4d4",
    "grid.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "multiplex",
    "text.parse_math": False,  # a dollar in a model's name is a dollar
}
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn.

    Attributes:
        name: of its files, without an ending; unique in a report.
        about: what the reader must know of it, a line.
        words: its values in words, for readers who cannot see it.
        draw: makes the matplotlib figure.
    """

    name: str
    title: str
    about: str
    words: str
    draw: Callable[[], Figure]

    @cached_property
    def svg(self) -> str:
        """An SVG element with `title` and `desc`; its ids begin with `name`, so that one page can hold many."""
        with _settings():
            out = io.StringIO()
            self.draw().savefig(out, format="svg", metadata={"Date": None})
        return _accessible(out.getvalue(), self)

    def as_html(self) -> str:
        """A `<figure>` with its caption."""
        return (
            f'<figure><figcaption><strong>{escape(self.title)}</strong><br><span class="about">{escape(self.about)}'
            f'</span></figcaption><div class="field" tabindex="0">{self.svg}</div></figure>\n'
        )

    def as_pdf(self) -> bytes:
        """A page of PDF with its fonts embedded."""
        with _settings():
            out = io.BytesIO()
            self.draw().savefig(out, format="pdf", metadata={"CreationDate": None, "Title": as_line(self.title)})
        return out.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib with our settings alone; a letter that the font lacks stays text in SVG and a box in PDF."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def _accessible(svg: str, of: Drawing) -> str:
    """matplotlib's SVG as an element for a page: named and described, without metadata, with ids of its own."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)  # noqa: S314  # our own; texts were escaped by matplotlib
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        element.attrib.pop("clip-path", None)  # nothing lies outside its axes, and the page loads nothing by url()
        for key in ("id", f"{{{_XLINK}}}href"):
            if key in element.attrib:
                mark = "#" if element.attrib[key].startswith("#") else ""
                element.set(key, f"{mark}{of.name}-{element.attrib[key].removeprefix('#')}")
    root.attrib.pop("height", None)
    root.attrib |= {
        "width": "100%", "role": "img", "class": "plot", "style": "stroke-linejoin: round; stroke-linecap: butt",
        "aria-labelledby": f"{of.name}-title {of.name}-desc",
    }  # fmt: skip
    for place, (tag, text) in enumerate((("title", as_line(of.title)), ("desc", of.words))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{of.name}-{tag}"})
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def as_line(text: str) -> str:
    """A foreign text on one line, without signs that XML or a font cannot hold."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
