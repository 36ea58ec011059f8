"""Reads texts to be measured from a file of any length, row by row: JSON Lines, CSV, Parquet or plain text.

A JSON array is read too, at once; a row may be a chat (`messages`), whose last reply is the text.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

from multiplex.errors import UsageError
from multiplex.evaluation.chats import CHATS, ChatRow, find_messages, read_chat
from multiplex.evaluation.csv_form import UNCLOSED, check_quotes, find_delimiter, unclosed
from multiplex.evaluation.extraction.references import Span
from multiplex.evaluation.parquet_form import check_parquet, parquet_rows
from multiplex.text.nesting import find_deep_line
from multiplex.text.tokens import has_word

STDIN = "-"
FIELD_LIMIT = 10_000_000  # characters of one CSV field; the csv module's own limit is 131,072
ARRAY_LIMIT = 500_000_000  # bytes of a JSON array, which is read at once; JSON Lines may be of any length
Kind = Literal["jsonl", "csv", "parquet", "text"]
_KINDS: Mapping[str, Kind] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_OTHERS = dict.fromkeys(
    (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".numbers"),
    "a spreadsheet; save the sheet as CSV (UTF-8) and give that file",
) | dict.fromkeys((".gz", ".bz2", ".xz", ".zst", ".zip", ".7z"), "packed; unpack it and give the file that is in it")
_DEEP = "nested too deeply"


@dataclass(frozen=True, slots=True)
class Passage:
    """One text to measure.

    Attributes:
        id: the row's `id` (the `custom_id` of a batch's output), else its number in the file, from 1.
        line: where it begins in the file, from 1 (for Parquet the row).
        group: its value in the grouping column.
        question: what was asked, where the file has a column `question`: its own words are echoes.
        prompt: what the model was told, where the file has a column `prompt`.
        scaffold: (start, end) of what is not to be scored.
        quoted: (start, end) of what stands so in the sourcebook: scored, and told apart.
    """

    id: str
    text: str
    line: int
    group: str = ""
    question: str = ""
    prompt: str = ""
    scaffold: tuple[Span, ...] = ()
    quoted: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that cannot be measured, and why; `lost` where the row is sound and a model failed."""

    line: int
    reason: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are read; a column that is named must be there.

    Where a row has no `text`, the last reply of its `messages` (or `conversations`, or an API's `choices`) is its text,
    what the user asked before it the question, and the system's words the prompt.
    """

    text: str = "text"
    group: str | None = None
    scaffold: str | None = None
    question: str | None = None


def read(
    path: str, columns: Columns | None = None, *, progress: Callable[[int], object] | None = None
) -> Iterator[Passage | Skipped]:
    """The rows of a file in order, one at a time; "-" is standard input.

    The name's ending tells the form: .jsonl, .ndjson or .json (one object a line, or an array of objects), .csv or
    .tsv (with a header), .parquet; any other file is plain text and one passage. Standard input is JSON where it begins
    so, else plain text. `progress` is told the bytes read so far. Half a surrogate pair, which JSON may hold and no
    file can, becomes "?".

    Raises:
        UsageError: the file cannot be read, is a spreadsheet, packed or UTF-16, has a CSV quote that is never closed or
            a JSON array that does not hold, or lacks a named column altogether or has it twice.
    """
    columns = columns or Columns()
    tell = progress or (lambda _: None)
    if path != STDIN and (other := _OTHERS.get(Path(path).suffix.lower())) is not None:
        raise UsageError(f"{path}: {other}")
    try:
        kind = "stdin" if path == STDIN else _KINDS.get(Path(path).suffix.lower(), "text")
        if kind == "parquet":
            yield from _parquet(path, columns, tell)
            return
        with _opened(path) as stream:
            if stream.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise UsageError(f"{path}: is UTF-16; save it as UTF-8 (Excel: CSV UTF-8) and give that file")
            if kind == "stdin":
                kind = "jsonl" if _beginning(stream) in (b"{", b"[") else "text"
            yield from {"jsonl": _json, "csv": _csv, "text": _plain}[kind](path, stream, columns, tell)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _opened(path: str) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    with Path(path).open("rb") as stream:
        yield stream


def _beginning(stream: io.BufferedReader) -> bytes:
    """The first byte that is no space, or nothing."""
    return stream.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _json(
    path: str, stream: io.BufferedReader, columns: Columns, tell: Callable[[int], object]
) -> Iterator[Passage | Skipped]:
    """The rows of JSON Lines, of an array, or of one object, which alone may hold an array of rows."""
    begins = _beginning(stream)
    first = stream.readline() if begins == b"{" else b""
    lines_only = path.lower().endswith((".jsonl", ".ndjson"))
    alone = bool(first) and not lines_only and not _beginning(stream)
    if begins != b"[" and not alone and (lines_only or not first or _parsed(first) is not None):
        yield from _json_lines(chain([first], stream), columns, tell)
        return
    raw = first + stream.read(ARRAY_LIMIT + 1 - len(first))
    if len(raw) > ARRAY_LIMIT:
        raise UsageError(f"{path}: an array of more than {ARRAY_LIMIT:,} bytes; write JSON Lines, one object a line")
    tell(len(raw))
    value = _parsed(raw)
    if value is not None:
        yield from _json_rows(path, value, columns)
    elif lines_only or alone or (path == STDIN and begins == b"{"):
        yield from _json_lines(raw.splitlines(keepends=True), columns, tell)
    elif path == STDIN:
        yield from _plain(path, io.BufferedReader(io.BytesIO(raw)), columns, tell)
    else:
        fault = _fault(raw)
        line = f":{find_deep_line(raw.decode('utf-8-sig'))}" if fault == _DEEP else ""
        raise UsageError(f"{path}{line}: is not valid JSON: {fault}")


def _json_lines(lines: Iterable[bytes], columns: Columns, tell: Callable[[int], object]) -> Iterator[Passage | Skipped]:
    read_bytes = 0
    for line, raw in enumerate(lines, start=1):
        read_bytes += len(raw)
        tell(read_bytes)
        if not raw.strip():
            continue
        if (row := _parsed(raw)) is None:
            fault = _fault(raw)
            yield Skipped(line, fault if fault == "not UTF-8" else f"not JSON ({fault})")
        else:
            yield _passage(row, line, columns) if isinstance(row, dict) else Skipped(line, "not a JSON object")


def _json_rows(path: str, value: object, columns: Columns) -> Iterator[Passage | Skipped]:
    """The rows of one JSON value: an array of objects, an object that holds one such array, or a single row."""
    if isinstance(value, dict) and columns.text not in value and find_messages(value) is None:
        arrays = [each for each in value.values() if _is_table(each)]
        if len(arrays) != 1:
            there = ", ".join(map(repr, list(value)[:8])) or "nothing"
            raise UsageError(f"{path}: no {columns.text!r}, and not one array of objects alone; it has {there}")
        value = arrays[0]
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        yield _passage(row, number, columns) if isinstance(row, dict) else Skipped(number, "not a JSON object")


def _parsed(raw: bytes) -> object | None:
    """The JSON value; None where it is none (`null` is no row either, and is told as one): see `_fault`."""
    try:
        value: object = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return False if value is None else value


def _fault(raw: bytes) -> str:
    """Why `_parsed` found no value."""
    try:
        json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "not UTF-8"
    except json.JSONDecodeError as error:
        return error.msg if error.lineno == 1 else str(error)
    except (ValueError, RecursionError) as error:
        return _DEEP if isinstance(error, RecursionError) else str(error)
    raise AssertionError("there is no fault")


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _csv(
    path: str, stream: io.BufferedReader, columns: Columns, tell: Callable[[int], object]
) -> Iterator[Passage | Skipped]:
    csv.field_size_limit(FIELD_LIMIT)
    delimiter = find_delimiter(path, stream)
    if Path(path).is_file():  # a pipe can be read once
        check_quotes(path, delimiter)
    # What is not UTF-8 comes through as a lone surrogate and is told below with its line.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _records(path, text, delimiter, columns, lambda: tell(stream.tell()))
    finally:
        text.detach()


def _records(
    path: str, text: io.TextIOWrapper, delimiter: str, columns: Columns, tell: Callable[[], object]
) -> Iterator[Passage | Skipped]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise UsageError(f"{path}:1: is not valid CSV: {error}; the first line names the columns") from error
    if header is None:
        raise UsageError(f"{path}: is empty; a CSV file begins with a line of column names")
    _require(path, header, columns)
    row_number = 0
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error) == UNCLOSED:
                raise unclosed(path, line) from error
            last = reader.line_num
            yield Skipped(line, f"not CSV ({error})" + (f", up to line {last}" if last > line else ""))
            continue
        tell()
        if not fields:
            continue
        row_number += 1
        if len(fields) != len(header):
            yield Skipped(line, f"{len(fields)} fields where the header has {len(header)}")
        elif any("\udc80" <= letter <= "\udcff" for field in fields for letter in field):
            yield Skipped(line, "not UTF-8")
        else:
            yield _passage(dict(zip(header, fields, strict=True)), line, columns, number=row_number)


def _parquet(path: str, columns: Columns, tell: Callable[[int], object]) -> Iterator[Passage | Skipped]:
    check_parquet(path)
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chat = columns.text not in names and {*CHATS} & {*names}
            _require(path, [*names, columns.text] if chat else names, columns)
            wanted = {columns.text, columns.group, columns.scaffold, columns.question}
            wanted |= {"id", "question", "prompt", *CHATS}
            line = 0
            size = max(1, file.metadata.num_rows)
            total = Path(path).stat().st_size
            for batch in file.iter_batches(256, columns=[name for name in names if name in wanted]):
                for row in parquet_rows(batch):
                    line += 1
                    tell(total * line // size)
                    yield _passage(row, line, columns) if isinstance(row, dict) else Skipped(line, row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:  # the latter of a column's name
        raise UsageError(f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]})") from error


def _plain(
    path: str, stream: io.BufferedReader, _: Columns, tell: Callable[[int], object]
) -> Iterator[Passage | Skipped]:
    raw = stream.read()
    tell(len(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        yield Skipped(line, "not UTF-8")
        return
    name = "stdin" if path == STDIN else _whole(Path(path).name)
    yield Passage(name, text, 1) if has_word(text) else Skipped(1, "no word in it")


def _require(path: str, names: list[str], columns: Columns) -> None:
    for flag, name in (
        ("--text-column", columns.text),
        ("--group-by", columns.group),
        ("--scaffold-column", columns.scaffold),
        ("--question-column", columns.question),
    ):
        if name is not None and name not in names:
            raise UsageError(f"{path}: no column {name!r}; it has {', '.join(map(repr, names))}; name one with {flag}")
        if name is not None and names.count(name) > 1:
            raise UsageError(f"{path}: {names.count(name)} columns are called {name!r}; rename one, or {flag} another")


def _passage(row: Mapping[str, Any], line: int, columns: Columns, *, number: int | None = None) -> Passage | Skipped:
    text, chat = row.get(columns.text), ChatRow()
    known = row.get("id")
    if text is None:
        text = find_messages(row)
        if isinstance(row.get("response"), dict) and row.get("custom_id") not in (None, ""):
            known = row["custom_id"]  # of a batch's output; its `id` is the provider's
    if text is None:
        return Skipped(line, f"no {columns.text!r}")
    if isinstance(text, list):
        if (found := read_chat(text)) is None:
            return Skipped(line, "no reply of an assistant in its messages")
        chat, text = found, found.text
    if not isinstance(text, str):
        return Skipped(line, f"{columns.text!r} is {type(text).__name__}, not text")
    if not has_word(text):
        return Skipped(line, f"no word in {columns.text!r}")
    for column in (columns.group, columns.question):
        if column is not None and row.get(column) is None:
            return Skipped(line, f"no {column!r}")
    try:
        scaffold = _spans(row.get(columns.scaffold), len(text)) if columns.scaffold else ()
    except ValueError as error:
        return Skipped(line, f"{columns.scaffold!r}: {error}")
    return Passage(
        id=_whole(known) if known not in (None, "") else str(number or line),
        text=_whole(text),
        line=line,
        group=_whole(row[columns.group]) if columns.group else "",
        question=_whole(row.get(columns.question or "question") or chat.question),
        prompt=_whole(row.get("prompt") or chat.prompt),
        scaffold=scaffold,
    )


def _whole(value: object) -> str:
    """A value as text that can be written: half a surrogate pair becomes "?", so places in it stay right."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _spans(value: Any, length: int) -> tuple[Span, ...]:
    """Scaffold spans from a list of pairs, or from the same as JSON (in CSV)."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error.msg})") from error
        except RecursionError as error:
            raise ValueError(f"not JSON ({_DEEP})") from error
    spans = []
    for pair in value or []:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(type(place) is int for place in pair):
            raise ValueError("must be a list of [start, end] pairs")
        start, end = pair
        if not 0 <= start <= end <= length:
            raise ValueError(f"[{start}, {end}] does not lie in a text of {length} characters")
        spans.append((start, end))
    return tuple(spans)
