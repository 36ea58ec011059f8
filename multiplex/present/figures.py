"""The figures of a report, drawn by matplotlib.

Colour is never alone: markers, letters, signs or positions say the same, in grey print and to colour-blind readers.
Each figure has its values in words beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.present.drawing import Drawing, as_line
from multiplex.present.highlight import colour_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY, SOFT = "#4d4d4d", "#595959"
MARKERS: Mapping[str, tuple[str, str, bool]] = {
    "multiplex": ("o", "#0059a8", True),
    "uniplex": ("s", "#b34700", True),
    "contextual": ("^", "#007a56", True),
    "checklist": ("o", GREY, False),
    "solo-council": ("s", GREY, False),
    "uniplex-long": ("^", GREY, False),
    "echo-council": ("+", GREY, False),
    "blank-council": ("x", GREY, False),
}
"""By strategy: a marker, its colour, and whether it is filled; those of controls are grey and open."""
OTHER = ("D", "#7a3b8f", False)
"""The marker of everything that is not a strategy of ours, such as a published figure."""

TONES: Mapping[str, tuple[str, str]] = {
    "positive": ("#4393c3", "+"),
    "neutral": ("#d9d9d9", "0"),
    "negative": ("#d6604d", "−"),
}
"""By tone: a colour (diverging, told apart by colour-blind readers) and a sign."""

WIDTH = 6.6  # inches; the text width of most journals
_CHARACTER = 0.072  # inches that a character takes at the size below, a little more than its mean width


@dataclass(frozen=True)
class Row:
    """One value of a figure, with its interval where it has one; `kind` is a strategy and picks the marker.

    `note` stands under the label, such as what the value is made of.
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
    """What is counted along an axis, in which unit; without limits it holds every value and 0."""

    name: str
    unit: str = ""
    limits: tuple[float, float] | None = None


def percent(name: str) -> Axis:
    """An axis from 0 to 100%."""
    return Axis(name, "%", (0.0, 100.0))


def draw_intervals(name: str, title: str, rows: Sequence[Row], along: Axis, about: str) -> Drawing:
    """A marker and its 95% interval a row, over an axis; a heavy line at 0 where the axis crosses it."""

    def draw() -> Figure:
        figure, axes = _rows([(row.label, row.note) for row in rows], right=1.35)
        for place, row in enumerate(rows):
            if row.value is None:
                axes.text(0.0, place, "does not exist", transform=axes.get_yaxis_transform(), va="center", color=SOFT)
                continue
            marker, colour, filled = MARKERS.get(row.kind, OTHER)
            if row.low is not None and row.high is not None:
                axes.errorbar(
                    row.value,
                    place,
                    xerr=[[row.value - row.low], [row.high - row.value]],
                    color=colour,
                    capsize=3,
                    lw=1.5,
                )
            face = colour if filled else "white"
            axes.plot(row.value, place, marker, color=colour, mfc=face, ms=6.5, mew=1.5, clip_on=False)
            axes.text(1.03, place, _figures(row), transform=axes.get_yaxis_transform(), va="center")
        _scale(axes, along, [each for row in rows for each in (row.value, row.low, row.high) if each is not None])
        return figure

    return Drawing(name, title, about, f"{'; '.join(_in_words(row, along) for row in rows)}.", draw)


def draw_shares(name: str, title: str, stacks: Sequence[Stack], frame: Sequence[str], about: str) -> Drawing:
    """Stacked bars of shares over the perspectives of a frame."""
    return _bars(name, title, stacks, {each: colour_of(each) for each in frame}, about)


def draw_tones(name: str, title: str, stacks: Sequence[Stack], about: str) -> Drawing:
    """Stacked bars of positive, neutral and negative."""
    return _bars(name, title, stacks, TONES, about)


def draw_dots(name: str, title: str, rows: Mapping[str, Mapping[str, float]], along: Axis, about: str) -> Drawing:
    """For each row (a perspective, say) a marker by kind, each a little beside the other."""
    kinds = list(dict.fromkeys(kind for values in rows.values() for kind in values))

    def draw() -> Figure:
        figure, axes = _rows([(label, "" if values else "nothing to show") for label, values in rows.items()], kinds)
        for place, values in enumerate(rows.values()):
            for kind, value in reversed(list(values.items())):  # what is named first lies on top
                beside = (kinds.index(kind) - (len(kinds) - 1) / 2) * 0.6 / len(kinds)  # equal values hide no other
                _mark(axes, kind, [value], [place + beside])
        axes.grid(visible=True, axis="y", linestyle=":")
        _scale(axes, along, [value for values in rows.values() for value in values.values()])
        return figure

    words = "; ".join(
        f"{as_line(label)}: "
        + (", ".join(f"{as_line(kind)} {_signed(value)}" for kind, value in values.items()) or "nothing")
        for label, values in rows.items()
    )
    return Drawing(name, title, about, f"{words}.", draw)


