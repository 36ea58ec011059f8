"""The HTML page of `multiplex score --html`: every text with its references coloured, written as it goes."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TextIO

from multiplex.content import check_place, open_draft
from multiplex.errors import MultiplexError
from multiplex.evaluation import KNOWN, Entity
from multiplex.evaluation.extraction.frame import HEADLINE_CUES
from multiplex.evaluation.extraction.frames import DEFAULT
from multiplex.evaluation.scorer import Scored, Unread
from multiplex.evaluation.statistics.summary import Summary
from multiplex.present.highlight import STYLE, clean, legend, marked
from multiplex.present.summary import as_line, notes, print_summary, unread_line
from multiplex.present.templates import render
from multiplex.text.console import SafeConsole


class ScorePage:
    """Writes texts to a draft as they come, so that memory does not grow, and the whole page at the end.

    Raises:
        UsageError: the page cannot be written there, said before anything is measured.
    """

    def __init__(self, path: Path) -> None:
        check_place("--html", path)
        self._path = path
        self._names: tuple[str, ...] = KNOWN
        self._cues: tuple[str, ...] = HEADLINE_CUES
        self._texts: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> ScorePage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._texts.close()

    def add_unread(self, unread: Unread) -> None:
        """One text that was not read, with the reason."""
        self._write(
            f'<section dir="auto">\n<p class="figures">{escape(unread_line(unread))}</p>\n'
            f'<div class="text">{escape(unread.passage.text)}</div>\n</section>\n'
        )

    def add(self, scored: Scored, entities: Mapping[str, Entity]) -> None:
        """One text with its figures and its references."""
        passage = scored.passage
        if scored.measures.frame_name != DEFAULT:
            self._names = scored.measures.frame
        self._cues = scored.measures.cues
        asked = f"<p><strong>{escape(passage.question)}</strong></p>\n" if passage.question else ""
        self._write(
            f'<section dir="auto">\n<p class="figures">{escape(as_line(scored))}</p>\n{asked}'
            f'<div class="text">{marked(passage.text, scored.measures.references, passage.scaffold, entities)}</div>\n'
            "</section>\n"
        )

    def finish(self, title: str, summaries: Mapping[str, Summary]) -> None:
        """Write the page: the summaries, then the texts.

        Raises:
            MultiplexError: the disk refuses.
        """
        try:
            with open_draft(self._path) as out:
                out.write(self._head(title, summaries))
                self._texts.seek(0)
                shutil.copyfileobj(self._texts, out)
                out.write("</body>\n</html>\n")
        except MultiplexError as error:
            raise MultiplexError(f"--html {error}") from error

    def _write(self, html: str) -> None:
        self._texts.write(clean(html))

    def _head(self, title: str, summaries: Mapping[str, Summary]) -> str:
        """The page down to its first text."""
        from markupsafe import Markup

        return render(
            Path(__file__).with_name("score.html.jinja"),
            title=title,
            marks=Markup(STYLE),  # noqa: S704  # our own
            legend=Markup(legend(self._names, self._cues)),  # noqa: S704  # our own
            summaries=[_plain(name, summary) for name, summary in summaries.items()],
            notes=notes(next(iter(summaries.values()))) if summaries else "",
        )


def _plain(name: str, summary: Summary) -> str:
    """The summary as the terminal shows it, without colours."""
    console = SafeConsole(file=io.StringIO(), width=120, color_system=None)
    print_summary(console, summary, name)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    return text
