"""Plots as inline SVG without scripts: every size across is a percentage, so that letters stay readable at any width.

Colour is never alone: letters, signs, shapes or positions say the same, in print and to colour-blind readers. Each
plot is a `<figure>` with a title, what its axis counts, a legend where it needs one, and its values in words. Texts
that come in are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from multiplex.present.highlight import colour_of

SHAPES: Mapping[str, str] = {
    "multiplex": '<circle r="6"/>',
    "uniplex": '<rect x="-5" y="-5" width="10" height="10"/>',
    "contextual": '<path d="M0-7L6.5 5H-6.5Z"/>',
    "checklist": '<circle r="5" class="open"/>',
    "solo-council": '<rect x="-5" y="-5" width="10" height="10" class="open"/>',
    "uniplex-long": '<path d="M0-7L6.5 5H-6.5Z" class="open"/>',
    "echo-council": '<path d="M-6 0H6M0-6V6" class="open"/>',
    "blank-council": '<path d="M-5-5L5 5M-5 5L5-5" class="open"/>',
}
"""By strategy: the marker that stands for it wherever single points are drawn; controls are open."""
OTHER = '<path d="M0-7L7 0L0 7L-7 0Z" class="open"/>'
"""The marker of everything that is not a strategy of ours, such as a published figure."""

TONES: Mapping[str, tuple[str, str]] = {
    "positive": ("#4393c3", "+"),
    "neutral": ("#d9d9d9", "0"),
    "negative": ("#d6604d", "−"),
}
"""By tone: a colour (diverging, told apart by colour-blind readers) and a sign."""


@dataclass(frozen=True)
class Row:
    """One figure of a plot, with its interval where it has one; `kind` is a strategy and picks the marker.

    `note` stands before its value at the end of its line, such as what the figure is made of.
    """

    label: str
    kind: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Stack:
    """One bar of parts that add up to 1; `parts` is empty where there is nothing to show."""

    label: str
    parts: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Point:
    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with a line at each of `ticks`; `name` says what is counted, in which unit."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]
    unit: str = ""

    def at(self, value: float) -> float:
        """Where a value lies, 0..100 percent of the width."""
        return 100.0 * (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)

    def tick(self, value: float) -> str:
        return f"{value:,g}{self.unit}".replace("-", "−")


PERCENT = (0.0, 25.0, 50.0, 75.0, 100.0)


def percent(name: str) -> Axis:
    """An axis from 0 to 100%."""
    return Axis(name, 0.0, 100.0, PERCENT, "%")


def axis(name: str, values: Sequence[float], unit: str = "", *, zero: bool = True) -> Axis:
    """An axis with round ticks that holds all values, and 0 if `zero`."""
    held = [*values, 0.0] if zero or not values else list(values)
    low, high = min(held), max(held)
    step = _step((high - low) or 1.0)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    ticks = tuple(round(each * step, 10) for each in range(first, last + 1))
    return Axis(name, ticks[0], ticks[-1], ticks, unit)


def _step(span: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that parts the span in at most five."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


def bars(title: str, stacks: Sequence[Stack], parts: Mapping[str, tuple[str, str]], about: str) -> str:
    """Stacked bars: a bar a row, `parts` names the colour and the letters of each part, in the order of drawing."""
    drawn, words, y = [], [], 0
    for stack in stacks:
        drawn.append(_labels(stack.label, stack.note, y))
        if not stack.parts:
            drawn.append(f'<text class="soft" x="0" y="{y + 36}">nothing to show</text>')
            words.append(f"{stack.label}: nothing")
        left = 0.0
        for name, (colour, code) in parts.items():
            share = stack.parts.get(name, 0.0)
            if share <= 0:
                continue
            drawn.append(_segment(name, colour, code, 100 * left, 100 * share, y + 20))
            left += share
        if stack.parts:
            listed = ", ".join(f"{_plain(name)} {stack.parts.get(name, 0.0):.0%}" for name in parts)
            words.append(f"{stack.label}: {listed}")
        y += 56
    keys = "".join(
        f'<li><svg class="key" width="22" height="14"><rect width="22" height="14" fill="{colour}"/>'
        f'<text class="on" x="11" y="11" text-anchor="middle">{code}</text></svg> {escape(_plain(name))}</li>'
        for name, (colour, code) in parts.items()
    )
    return _figure(title, about, _svg(title, words, "".join(drawn), y), keys)


def _segment(name: str, colour: str, code: str, left: float, width: float, y: int) -> str:
    written = f"{code} {width:.0f}%" if width >= 18 else code
    text = (
        f'<text class="on" x="{left + width / 2:.2f}%" y="{y + 16}" text-anchor="middle">{written}</text>'
        if width >= 6
        else ""
    )
    return (
        f'<g><title>{escape(_plain(name))} {width:.1f}%</title><rect class="part" x="{left:.2f}%" y="{y}" '
        f'width="{width:.2f}%" height="24" fill="{colour}"/>{text}</g>'
    )


def shares(title: str, stacks: Sequence[Stack], frame: Sequence[str], about: str) -> str:
    """Stacked bars of shares over the perspectives of a frame."""
    return bars(title, stacks, {name: colour_of(name) for name in frame}, about)


def tones(title: str, stacks: Sequence[Stack], about: str) -> str:
    """Stacked bars of positive, neutral and negative."""
    return bars(title, stacks, TONES, about)


def intervals(title: str, rows: Sequence[Row], along: Axis, about: str) -> str:
    """A marker and its 95% interval a row, over an axis; a heavy line at 0 where the axis crosses it."""
    y, drawn, words = 0, [], []
    for row in rows:
        drawn.append(_labels(row.label, f"{row.note} {_figures(row)}".strip(), y))
        if row.value is None:
            drawn.append(f'<text class="soft" x="0" y="{y + 36}">does not exist</text>')
            words.append(f"{row.label}: does not exist")
        else:
            drawn.append(_whisker(row, row.value, along, y + 32))
            words.append(f"{row.label}: {_told(row, row.value, along)}")
        y += 52
    grid = _grid(along, y)
    return _figure(title, about, _svg(title, words, grid + "".join(drawn), y + 38))


def _figures(row: Row) -> str:
    if row.value is None:
        return ""
    value, *ends = (f"{each:.1f}".replace("-", "−") for each in (row.value, row.low, row.high) if each is not None)
    return f"{value} [{', '.join(ends)}]" if len(ends) == 2 else f"{round(row.value, 2):g}".replace("-", "−")


def _whisker(row: Row, value: float, along: Axis, y: int) -> str:
    line = ""
    if row.low is not None and row.high is not None:
        low, high = along.at(row.low), along.at(row.high)
        ends = "".join(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 5}" y2="{y + 5}"/>' for x in (low, high))
        line = f'<line x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>{ends}'
    return (
        f'<g class="{_kind(row.kind)} whisker"><title>{escape(row.label)}: {_told(row, value, along)}</title>{line}'
        f"{_marker(row.kind, along.at(value), f'{y}')}</g>"
    )


def _told(row: Row, value: float, along: Axis) -> str:
    text = f"{value:.1f}{along.unit}"
    if row.low is not None and row.high is not None:
        text += f", 95% interval {row.low:.1f} to {row.high:.1f}"
    return text.replace("-", "−")


def dots(title: str, rows: Mapping[str, Mapping[str, float]], along: Axis, about: str) -> str:
    """For each row (a perspective, say) a marker by kind, all on one line."""
    y, drawn, words = 0, [], []
    kinds = list(dict.fromkeys(kind for values in rows.values() for kind in values))
    for label, values in rows.items():
        drawn.append(_labels(label, "" if values else "nothing to show", y))
        drawn.append(f'<line class="rail" x1="0" x2="100%" y1="{y + 32}" y2="{y + 32}"/>')
        for kind, value in reversed(list(values.items())):  # what is named first lies on top
            drawn.append(
                f'<g class="{_kind(kind)}"><title>{escape(label)}, {escape(kind)} {_signed(value)}</title>'
                f"{_marker(kind, along.at(value), f'{y + 32}')}</g>"
            )
        words.append(f"{label}: " + ", ".join(f"{kind} {_signed(value)}" for kind, value in values.items()))
        y += 50
    return _figure(title, about, _svg(title, words, _grid(along, y) + "".join(drawn), y + 38), _keys(kinds))


def scatter(title: str, points: Sequence[Point], across: Axis, up: Axis, about: str) -> str:
    """A marker a point; the axis `up` is written inside the field, which leaves the whole width to the points."""
    height = 320
    drawn = []
    for tick in up.ticks:
        y = height * (1 - up.at(tick) / 100)
        drawn.append(f'<line class="grid" x1="0" x2="100%" y1="{y:.0f}" y2="{y:.0f}"/>')
        drawn.append(f'<text class="soft" x="0" y="{y - 4:.0f}">{up.tick(tick)}</text>')
    kinds = sorted({point.kind for point in points}, key=lambda kind: (kind not in SHAPES, _order(kind)))
    for kind in reversed(kinds):  # what is named first lies on top
        held = "".join(
            _marker(kind, across.at(point.x), f"{height * (1 - up.at(point.y) / 100):.1f}")
            for point in points
            if point.kind == kind
        )
        drawn.append(f'<g class="{_kind(kind)} cloud">{held}</g>')
    words = [f"{len(points)} points; {up.name} upwards, {across.name} across"]
    body = f'<svg y="18" overflow="visible">{_grid(across, height)}{"".join(drawn)}</svg>'
    return _figure(title, about, _svg(title, words, body, height + 58), _keys(kinds))


def heat(title: str, values: Mapping[str, Mapping[str, float | None]], most: float, about: str) -> str:
    """A field of cells, rows by columns, each with its number; the stronger its colour the larger, from 0 to `most`."""
    columns = list(dict.fromkeys(name for row in values.values() for name in row))
    width, y, drawn, words = 100 / max(1, len(columns)), 100, [], []
    for place, name in enumerate(columns):
        drawn.append(
            f'<svg x="{(place + 0.5) * width:.2f}%" y="94" overflow="visible">'
            f'<text transform="rotate(-90)" y="4">{escape(_cut(name))}</text></svg>'
        )
    for label, row in values.items():
        drawn.append(_labels(label, "", y))
        for place, name in enumerate(columns):
            value = row.get(name)
            depth = 0.0 if value is None else 0.05 + 0.6 * min(1.0, max(0.0, value / most))
            told = "–" if value is None else f"{value:.0f}"
            drawn.append(
                f"<g><title>{escape(label)}, {escape(name)}: {told}</title>"
                f'<rect class="cell" x="{place * width:.2f}%" y="{y + 20}" width="{width:.2f}%" height="26" '
                f'fill-opacity="{depth:.2f}"/><text x="{(place + 0.5) * width:.2f}%" y="{y + 38}" '
                f'text-anchor="middle">{told}</text></g>'
            )
        words.append(f"{label}: " + ", ".join(f"{n} {'none' if v is None else f'{v:.0f}'}" for n, v in row.items()))
        y += 54
    return _figure(title, about, _svg(title, words, "".join(drawn), y))


def _figure(title: str, about: str, svg: str, keys: str = "") -> str:
    legend = f'<ul class="keys">{keys}</ul>' if keys else ""
    return (
        f'<figure><figcaption><strong>{escape(title)}</strong><br><span class="about">{escape(about)}</span>'
        f'</figcaption>{legend}<div class="field">{svg}</div></figure>\n'
    )


def _svg(title: str, words: Sequence[str], body: str, height: int) -> str:
    told = escape(f"{title}. " + "; ".join(words) + ".")
    return f'<svg class="plot" role="img" aria-label="{told}" width="100%" height="{height}">{body}</svg>'


def _labels(label: str, note: str, y: int) -> str:
    end = f'<text class="soft" x="100%" y="{y + 14}" text-anchor="end">{escape(note)}</text>' if note else ""
    return f'<text x="0" y="{y + 14}">{escape(_cut(label))}</text>{end}'


def _grid(along: Axis, height: int) -> str:
    parts = []
    for tick in along.ticks:
        x = along.at(tick)
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        kind = "grid zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{height}"/>')
        parts.append(
            f'<text class="soft" x="{x:.2f}%" y="{height + 15}" text-anchor="{anchor}">{along.tick(tick)}</text>'
        )
    parts.append(f'<text class="soft" x="50%" y="{height + 33}" text-anchor="middle">{escape(along.name)}</text>')
    return "".join(parts)


def _marker(kind: str, x: float, y: str) -> str:
    return f'<svg x="{x:.2f}%" y="{y}" overflow="visible">{SHAPES.get(kind, OTHER)}</svg>'


def _keys(kinds: Sequence[str]) -> str:
    return "".join(
        f'<li><svg class="key {_kind(kind)}" width="18" height="16"><svg x="9" y="8" overflow="visible">'
        f"{SHAPES.get(kind, OTHER)}</svg></svg> {escape(kind)}</li>"
        for kind in kinds
    )


def _kind(kind: str) -> str:
    """The class that colours a kind; one outside our strategies looks like the others."""
    return f"k-{kind}" if kind in SHAPES else "k-other"


def _order(kind: str) -> int:
    return list(SHAPES).index(kind) if kind in SHAPES else len(SHAPES)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _cut(label: str, most: int = 30) -> str:
    """A label that fits its line."""
    return label if len(label) <= most else label[: most - 1] + "…"
