"""The one place through which text reaches a terminal or a log: nothing foreign in it is obeyed.

A model, an endpoint, a file or an id may hold escape sequences (colours, window titles, the clipboard, the alternate
screen), C1 controls and bidirectional overrides. `console.SafeConsole` renders without them, `guard_streams` takes them
out of everything that is printed otherwise, and `escape_json` writes them as JSON escapes.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

_LINE_END = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_OBEYED = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_OBEYED_IN_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ESCAPED = "multiplex.escaped"
"""The error handler of guarded streams: what the encoding lacks is written as in JSON, `\\u5112`."""


def visible(text: str) -> str:
    """The text without what a terminal would obey; every kind of line end becomes a line feed. Tabs stay."""
    return _OBEYED.sub("", _LINE_END.sub("\n", text))


def one_line(text: str) -> str:
    """The text as `visible` leaves it, on one line."""
    return re.sub(r"\s*\n\s*", " ", visible(text)).strip()


def escape_json(text: str) -> str:
    """JSON text with escapes for what a terminal or a reader of lines would obey, and for halves of characters.

    What it means stays the same: in JSON such signs stand only inside strings.
    """
    return _OBEYED_IN_JSON.sub(lambda found: _escaped(found.group()), text)


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _escaped(error.object[error.start : error.end]), error.end


codecs.register_error(ESCAPED, _replace_unencodable)


class PlainStream:
    """A text stream that writes what is visible; everything else is the stream beneath, `unfiltered`."""

    def __init__(self, stream: TextIO) -> None:
        self.unfiltered = stream

    def write(self, text: str) -> int:
        """Write the visible part; the length of the whole."""
        self.unfiltered.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the visible part of each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


def guard_streams() -> None:
    """Filter this process's standard output and error; no text fails for want of an encoding from here on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, PlainStream):
            continue
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors=ESCAPED)
        setattr(sys, name, PlainStream(stream))
