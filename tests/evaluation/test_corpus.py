"""Reading texts: every form, and every way in which a row can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from multiplex.errors import UsageError
from multiplex.evaluation.corpus import Columns, Passage, Skipped, read


def written(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_json_lines_give_id_text_question_prompt_and_group(tmp_path: Path) -> None:
    row = {"id": 3, "text": "Elders speak.", "question": "Who?", "prompt": "Be brief.", "model": "m"}
    path = written(tmp_path, "a.jsonl", json.dumps(row) + "\n\n" + json.dumps({"text": "Kin.", "model": "n"}))
    assert list(read(path, Columns(group="model"))) == [
        Passage("3", "Elders speak.", 1, "m", "Who?", "Be brief."),
        Passage("3", "Kin.", 3, "n"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"{", "not JSON"),
        (b'["text"]', "not a JSON object"),
        (b'{"body": "x"}', "no 'text'"),
        (b'{"text": 5}', "'text' is int, not text"),
        (b'{"text": "  ... "}', "no word in 'text'"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_row_is_told_with_its_line_and_the_rest_is_read(tmp_path: Path, row: bytes, reason: str) -> None:
    path = written(tmp_path, "a.jsonl", b'{"text": "One."}\n' + row + b'\n{"text": "Three."}\n')
    first, second, third = read(path)
    assert isinstance(first, Passage)
    assert isinstance(third, Passage)
    assert third.line == 3
    assert isinstance(second, Skipped)
    assert second.line == 2
    assert second.reason.startswith(reason)


def test_csv_may_hold_line_breaks_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffid,text\nx,"One,\ntwo."\ny,Three.\n')
    assert list(read(path)) == [Passage("x", "One,\ntwo.", 2), Passage("y", "Three.", 4)]


def test_csv_rows_that_are_short_or_not_utf8_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", b"id\ttext\nx\n\xff\tOne.\ny\tTwo.\n")
    assert list(read(path)) == [
        Skipped(2, "1 fields where the header has 2"),
        Skipped(3, "not UTF-8"),
        Passage("y", "Two.", 4),
    ]


def test_a_column_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no column 'text'; it has 'id', 'answer'; name one with --text-column"):
        list(read(written(tmp_path, "a.csv", "id,answer\n1,x\n")))
    with pytest.raises(UsageError, match="is empty"):
        list(read(written(tmp_path, "b.csv", "")))


def test_parquet_is_read_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"id": ["x", "y"], "answer": ["One.", None], "skip": [[[0, 2]], []]})
    pyarrow.parquet.write_table(table, path)
    assert list(read(str(path), Columns("answer", scaffold="skip"))) == [
        Passage("x", "One.", 1, scaffold=((0, 2),)),
        Skipped(2, "no 'answer'"),
    ]
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        list(read(written(tmp_path, "b.parquet", "no such thing")))


def test_any_other_file_is_one_text(tmp_path: Path) -> None:
    text = "# Kin\n\nElders speak."
    assert list(read(written(tmp_path, "a.md", text))) == [Passage("a.md", text, 1)]
    assert list(read(written(tmp_path, "b.txt", "\n \n"))) == [Skipped(1, "no word in it")]
    assert list(read(written(tmp_path, "c.txt", b"one\ntwo \xff"))) == [Skipped(2, "not UTF-8")]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        list(read(str(tmp_path / "none.jsonl")))


@pytest.mark.parametrize(
    ("scaffold", "reason"),
    [
        ("[[0, 99]]", "does not lie in a text of 4 characters"),
        ("[[0]]", "must be a list of [start, end] pairs"),
        ("[[0, 1.5]]", "must be a list of [start, end] pairs"),
        ('"["', "not JSON"),
    ],
)
def test_scaffold_that_is_not_in_the_text_is_told(tmp_path: Path, scaffold: str, reason: str) -> None:
    path = written(tmp_path, "a.jsonl", f'{{"text": "One.", "spans": {scaffold}}}\n')
    (only,) = read(path, Columns(scaffold="spans"))
    assert isinstance(only, Skipped)
    assert reason in only.reason


def test_progress_ends_at_the_files_size(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", '{"text": "One."}\n'), ("b.csv", "text\nOne.\n"), ("c.txt", "One.")):
        told: list[int] = []
        list(read(written(tmp_path, name, content), progress=told.append))
        assert told[-1] == len(content)
