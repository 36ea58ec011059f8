"""The official file of the World Values Survey: one row a respondent. Read once, counted, never kept."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from multiplex.errors import ContentError
from multiplex.survey.assembly import Assembly, QuestionDraft

_COUNTRY = ("B_COUNTRY_ALPHA", "B_COUNTRY", "C_COW_ALPHA")
_WEIGHT = "W_WEIGHT"
_CODE = re.compile(r"^-?\d+(?:\.0+)?$")


def is_microdata(columns: Collection[str]) -> bool:
    """Whether columns are those of the World Values Survey's file of respondents."""
    return any(name in columns for name in _COUNTRY)


def read_microdata(path: Path, questions: Mapping[str, QuestionDraft], made: Assembly) -> None:
    """Count the answers of each country, weighted by W_WEIGHT, into `made`; negative codes are no answer.

    A code is an option's own number where the options are numbers, else its place from 1.

    Raises:
        ContentError: the file has none of the questions.
    """
    counts: dict[tuple[str, str], list[float]] = {}
    beyond: set[str] = set()
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=";" if head.count(";") > head.count(",") else ",")
        columns = {_column(name): name for name in reader.fieldnames or ()}
        known = {name: columns[name] for name in questions if name in columns}
        if not known:
            raise ContentError(path, "has no column of the questions file, such as Q1", line=1)
        places = {name: _places(questions[name]) for name in known}
        country = next(name for name in _COUNTRY if name in columns.values())
        for row in reader:
            weight = _weight(row.get(_WEIGHT), path, reader.line_num)
            for name, column in known.items():
                code = (row[column] or "").strip()
                if not _CODE.match(code) or code.startswith("-"):
                    continue
                place = places[name].get(int(float(code)))
                if place is None:
                    beyond.add(name)
                    continue
                of = counts.setdefault((name, row[country].strip()), [0.0] * len(questions[name].options))
                of[place] += weight
    for (name, where), weights in counts.items():
        total = sum(weights)
        made.add(questions[name])
        if total > 0:
            made.add_shares(name, where, [weight / total for weight in weights], path, 1)
    for name in beyond:
        made.leave_out(f"codes of {name}", "beyond the options of the questions file")
    for name in questions:
        if name not in known:
            made.leave_out(name, "no column of this name")


def _column(name: str) -> str:
    """`Q1` for `Q1: Important in life: Family`, as one of the published files names its columns."""
    return name.partition(":")[0].strip()


def _places(draft: QuestionDraft) -> dict[int, int]:
    numbers = [option.strip() for option in draft.options]
    if all(number.isdigit() for number in numbers):
        return {int(number): place for place, number in enumerate(numbers)}
    return {place + 1: place for place in range(len(numbers))}


def _weight(cell: str | None, path: Path, line: int) -> float:
    if cell is None or not cell.strip():
        return 1.0
    try:
        weight = float(cell)
    except ValueError:
        raise ContentError(path, f"{cell[:20]!r} is no number", line=line, field=_WEIGHT) from None
    return max(0.0, weight)
