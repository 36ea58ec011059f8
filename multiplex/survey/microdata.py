"""The official file of the World Values Survey: one row a respondent. Read once, counted, never kept."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from multiplex.errors import ContentError
from multiplex.survey.assembly import Assembly, QuestionDraft
from multiplex.survey.countries import find_country

_COUNTRY = ("b_country_alpha", "b_country")
_NO_ISO = "c_cow_alpha"  # Correlates of War: there AUS is Austria
_WEIGHT = "w_weight"
_CODE = re.compile(r"-?\d+(?:\.0+)?")
_BLANK = ("", "none", "na", "nan", ".", "#null!")


def is_microdata(columns: Collection[str]) -> bool:
    """Whether columns are those of the World Values Survey's file of respondents."""
    return not {_column(name) for name in columns}.isdisjoint((*_COUNTRY, _NO_ISO))


def read_microdata(
    path: Path, rows: Iterable[tuple[int, Mapping[str, Any]]], questions: Mapping[str, QuestionDraft], made: Assembly
) -> None:
    """Count the answers of each country, weighted by W_WEIGHT, into `made`; negative codes are no answer.

    A code is an option's own number where the options are numbers, else its place: from 0 where anybody has code 0,
    else from 1.

    Raises:
        ContentError: the file has none of the questions or no ISO codes of countries, or a row is damaged.
    """
    known: dict[str, str] = {}
    country, weight = "", None
    negative: list[str] = []
    cells: dict[str, dict[str, dict[str, float]]] = {}  # by question, country and cell, the sum of weights
    for line, row in rows:
        if not known:
            columns = {_column(name): name for name in row}
            known = {name: columns[name.casefold()] for name in questions if name.casefold() in columns}
            country, weight = _key_columns(path, columns, known, made)
            cells = {name: {} for name in known}
        where, weighs = _country(path, line, row.get(country)), _weight(path, line, row.get(weight) if weight else None)
        if weighs < 0:
            negative.append(f"line {line}")
            continue
        for name, column in known.items():
            of, cell = cells[name].setdefault(where, {}), str(row.get(column, ""))
            of[cell] = of.get(cell, 0.0) + weighs
    for name, found in cells.items():
        _add(path, questions[name], {where: _codes(of) for where, of in found.items()}, made)
        if any(_is_text(cell) for of in found.values() for cell in of):
            made.leave_out(f"cells of {name}", "text where a code should be (export codes, not their labels)")
    if negative:
        made.tell("respondents left out, a negative weight", *negative)
    for name in questions:
        if name not in known:
            made.leave_out(name, "no column of this name")


def _column(name: str) -> str:
    """`q1` for `Q1: Important in life: Family`, as one of the published files names its columns."""
    return name.partition(":")[0].strip().casefold()


def _key_columns(
    path: Path, columns: Mapping[str, str], known: Collection[str], made: Assembly
) -> tuple[str, str | None]:
    """The columns of the country and of the weight."""
    if not known:
        raise ContentError(path, "has no column of the questions file, such as Q1", line=1)
    country = next((columns[name] for name in _COUNTRY if name in columns), None)
    if country is None:
        raise ContentError(path, "has countries as C_COW_ALPHA only; B_COUNTRY_ALPHA or B_COUNTRY is needed", line=1)
    if _WEIGHT not in columns:
        made.tell("no column W_WEIGHT: unweighted, every respondent counts the same")
    return country, columns.get(_WEIGHT)


def _codes(cells: Mapping[str, float]) -> dict[int, float]:
    """The sum of weights by code; what is negative or no code is left out."""
    codes: dict[int, float] = {}
    for cell, weight in cells.items():
        text = cell.strip()
        if _CODE.fullmatch(text) and not text.startswith("-"):
            code = int(float(text))
            codes[code] = codes.get(code, 0.0) + weight
    return codes


def _is_text(cell: str) -> bool:
    text = cell.strip()
    return text.casefold() not in _BLANK and not _CODE.fullmatch(text)


def _add(path: Path, draft: QuestionDraft, counts: Mapping[str, Mapping[int, float]], made: Assembly) -> None:
    """One question's answers, by country and code."""
    codes = {code for of in counts.values() for code in of}
    places = _places(draft, codes)
    if places is None:
        why = "coded from 0 with more codes than options (the questions file needs an option a code, in their order)"
        made.leave_out(f"{draft.id} (0 to {max(codes)}, {len(draft.options)} options)", why)
        return
    made.add(draft, path, 1)
    if 0 in places and not draft.options[0].strip().isdigit():
        made.tell("coded from 0, so that 0 is the first option", f"{draft.id} ({draft.options[0]})")
    if beyond := codes - places.keys():
        made.leave_out(f"codes of {draft.id} (up to {max(beyond)})", "beyond the options of the questions file")
    for country, of in counts.items():
        shares = [0.0] * len(draft.options)
        for code, place in places.items():
            shares[place] = of.get(code, 0.0)
        if (total := sum(shares)) > 0:
            made.add_shares(draft, country, [share / total for share in shares], path, 1)


def _places(draft: QuestionDraft, codes: Collection[int]) -> dict[int, int] | None:
    """By code the place of its option; None where codes run from 0 and there are more of them than options."""
    numbers = [option.strip() for option in draft.options]
    if all(number.isdigit() for number in numbers):
        return {int(number): place for place, number in enumerate(numbers)}
    first = 0 if 0 in codes else 1
    if first == 0 and max(codes) >= len(numbers):
        return None
    return {place + first: place for place in range(len(numbers))}


def _country(path: Path, line: int, cell: Any) -> str:
    """A country's code; ISO's numeric codes may have lost their zeros in front."""
    text = str(cell if cell is not None else "").strip()
    if not text:
        raise ContentError(path, "the row names no country", line=line)
    return find_country(str(int(float(text))).zfill(3) if _CODE.fullmatch(text) else text).code


def _weight(path: Path, line: int, cell: Any) -> float:
    if cell is None or not str(cell).strip():
        return 1.0
    try:
        weight = float(cell)
        if not math.isfinite(weight):
            raise ValueError
        return weight
    except ValueError:
        raise ContentError(path, f"{str(cell)[:20]!r} is no number", line=line, field=_WEIGHT.upper()) from None
