"""Question sets: the built-in one, WorldView-Bench in its original form, and any file with a `question` column."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from multiplex.content import content_root, sha256
from multiplex.errors import ContentError, UsageError
from multiplex.llm.spec import QUESTION_LIMIT

BUILT_IN = "worldviews-175"
ORIGINAL = "worldview-bench"
DOMAINS = ("Ethical/Moral", "Religious", "Lifestyle", "Cultural Norms", "Traditions", "History", "Technology")
FILE_LIMIT = 50_000_000  # bytes
_ENDINGS = (".csv", ".jsonl", ".ndjson")
_COLUMNS = ("id", "domain", "cued", "question")
# Of the 175 questions, sorted and joined by newlines: tells them from another file in the same form.
_ORIGINAL_DIGEST = "818cc61883eb05df8f56dfe9a2e39f3ffd8322564d7af7f0281549d97364587c"
_NUMBERED = re.compile(r"(\d{1,4})\.\s+(.+)", re.DOTALL)
_TRUTH = {"true": True, "false": False}


class Question(BaseModel):
    """A question of a set.

    Attributes:
        domain: empty where the set has none.
        cued: whether the wording names a culture, tradition, religion or colonial history; None where nobody said.
        language: the code of the translation that these words are of; empty for the set's own words.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    question: str
    domain: str = ""
    cued: bool | None = None
    language: str = ""


class QuestionSet(BaseModel):
    """Questions that belong together; no two share an id or their words."""

    model_config = ConfigDict(frozen=True)
    name: str
    questions: tuple[Question, ...]


def load(name: str) -> QuestionSet:
    """The question set of a name (`worldviews-175`) or of a file (.csv, .jsonl); a wrong file is refused whole.

    A file needs a column `question` and may have `id`, `domain` and `cued`; what else it has is left alone. A question
    without an id gets one made of its words, so that another order of the rows is no other set. The original file of
    WorldView-Bench is known by its seven headings.

    Raises:
        UsageError: there is no such set or file.
        ContentError: the file is wrong; it is named with the line and, where there is one, the column.
    """
    return read(find_file(name))


def find_file(name: str) -> Path:
    """The file of a set that is named by `worldviews-175`, or by the path of its file, which may be missing.

    Raises:
        UsageError: there is no such set.
    """
    if name == BUILT_IN:
        return content_root() / "eval" / "questions" / f"{BUILT_IN}.csv"
    if name == ORIGINAL:
        raise UsageError(
            f"--questions {ORIGINAL}: its questions do not come with this package; give the path of its file"
        )
    path = Path(name)
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"--questions {name!r}: no such set; {BUILT_IN!r} is built in, a file ends in .csv or .jsonl")
    return path


def read(path: Path) -> QuestionSet:
    """The question set of a file, named after it (the original WorldView-Bench by its own name).

    Raises:
        ContentError: see `load`.
    """
    found = tuple(question for _, question in read_lines(path))
    digest = sha256("\n".join(sorted(question.question for question in found)))
    return QuestionSet(name=ORIGINAL if digest == _ORIGINAL_DIGEST else path.stem, questions=found)


def read_lines(path: Path) -> list[tuple[int, Question]]:
    """The questions of a file, at least one, each with the line it stands in.

    What does not end in .csv is read as JSON Lines.

    Raises:
        ContentError: see `load`.
    """
    text = _text(path)
    if path.suffix.lower() == ".csv":
        questions = _from_csv(path, text)
    else:
        questions = [_question(path, line, row) for line, row in _json_rows(path, text)]
    if not questions:
        raise ContentError(path, "holds no question")
    _refuse_repetition(path, questions)
    return questions


