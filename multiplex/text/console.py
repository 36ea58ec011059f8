"""The rich console of every command: its own styles and cursor movements are all that a terminal obeys."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table

from multiplex.text.terminal import visible

_SIZE = re.compile(r"[1-9][0-9]{0,3}")
_DRAWN = dict.fromkeys(range(9472, 9600), "-") | dict.fromkeys(range(9600, 9632), "#")
"""Lines and bars of tables, for an encoding that has none: an escape for each would fill the screen."""


def _environment() -> dict[str, str]:
    """The environment without a COLUMNS or LINES that no terminal has: on 0 columns everything would vanish."""
    of_terminal = {"COLUMNS", "LINES"}
    return {name: value for name, value in os.environ.items() if name not in of_terminal or _SIZE.fullmatch(value)}


class SafeConsole(Console):
    """A console that renders visible text only (`terminal.visible`), whoever wrote it.

    Strings are no markup, and links are no hyperlinks (OSC 8), whose targets a reader would not see.
    """

    def __init__(self, **options: Any) -> None:
        ours: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False, "_environ": _environment()}
        super().__init__(**ours | options)

    @property
    def file(self) -> IO[str]:
        """The stream beneath; a guarded one would take the console's own sequences out."""
        file = super().file
        return getattr(file, "unfiltered", file)

    @file.setter
    def file(self, new: IO[str]) -> None:
        self._file = new

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, with visible text only."""
        for text, style, control in super().render(renderable, options):
            if control:
                yield Segment(text, style, control)
                continue
            text = visible(text)
            if not self.encoding.startswith("utf"):
                text = text.translate(_DRAWN)
            yield Segment(text, style.update_link(None) if style is not None and style.link else style)


def make_table(head: Sequence[str], names: Collection[int] = (0,), **options: Any) -> Table:
    """An empty table without a frame, for `print_table`; the columns `names` hold words, the others figures."""
    table = Table(**{"box": None, "padding": (0, 2, 0, 0)} | options)
    for place, name in enumerate(head):
        words = place in names
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table with every cell whole: words go on in the next line, figures never do.

    Where even so it needs more than the terminal has, its lines run on.
    """
    wide = console.options.update(width=_WIDE)
    for column in table.columns:
        if column.no_wrap:
            cells = (column.header, *column.cells)
            column.min_width = max(Measurement.get(console, wide, cell).maximum for cell in cells)
    least = Measurement.get(console, wide, table).minimum
    console.print(_Spread(table, max(least, console.width)), crop=False)


_WIDE = 10_000  # columns, more than any table has


class _Spread:
    """A table in so many columns, whatever the terminal has."""

    def __init__(self, table: Table, width: int) -> None:
        self._table, self._width = table, width

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        yield from self._table.__rich_console__(_, options.update(width=self._width))