def draw_scatter(name: str, title: str, points: Sequence[Point], across: Axis, up: Axis, about: str) -> Drawing:
    """A marker a point."""
    kinds = sorted({point.kind for point in points}, key=lambda kind: (_order(kind), kind))

    def draw() -> Figure:
        figure, axes = _field(3.4, left=0.65, right=0.15, kinds=kinds)
        for kind in reversed(kinds):  # what is named first lies on top
            held = [point for point in points if point.kind == kind]
            _mark(axes, kind, [point.x for point in held], [point.y for point in held], size=4.5, alpha=0.7)
        axes.grid(visible=True, axis="y")
        _scale(axes, across, [point.x for point in points])
        axes.set_ylim(*(up.limits or (None, None)))
        axes.set_ylabel(as_line(up.name))
        return figure

    words = f"{len(points)} points; {as_line(up.name)} upwards, {as_line(across.name)} across."
    return Drawing(name, title, about, words, draw)


def draw_heat(
    name: str, title: str, values: Mapping[str, Mapping[str, float | None]], most: float, about: str
) -> Drawing:
    """A field of cells, rows by columns, each with its number; the stronger its colour the larger, from 0 to `most`."""
    columns = list(dict.fromkeys(column for row in values.values() for column in row))
    heads = [_cut(each, 18) for each in columns]
    slant = [0.055 * len(head) for head in heads]  # inches that a head at 45 degrees takes to the right
    beyond = (each - (place + 0.5) * 4 / len(heads) for place, each in enumerate(reversed(slant)))  # a field has over 4
    right = max([0.15, *beyond])

    def draw() -> Figure:
        figure, axes = _rows([(label, "") for label in values], right=right, top=1.15, bottom=0.1)
        axes.spines["bottom"].set_visible(False)
        for y, row in enumerate(values.values()):
            for x, column in enumerate(columns):
                value = row.get(column)
                depth = 0.0 if value is None else 0.05 + 0.6 * min(1.0, max(0.0, value / most))
                colour = tuple(1 - depth * (1 - part) for part in (0.13, 0.40, 0.67))
                axes.barh(y, 1, left=x, height=1, color=colour, edgecolor="#bbbbbb", lw=0.6)
                axes.text(x + 0.5, y, "–" if value is None else f"{value:.0f}", ha="center", va="center")
        axes.set_xlim(0, max(1, len(columns)))
        axes.set_xticks([place + 0.5 for place in range(len(columns))], heads, rotation=45)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        for label in axes.get_xticklabels():
            label.set(ha="left", va="bottom", rotation_mode="anchor")
        return figure

    words = "; ".join(
        f"{as_line(label)}: " + ", ".join(f"{as_line(n)} {'none' if v is None else f'{v:.0f}'}" for n, v in row.items())
        for label, row in values.items()
    )
    return Drawing(name, title, about, f"{words}.", draw)


def _bars(name: str, title: str, stacks: Sequence[Stack], parts: Mapping[str, tuple[str, str]], about: str) -> Drawing:
    def draw() -> Figure:
        from matplotlib.patches import Patch

        labels = [(stack.label, stack.note) for stack in stacks]
        handles = [Patch(fc=colour, ec="#666666", lw=0.5, label=f"{code}  {_plain(each)}")
                   for each, (colour, code) in parts.items()]  # fmt: skip
        figure, axes = _rows(labels, handles=handles)
        for place, stack in enumerate(stacks):
            if not stack.parts:
                axes.text(0.0, place, "nothing to show", va="center", color=SOFT)
            left = 0.0
            for each, (colour, code) in parts.items():
                share = 100.0 * stack.parts.get(each, 0.0)
                if share > 0:
                    axes.barh(place, share, left=left, height=0.62, color=colour, edgecolor="white", lw=1)
                    written = f"{code} {share:.0f}%" if share >= 15 else code if share >= 5 else ""
                    axes.text(left + share / 2, place, written, ha="center", va="center", fontsize=8)
                    left += share
        _scale(axes, percent(""), [])
        return figure

    words = "; ".join(
        f"{as_line(stack.label)}: "
        + (
            ", ".join(f"{_plain(each)} {stack.parts.get(each, 0.0):.0%}" for each in parts)
            if stack.parts
            else "nothing"
        )
        for stack in stacks
    )
    return Drawing(name, title, about, f"{words}.", draw)


