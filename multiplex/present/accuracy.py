"""How often the extractor is right, as a Markdown table or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from multiplex.content import check_place, open_draft
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation.statistics.accuracy import AccuracyFigure, Confusion, Validation

HEAD = (
    "| texts and cues | measure | reached | 95% interval | n | target |  |\n| --- | --- | --- | --- | --- | --- | --- |"
)


def print_and_write(parts: Iterable[Validation], output: Path) -> None:
    """Print the tables, part by part as they are measured, and write them; a missed target is said in its row.

    Raises:
        UsageError: the output cannot be written there.
        MultiplexError: the disk refuses.
    """
    if output.suffix not in (".md", ".json"):
        raise UsageError(f"--output {output}: the name must end in .md or .json")
    check_place("--output", output)
    whole = Validation()
    print(HEAD, flush=True)
    for part in parts:
        for figure in part.figures:
            print(row(figure), flush=True)
        whole.figures += part.figures
        whole.confusions += part.confusions
        whole.absent += part.absent
        whole.unread = whole.unread or part.unread
    print("\n" + remainder(whole))
    try:
        with open_draft(output) as out:
            out.write(as_json(whole) if output.suffix == ".json" else as_markdown(whole))
    except MultiplexError as error:
        raise MultiplexError(f"--output {error}") from error


def row(figure: AccuracyFigure) -> str:
    """One line of the table."""
    form = ".2f" if figure.measure.startswith("best recall") else ".3f"
    around = f"{figure.low:{form}} to {figure.high:{form}}" if figure.low is not None else ""
    target = ""
    if figure.target is not None:
        target = f"{'≤' if figure.at_most else '≥'} {figure.target:g}{'' if figure.reached else ', missed'}"
    return (
        f"| {figure.what} | {figure.measure} | {figure.value:{form}} | {around} | {figure.n:,} | {target} "
        f"| {figure.note} |"
    )


def remainder(whole: Validation) -> str:
    """The confusion matrices, what the data lack, and which texts are in no figure."""
    parts = [confusion(table) for table in whole.confusions]
    parts += [f"Not in the data, so not measured: {', '.join(whole.absent)}."] if whole.absent else []
    parts += [f"{whole.unread}: they are in no figure."] if whole.unread else []
    return "\n\n".join(parts) + "\n"


def confusion(table: Confusion) -> str:
    """A confusion matrix as a Markdown table: rows are labels, columns what was found; ties are fractions."""
    lines = [f"{table.what}: rows as labelled, columns as found", ""]
    lines += [f"| | {' | '.join(table.found)} |", "| --- |" + " ---: |" * len(table.found)]
    for name, cells in zip(table.truth, table.cells, strict=True):
        lines.append(f"| {name} | {' | '.join(f'{cell:.3g}' if cell else '' for cell in cells)} |")
    return "\n".join(lines)


def as_markdown(whole: Validation) -> str:
    """Everything as one Markdown document."""
    return "\n".join([HEAD, *map(row, whole.figures)]) + "\n\n" + remainder(whole)


def as_json(whole: Validation) -> str:
    """Everything as JSON text."""
    content = {
        "figures": [asdict(figure) | {"reached": figure.reached} for figure in whole.figures],
        "confusions": [asdict(table) | {"cells": table.cells.tolist()} for table in whole.confusions],
        "absent": whole.absent,
        "unread": whole.unread,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