def chosen(questions: QuestionSet, limit: int | None, seed: int) -> tuple[Question, ...]:
    """The first `limit` questions (None: all) of an order that the seed makes; a larger limit extends a smaller one.

    Every beginning of the order is as even over domains and over cued / not cued, in each domain and altogether, as
    the set allows. The order of the rows in the file does not matter.

    Raises:
        UsageError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: at least 1")
    return tuple(_in_turn(questions.questions, seed))[:limit]


def _in_turn(questions: Sequence[Question], seed: int) -> Iterator[Question]:
    """One question of each domain in turn, of the kind (cued, not cued, unsaid) that the domain has given least of."""

    def drawn(text: str) -> str:
        return sha256(f"{seed}\n{text}")

    left: dict[str, dict[bool | None, list[Question]]] = {}
    for question in sorted(questions, key=lambda question: drawn(question.id), reverse=True):
        left.setdefault(question.domain, {}).setdefault(question.cued, []).append(question)
    given: Counter[tuple[str, bool | None]] = Counter()
    altogether: Counter[bool | None] = Counter()
    before: tuple[bool | None, ...] = ()

    def claim(kind: bool | None) -> tuple[int, int, bool, str]:
        # Ties go to the other kind than the one before: what one round has too much of, the next then makes even.
        return given[domain, kind], altogether[kind], (kind,) == before, drawn(f"{domain} {kind}")

    while left:
        for domain in sorted(left, key=drawn):
            kinds = left[domain]
            kind = min(kinds, key=claim)
            given[domain, kind] += 1
            altogether[kind] += 1
            before = (kind,)
            yield kinds[kind].pop()
            left[domain] = {kind: rest for kind, rest in kinds.items() if rest}
        left = {domain: kinds for domain, kinds in left.items() if kinds}


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise ContentError(path, f"larger than {FILE_LIMIT:,} bytes; a question set is short text")
        data = path.read_bytes()
    except OSError as error:
        raise ContentError(path, f"cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContentError(path, "is not UTF-8 text; save it as UTF-8", line=line) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _from_csv(path: Path, text: str) -> list[tuple[int, Question]]:
    rows = _csv_rows(path, text)
    _, header = next(rows, (1, []))
    headings = [_squeezed(cell) for cell in header]
    if sorted(headings) == sorted(map(_squeezed, DOMAINS)):
        names = {_squeezed(domain): domain for domain in DOMAINS}
        return _from_original(path, [names[heading] for heading in headings], list(rows))
    for heading in headings:
        if heading in _COLUMNS and headings.count(heading) > 1:
            raise ContentError(path, "the column stands twice", line=1, field=heading)
    if "question" not in headings:
        there = ", ".join(repr(cell[:40]) for cell in header[:8]) or "none"
        raise ContentError(
            path, f"no column of this name, parted by commas; the header has {there}", line=1, field="question"
        )
    return [
        _question(path, line, dict(zip(headings, _as_wide(path, line, row, header), strict=True))) for line, row in rows
    ]


def _from_original(
    path: Path, domains: Sequence[str], rows: Sequence[tuple[int, list[str]]]
) -> list[tuple[int, Question]]:
    """The questions of a table with a column a domain, whose cells begin "N. ", domain by domain."""
    questions = []
    for column, domain in enumerate(domains):
        slug = re.sub(r"[^a-z]+", "-", domain.lower())
        for line, row in rows:
            cell = _as_wide(path, line, row, domains)[column].strip()
            numbered = _NUMBERED.fullmatch(cell)
            if not numbered:
                problem = (
                    "empty cell"
                    if not cell
                    else f'the cell does not begin with its number, as in "1. Why": {cell[:40]!r}'
                )
                raise ContentError(path, problem, line=line, field=domain)
            number, question = numbered.groups()
            row_of = {"id": f"{slug}-{int(number):02d}", "domain": domain, "question": question}
            questions.append(_question(path, line, row_of))
    return questions


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the line it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ContentError(path, f"is not valid CSV: {error}", line=line) from error
        if row:
            yield line, row


def _as_wide(path: Path, line: int, row: list[str], header: Sequence[str]) -> list[str]:
    if len(row) != len(header):
        problem = f"{len(row)} cells under {len(header)} headings; put a cell that holds a comma in double quotes"
        raise ContentError(path, problem, line=line)
    return row


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            data = json.loads(row, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise ContentError(path, f"is not valid JSON: {error}", line=line) from error
        if not isinstance(data, dict):
            raise ContentError(path, "is not a JSON object; each line is one", line=line)
        if "question" not in data:
            raise ContentError(path, "no such key", line=line, field="question")
        yield line, data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON keeps the last of two equal keys in silence."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _question(path: Path, line: int, row: Mapping[str, Any]) -> tuple[int, Question]:
    """A row as a question, with its line."""
    words = _cell(path, line, "question", row["question"], breaks=True)
    if len(words) > QUESTION_LIMIT:
        raise ContentError(path, f"longer than {QUESTION_LIMIT:,} characters", line=line, field="question")
    if not any(character.isalnum() for character in words):
        raise ContentError(path, "holds no word", line=line, field="question")
    name = _cell(path, line, "id", row["id"]) if "id" in row else f"q-{sha256(_same(words))[:12]}"
    domain = _cell(path, line, "domain", row["domain"]) if "domain" in row else ""
    cued = _cued(path, line, row["cued"]) if "cued" in row else None
    return line, Question(id=name, question=words, domain=domain, cued=cued)


def _cell(path: Path, line: int, field: str, value: object, *, breaks: bool = False) -> str:
    """The text of a cell without the space around it; a number does for an id.

    Raises:
        ContentError: it is empty, no text, or holds what no text has.
    """
    if field == "id" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ContentError(path, f"{json.dumps(value)[:40]} is not text", line=line, field=field)
    text = value.strip()
    if not text:
        raise ContentError(path, "empty cell; fill it, or leave the whole column out", line=line, field=field)
    allowed = "\n\t" if breaks else ""
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in allowed for character in text):
        raise ContentError(path, "holds a control character", line=line, field=field)
    return text


def _cued(path: Path, line: int, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = _cell(path, line, "cued", value)
    if text.lower() not in _TRUTH:
        raise ContentError(path, f"{text[:40]!r} is neither true nor false", line=line, field="cued")
    return _TRUTH[text.lower()]


def _refuse_repetition(path: Path, questions: Sequence[tuple[int, Question]]) -> None:
    ids: dict[str, int] = {}
    words: dict[str, int] = {}
    for line, question in questions:
        for field, key, seen in (("question", _same(question.question), words), ("id", question.id, ids)):
            if key in seen:
                raise ContentError(path, f"{key[:40]!r} stands already in line {seen[key]}", line=line, field=field)
            seen[key] = line


def _same(text: str) -> str:
    """What two spellings of one question share."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _squeezed(heading: str) -> str:
    return "".join(heading.split()).casefold()
