"""The form of a CSV file, before its rows are read: what parts the fields, and a quote that is never closed."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from multiplex.errors import UsageError

_QUOTED = re.compile(rb'"[^"]*"')
UNCLOSED = "unexpected end of data"  # the csv module's words


def check_quotes(path: str, delimiter: str) -> None:
    """Read the file once before anything is measured: a quote that is never closed takes all that follows it.

    Raises:
        UsageError: there is such a quote.
    """
    with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        line = 1
        while True:
            try:
                if next(reader, None) is None:
                    return
            except csv.Error as error:
                if str(error) == UNCLOSED:
                    raise unclosed(path, line) from error
            line = reader.line_num + 1


def unclosed(path: str, line: int) -> UsageError:
    """The error that a quote which opens in this line is never closed."""
    return UsageError(f"{path}:{line}: is not valid CSV: {UNCLOSED}; the quote that opens there is never closed")


def find_delimiter(path: str, stream: io.BufferedReader) -> str:
    """What parts the fields: spreadsheets of some countries write semicolons into a CSV file."""
    if path.lower().endswith(".tsv"):
        return "\t"
    header = b"".join(stream.peek(1).splitlines()[:1])
    names = _QUOTED.sub(b"", header)
    return max(",;\t", key=lambda mark: names.count(mark.encode()))
