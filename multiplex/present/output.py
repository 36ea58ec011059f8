"""Writes a result to a file, in the form that its name ends in."""

from __future__ import annotations

from pathlib import Path

from multiplex.answering import Result
from multiplex.content import check_place, open_draft
from multiplex.errors import MultiplexError, UsageError
from multiplex.present.document import as_html, as_markdown
from multiplex.present.result import as_record

ENDINGS = (".json", ".md", ".html")


def check_output(path: Path) -> None:
    """Whether a result can be written to this file, asked before anything is spent.

    Raises:
        UsageError: the ending is unknown, or the folder is not there or not writable.
    """
    if path.suffix not in ENDINGS:
        raise UsageError(f"--output {path}: the name must end in {', '.join(ENDINGS)}")
    check_place("--output", path)


def write_output(result: Result, path: Path, *, show_voices: bool = False) -> None:
    """Write the result in the form of the file's ending, whole or not at all.

    Raises:
        MultiplexError: the disk refuses.
    """
    if path.suffix == ".json":
        text = as_record(result)
    elif path.suffix == ".md":
        text = as_markdown(result, show_voices=show_voices)
    else:
        text = as_html(result, show_voices=show_voices)
    try:
        with open_draft(path) as out:
            out.write(text)
    except MultiplexError as error:
        raise MultiplexError(f"--output {error}; the answer stands on the screen") from error