def _rows(
    labels: Sequence[tuple[str, str]],
    kinds: Sequence[str] = (),
    *,
    handles: Sequence[object] = (),
    right: float = 0.3,
    top: float = 0.08,
    bottom: float = 0.5,
) -> tuple[Figure, Axes]:
    """A field with a row for each (label, note), the first on top."""
    written = [f"{_cut(label)}\n{_cut(note)}" if note else _cut(label) for label, note in labels]
    longest = max((len(line) for each in written for line in each.split("\n")), default=0)
    height = (0.42 if any(note for _, note in labels) else 0.32) * max(1, len(labels))
    figure, axes = _field(
        height, left=0.3 + _CHARACTER * longest, right=right, top=top, bottom=bottom, kinds=kinds, handles=handles
    )
    axes.set_yticks(range(len(written)), written)
    axes.tick_params(axis="y", pad=9)  # a marker at the left end hides no label
    axes.set_ylim(len(written) - 0.5, -0.5)
    return figure, axes


def _field(
    height: float,
    *,
    left: float,
    right: float,
    top: float = 0.08,
    bottom: float = 0.5,
    kinds: Sequence[str] = (),
    handles: Sequence[object] = (),
) -> tuple[Figure, Axes]:
    """Axes of this height (all sizes in inches), with a legend above them for `kinds` or `handles`."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

    shown = list(handles) or [
        Line2D([], [], ls="", marker=marker, color=colour, mfc=colour if filled else "white", mew=1.5, label=_cut(kind))
        for kind in kinds
        for marker, colour, filled in [MARKERS.get(kind, OTHER)]
    ]
    columns = 4
    legend = 0.12 + 0.2 * math.ceil(len(shown) / columns) if shown else 0.0
    whole = height + top + bottom + legend
    figure = Canvas(figsize=(WIDTH, whole))
    axes = figure.add_axes((left / WIDTH, bottom / whole, (WIDTH - left - right) / WIDTH, height / whole))
    if shown:
        figure.legend(handles=shown, loc="upper left", ncols=columns, frameon=False, borderaxespad=0.1)
    return figure, axes


def _scale(axes: Axes, along: Axis, values: Sequence[float]) -> None:
    """Round ticks along the axis below, which holds every value; a heavy line at 0 where it crosses it."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = along.limits or (min([0.0, *values]), max([0.0, *values]))
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high if high > low else low + 1.0)
    axes.set_xticks(ticks)
    axes.set_xlim(ticks[0], ticks[-1])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, along.unit)))
    axes.grid(visible=True, axis="x")
    if ticks[0] < 0 < ticks[-1]:
        axes.axvline(0, color="black", lw=1, zorder=1)
    axes.set_xlabel(as_line(along.name))


def _mark(
    axes: Axes, kind: str, x: Sequence[float], y: Sequence[float], *, size: float = 6.0, alpha: float = 1.0
) -> None:
    marker, colour, filled = MARKERS.get(kind, OTHER)
    axes.plot(
        x, y, marker, color=colour, mfc=colour if filled else "none", ms=size, mew=1.3, alpha=alpha, clip_on=False
    )


def _tick(value: float, unit: str) -> str:
    return f"{round(value, 10):,g}{unit}".replace("-", "−")


def _figures(row: Row) -> str:
    if row.value is None:
        return ""
    value, *ends = (f"{each:.1f}".replace("-", "−") for each in (row.value, row.low, row.high) if each is not None)
    return f"{value} [{', '.join(ends)}]" if len(ends) == 2 else f"{round(row.value, 2):g}".replace("-", "−")


def _in_words(row: Row, along: Axis) -> str:
    if row.value is None:
        return f"{as_line(row.label)}: does not exist"
    text = f"{row.value:.1f}{along.unit}"
    if row.low is not None and row.high is not None:
        text += f", 95% interval {row.low:.1f} to {row.high:.1f}"
    return f"{as_line(row.label)}: {text.replace('-', '−')}"


def _order(kind: str) -> int:
    return list(MARKERS).index(kind) if kind in MARKERS else len(MARKERS)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _cut(label: str, most: int = 30) -> str:
    """A label that fits its place."""
    line = as_line(label)
    return line if len(line) <= most else line[: most - 1] + "…"
