"""Reads surveys in the forms in which they can be had, into one form; what was joined or left out is told.

The forms are told apart by their columns: our own (`multiplex survey prepare`), GlobalOpinionQA (as JSON Lines with
`countries`, or as published, with `selections`), distributions by country and question with a questions file beside
them, a table of country means, the microdata of the World Values Survey, and any table of question, options, country
and distribution.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from multiplex.content import open_draft
from multiplex.errors import ContentError, first_invalid
from multiplex.survey.assembly import Assembly, QuestionDraft
from multiplex.survey.data import Survey
from multiplex.survey.microdata import is_microdata, read_microdata

FORM = 1  # of our own files
CELL = 50_000_000  # characters of a CSV cell, as the csv module wants a bound
_LETTERED = re.compile(r"\n([A-Z])\. (.*)")
_SELECTION = re.compile(r"\{.*\}", re.DOTALL)
Row = Mapping[str, Any]


def read_survey(path: Path, questions: Path | None = None, *, keep_non_answers: bool = False) -> Survey:
    """The survey of a file, and of the questions file that belongs to it where it needs one.

    `keep_non_answers` leaves "Don't know" and the like among the options, as papers on GlobalOpinionQA do.

    Raises:
        ContentError: the file cannot be read or is of no known form; the line and the field are named.
    """
    lines = read_rows(path)
    start = next(lines, None)
    if start is None:
        raise ContentError(path, "holds nothing")
    drafts = {draft.id: draft for draft in read_questions(questions)} if questions is not None else {}
    made = Assembly(path.stem, keep_non_answers)
    if is_microdata(start[1]):
        read_microdata(path, chain([start], lines), _needed(path, drafts), made)
        return made.survey(path)
    rows = [start, *lines]
    if "multiplex_survey" in start[1]:
        return _own(path, rows)
    columns = set(_columns(rows))
    if {"question", "options"} <= columns and columns & {"countries", "selections"}:
        _global_opinion(path, rows, made)
    elif "country" in columns and columns & {"distribution", "shares", "share"}:
        _long(path, rows, drafts, made)
    elif any(_LETTERED.search(name) for name in columns):
        _lettered(path, rows, made)
    elif "country" in columns:
        _means(path, rows, _needed(path, drafts), made)
    else:
        raise ContentError(
            path,
            f"of no known form (columns {', '.join(sorted(map(str, columns)))[:120]}); docs/survey.md names the forms, "
            "such as question, options, country, distribution",
            line=1,
        )
    return made.survey(path)


def read_questions(path: Path) -> list[QuestionDraft]:
    """The questions of a file: JSON Lines or CSV of `id`, `question` and `options` (or `choices`).

    Raises:
        ContentError: it cannot be read, a field is missing or wrong, or two questions have one id.
    """
    found: dict[str, QuestionDraft] = {}
    for line, row in read_rows(path):
        options = _list(path, line, "options", row.get("options") or row.get("choices"))
        draft = _draft(path, line, _cell(row, "id") or f"q{line}", row.get("question"), options, row)
        if found.setdefault(draft.id, draft) is not draft:
            raise ContentError(path, f"{draft.id!r} stands twice", line=line, field="id")
    return list(found.values())


def _draft(path: Path, line: int, name: str, text: Any, options: Sequence[str], row: Row) -> QuestionDraft:
    """A question of a row, with what else the row may say of it."""
    if not isinstance(text, str) or not text.strip():
        raise ContentError(path, "missing", line=line, field="question")
    given, text = row.get("paraphrases"), text.strip()
    if isinstance(given, str) and not given.strip().startswith("["):  # a semicolon may stand in a sentence
        given = [part for part in given.split("|") if part.strip()]
    others = tuple(each.strip() for each in _list(path, line, "paraphrases", given)) if given else ()
    if not all(others) or len({text, *others}) <= len(others):
        raise ContentError(path, "one is empty or says the same as another", line=line, field="paraphrases")
    return QuestionDraft(name, text, tuple(options), _cell(row, "cluster"), others)


def write_survey(survey: Survey, path: Path) -> None:
    """Write a survey in our own form, one line a question, which `read_survey` reads back.

    Raises:
        MultiplexError: the disk refuses.
    """
    with open_draft(path) as out:
        head = {"multiplex_survey": FORM, "name": survey.name, "notes": survey.notes}
        print(json.dumps(head, ensure_ascii=False), file=out)
        for question in survey.questions:
            line = question.model_dump(mode="json")
            line |= {"shares": survey.shares.get(question.id, {}), "means": survey.means.get(question.id, {})}
            print(json.dumps(line, ensure_ascii=False), file=out)


def _own(path: Path, rows: Sequence[tuple[int, Row]]) -> Survey:
    from pydantic import ValidationError

    head = rows[0][1]
    if head["multiplex_survey"] != FORM:
        raise ContentError(path, f"of form {head['multiplex_survey']!r}; this version reads {FORM}", line=1)
    lines = [dict(row) for _, row in rows[1:]]
    shares = {str(row.get("id")): row.pop("shares", {}) for row in lines}
    means = {str(row.get("id")): row.pop("means", {}) for row in lines}
    try:
        return Survey(
            name=head.get("name"), notes=head.get("notes", ()), questions=lines,
            shares={name: each for name, each in shares.items() if each},
            means={name: each for name, each in means.items() if each},
        )  # fmt: skip  # pydantic checks what the file holds
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ContentError(path, wrong.problem.removeprefix("Value error, "), field=wrong.field) from error


def _needed(path: Path, drafts: Mapping[str, QuestionDraft]) -> Mapping[str, QuestionDraft]:
    if not drafts:
        raise ContentError(path, "holds no wording of questions; give the file that does with --questions")
    return drafts


def _global_opinion(path: Path, rows: Sequence[tuple[int, Row]], made: Assembly) -> None:
    for line, row in rows:
        options = _list(path, line, "options", row.get("options"))
        found = row.get("countries")
        if found is None:
            found = _selections(path, line, str(row.get("selections")))
        if not isinstance(found, Mapping):
            raise ContentError(path, "an object of country and distribution is needed", line=line, field="countries")
        source = str(row.get("source") or "")
        name = _cell(row, "id") or f"{source.lower() + '-' if source else ''}{line}"
        draft = _draft(path, line, name, row.get("question"), options, row)
        made.add(draft, path, line)
        for country, shares in found.items():
            made.add_shares(draft, str(country), _numbers(path, line, "countries", shares), path, line)


def _selections(path: Path, line: int, text: str) -> Any:
    """The object in `defaultdict(<class 'list'>, {...})`, as the published file has it; nothing in it is executed."""
    match = _SELECTION.search(text)
    try:
        return ast.literal_eval(match.group(0) if match else text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ContentError(path, "no list of countries can be read", line=line, field="selections") from error


def _long(path: Path, rows: Sequence[tuple[int, Row]], drafts: Mapping[str, QuestionDraft], made: Assembly) -> None:
    columns = _columns(rows)
    column = next(name for name in ("distribution", "shares", "share") if name in columns)
    of_text: dict[str, str] = {}
    for line, row in rows:
        name = _cell(row, "id")
        if name not in drafts:
            text = row.get("question")
            if not isinstance(text, str) or not text.strip():
                what = f"no question {name!r} in --questions" if drafts else "missing, and no --questions FILE is given"
                raise ContentError(path, what, line=line, field="id" if drafts else "question")
            options = _list(path, line, "options", row.get("options"))
            name = name or of_text.setdefault(text.strip(), f"q{len(of_text) + 1}")
            draft = _draft(path, line, name, text, options, row)
        else:
            draft = drafts[name]
            made.add(draft, path, line)
            if row.get("options"):  # which may have an order of their own
                draft = replace(draft, options=tuple(_list(path, line, "options", row["options"])))
        made.add(draft, path, line)
        shares = _numbers(path, line, column, _list(path, line, column, row.get(column)))
        made.add_shares(draft, _country(path, line, row), shares, path, line)


def _country(path: Path, line: int, row: Row, column: str = "country") -> str:
    country = str(row.get(column) or "").strip()
    if not country:
        raise ContentError(path, "missing", line=line, field=column)
    return country


def _columns(rows: Sequence[tuple[int, Row]]) -> list[str]:
    """The columns of all rows: one of JSON Lines may lack what a country was not asked."""
    return list(dict.fromkeys(name for _, row in rows for name in row))


def _cell(row: Row, name: str) -> str:
    """A cell as text, which may be the number 0; empty where the row has none."""
    return "" if row.get(name) is None else str(row[name]).strip()


def _means(path: Path, rows: Sequence[tuple[int, Row]], drafts: Mapping[str, QuestionDraft], made: Assembly) -> None:
    """Means of option numbers, from 1 (from 0 where the first option is "0"), a column a question."""
    columns = _columns(rows)
    names = [name for name in columns if name in drafts]
    for name in names:
        made.add(drafts[name], path, 1)
    for name in columns:
        if name not in (*names, "ctr", "country", "Demonym"):
            made.leave_out(f"column {name}", "not in the questions file")
    for line, row in rows:
        for name in names:
            cell = _cell(row, name)
            if cell not in ("", "#NULL!"):
                made.add_number(name, _country(path, line, row), _number(path, line, name, cell), path, line)


def _lettered(path: Path, rows: Sequence[tuple[int, Row]], made: Assembly) -> None:
    """A row a country, a column a question with its options in its name; the cells are means on 0..1."""
    drafts: dict[str, QuestionDraft] = {}
    columns = _columns(rows)
    for name in columns:
        if first := _LETTERED.search(name):
            options = tuple(option.strip() for _, option in _LETTERED.findall(name))
            drafts[name] = QuestionDraft(f"q{len(drafts) + 1}", name[: first.start()].strip(), options)
            made.add(drafts[name], path, 1)
    others = [name for name in columns if name not in drafts]
    if not others:
        raise ContentError(path, "has no column of the country", line=1)
    country = "country" if "country" in others else others[0]
    for name in others:
        if name != country:
            made.leave_out(f"column {name}", "no options in its name")
    for line, row in rows:
        for name, draft in drafts.items():
            if cell := _cell(row, name):
                mean = _number(path, line, draft.id, cell)
                made.add_mean(draft.id, _country(path, line, row, country), mean, path, line)


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a CSV, JSON Lines or JSON file with their lines (of a JSON list their numbers).

    Raises:
        ContentError: it cannot be read; the line is named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() in (".csv", ".tsv"):
                yield from _csv_rows(path, file)
            elif path.suffix.lower() in (".jsonl", ".json"):
                yield from _json_rows(path, file)
            else:
                raise ContentError(path, "a .csv, .tsv, .jsonl or .json file can be read")
    except OSError as error:
        raise ContentError(path, f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ContentError(path, "is not UTF-8 text; save it as UTF-8", line=_first_undecodable(path)) from error


def _csv_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(CELL)
    head = file.readline()
    file.seek(0)
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else delimiter)
    try:
        names = [name for name in reader.fieldnames or () if name]
        if len(set(names)) < len(names):
            twice = max(names, key=names.count)
            raise ContentError(path, f"two columns are named {twice[:40]!r}", line=1)
        for row in reader:
            if any(row.pop(None, ())):  # cells beyond the header
                raise ContentError(path, "the row has more cells than the header", line=reader.line_num)
            if any(row.values()):
                yield reader.line_num, row
    except csv.Error as error:
        raise ContentError(path, f"no CSV: {error}", line=reader.line_num) from error


def _first_undecodable(path: Path) -> int | None:
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                return line
    return None


def _json_rows(path: Path, file: TextIO) -> Iterator[tuple[int, Row]]:
    text = enumerate(file, 1) if path.suffix.lower() == ".jsonl" else [(1, file.read())]
    for line, each in text:
        if not each.strip():
            continue
        try:
            found = json.loads(each)
        except (ValueError, RecursionError) as error:
            raise ContentError(path, f"no JSON: {str(error)[:100]}", line=line) from error
        for number, row in enumerate(found if isinstance(found, list) else [found]):
            if not isinstance(row, dict):
                raise ContentError(path, "an object is needed", line=line)
            yield line + number, row


def _list(path: Path, line: int, field: str, value: Any) -> list[Any]:
    """A list, given as one or written as one (JSON or Python), or as text with `|` or `;` between its items."""
    if isinstance(value, str) and value.strip():
        text = value.strip()
        if text.startswith("["):
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
                raise ContentError(path, "no list can be read", line=line, field=field) from error
        else:
            value = [part.strip() for part in text.split("|" if "|" in text else ";")]
    if not isinstance(value, list | tuple) or not value:
        raise ContentError(path, "missing, or no list", line=line, field=field)
    return [item if field in ("distribution", "shares", "share") else str(item) for item in value]


def _numbers(path: Path, line: int, field: str, values: Any) -> list[float]:
    if not isinstance(values, list | tuple):
        raise ContentError(path, "a list of shares is needed", line=line, field=field)
    return [_number(path, line, field, value) for value in values]


def _number(path: Path, line: int, field: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ContentError(path, f"{str(value)[:40]!r} is no number", line=line, field=field) from None
