"""Reads texts to be measured from a file of any length, row by row: JSON Lines, CSV, Parquet or plain text."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.references import Span
from multiplex.text.tokens import has_word

STDIN = "-"
FIELD_LIMIT = 10_000_000  # characters of one CSV field; the csv module's own limit is 131,072
Kind = Literal["jsonl", "csv", "parquet", "text"]
_KINDS: Mapping[str, Kind] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passage:
    """One text to measure.

    Attributes:
        id: the row's `id`, else its number in the file, from 1.
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
    """Which columns are read; a column that is named must be there."""

    text: str = "text"
    group: str | None = None
    scaffold: str | None = None


def read(
    path: str, columns: Columns | None = None, *, progress: Callable[[int], object] | None = None
) -> Iterator[Passage | Skipped]:
    """The rows of a file in order, one at a time; "-" is standard input.

    The name's ending tells the form: .jsonl or .ndjson, .csv or .tsv (with a header), .parquet; any other file is
    plain text and one passage. Standard input is JSON Lines where it begins with a brace, else plain text.
    `progress` is told the bytes read so far.

    Raises:
        UsageError: the file cannot be read, or lacks a named column altogether.
    """
    columns = columns or Columns()
    tell = progress or (lambda _: None)
    try:
        kind = "stdin" if path == STDIN else _KINDS.get(Path(path).suffix.lower(), "text")
        if kind == "parquet":
            yield from _parquet(path, columns, tell)
            return
        with _opened(path) as stream:
            if kind == "stdin":
                kind = "jsonl" if stream.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "text"
            yield from {"jsonl": _json_lines, "csv": _csv, "text": _plain}[kind](path, stream, columns, tell)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _opened(path: str) -> Iterator[io.BufferedReader]:
    if path == STDIN:
        yield cast(io.BufferedReader, sys.stdin.buffer)
        return
    with Path(path).open("rb") as stream:
        yield stream


def _json_lines(
    _: str, stream: io.BufferedReader, columns: Columns, tell: Callable[[int], object]
) -> Iterator[Passage | Skipped]:
    read_bytes = 0
    for line, raw in enumerate(stream, start=1):
        read_bytes += len(raw)
        tell(read_bytes)
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode("utf-8-sig"))
        except UnicodeDecodeError:
            yield Skipped(line, "not UTF-8")
        except (json.JSONDecodeError, RecursionError) as error:
            yield Skipped(line, f"not JSON ({getattr(error, 'msg', 'nested too deeply')})")
        else:
            yield _passage(row, line, columns) if isinstance(row, dict) else Skipped(line, "not a JSON object")


def _csv(
    path: str, stream: io.BufferedReader, columns: Columns, tell: Callable[[int], object]
) -> Iterator[Passage | Skipped]:
    csv.field_size_limit(FIELD_LIMIT)
    # What is not UTF-8 comes through as a lone surrogate and is told below with its line.
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _records(path, text, columns, lambda: tell(stream.tell()))
    finally:
        text.detach()


def _records(
    path: str, text: io.TextIOWrapper, columns: Columns, tell: Callable[[], object]
) -> Iterator[Passage | Skipped]:
    reader = csv.reader(text, delimiter="\t" if path.lower().endswith(".tsv") else ",")
    header = next(reader, None)
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
            yield Skipped(line, f"not CSV ({error})")
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
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UsageError(
            f'{path}: Parquet needs pyarrow; install it with: pip install "multiplex-worldviews[parquet]"'
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            _require(path, file.schema_arrow.names, columns)
            wanted = {columns.text, columns.group, columns.scaffold, "id", "question", "prompt"}
            line = 0
            size = max(1, file.metadata.num_rows)
            total = Path(path).stat().st_size
            for batch in file.iter_batches(256, columns=[n for n in file.schema_arrow.names if n in wanted]):
                for row in batch.to_pylist():
                    line += 1
                    tell(total * line // size)
                    yield _passage(row, line, columns)
    except pyarrow.ArrowException as error:
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
    name = "stdin" if path == STDIN else Path(path).name
    yield Passage(name, text, 1) if has_word(text) else Skipped(1, "no word in it")


def _require(path: str, names: list[str], columns: Columns) -> None:
    for flag, name in (
        ("--text-column", columns.text),
        ("--group-by", columns.group),
        ("--scaffold-column", columns.scaffold),
    ):
        if name is not None and name not in names:
            raise UsageError(f"{path}: no column {name!r}; it has {', '.join(map(repr, names))}; name one with {flag}")


def _passage(row: Mapping[str, Any], line: int, columns: Columns, *, number: int | None = None) -> Passage | Skipped:
    text = row.get(columns.text)
    if text is None:
        return Skipped(line, f"no {columns.text!r}")
    if not isinstance(text, str):
        return Skipped(line, f"{columns.text!r} is {type(text).__name__}, not text")
    if not has_word(text):
        return Skipped(line, f"no word in {columns.text!r}")
    if columns.group is not None and row.get(columns.group) is None:
        return Skipped(line, f"no {columns.group!r}")
    try:
        scaffold = _spans(row.get(columns.scaffold), len(text)) if columns.scaffold else ()
    except ValueError as error:
        return Skipped(line, f"{columns.scaffold!r}: {error}")
    known = row.get("id")
    return Passage(
        id=str(known) if known not in (None, "") else str(number or line),
        text=text,
        line=line,
        group=str(row[columns.group]) if columns.group else "",
        question=str(row.get("question") or ""),
        prompt=str(row.get("prompt") or ""),
        scaffold=scaffold,
    )


def _spans(value: Any, length: int) -> tuple[Span, ...]:
    """Scaffold spans from a list of pairs, or from the same as JSON (in CSV)."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error.msg})") from error
    spans = []
    for pair in value or []:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(type(place) is int for place in pair):
            raise ValueError("must be a list of [start, end] pairs")
        start, end = pair
        if not 0 <= start <= end <= length:
            raise ValueError(f"[{start}, {end}] does not lie in a text of {length} characters")
        spans.append((start, end))
    return tuple(spans)
