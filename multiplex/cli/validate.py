"""Carries out `multiplex validate`: measures the extractor on a user's labelled texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from multiplex.content import check_apart
from multiplex.errors import UsageError
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.statistics.accuracy import Validation, labelled, read_labelled
from multiplex.present.accuracy import print_and_write


def validate(data: Path, output: Path) -> None:
    """Measure, print and write.

    Raises:
        UsageError: the file is not there or not of the form, or the output cannot be written there.
        MultiplexError: the disk refuses.
    """
    check_apart("--output", output, data)
    print_and_write(measure(data), output)


def measure(data: Path) -> Iterator[Validation]:
    """The tables on one file of labelled texts: JSON Lines with `text` and `perspective` (null: none).

    Raises:
        UsageError: there is no such file, or a row is not of the form.
    """
    if not data.is_file():
        raise UsageError(f"--data {data}: no such file; JSON Lines with `text` and `perspective` are wanted")
    yield labelled(list(read_labelled(data)), Local())
