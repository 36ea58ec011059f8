"""The rich console of every command: its own styles and cursor movements are all that a terminal obeys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from multiplex.text.terminal import visible

_DRAWN = dict.fromkeys(range(9472, 9600), "-") | dict.fromkeys(range(9600, 9632), "#")
"""Lines and bars of tables, for an encoding that has none: an escape for each would fill the screen."""


class SafeConsole(Console):
    """A console that renders visible text only (`terminal.visible`), whoever wrote it.

    Strings are no markup, and links are no hyperlinks (OSC 8), whose targets a reader would not see.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False} | options)

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
