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


def test_a_quote_that_is_never_closed_is_told_before_anything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'id,text\n1,One.\n2,"Two.\n' + "3,Three.\n" * 100)
    with pytest.raises(UsageError, match=r"a\.csv:3: is not valid CSV: unexpected end of data"):
        next(read(path))
    with pytest.raises(UsageError, match=r"b\.csv:1: is not valid CSV"):
        next(read(written(tmp_path, "b.csv", '"id"x,text\n1,One.\n')))


def test_a_quote_in_the_wrong_place_costs_its_own_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'id,text\n1,"One" he said.\n2,Two.\n')
    told, kept = read(path)
    assert told == Skipped(2, "not CSV (',' expected after '\"')")
    assert kept == Passage("2", "Two.", 3)


def test_half_an_emoji_becomes_a_question_mark_in_every_field(tmp_path: Path) -> None:
    row = '{"id": "a\\ud83d", "text": "O\\ud83dne.", "question": "\\ude00?", "prompt": "\\ud83d", "m": "\\ud83d"}'
    assert list(read(written(tmp_path, "a.jsonl", row), Columns(group="m"))) == [
        Passage("a?", "O?ne.", 1, "?", "??", "?")
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
def test_a_json_array_is_read_whatever_its_file_is_called(tmp_path: Path, name: str) -> None:
    rows = [{"text": "One."}, {"id": "b", "text": "Two."}, 3]
    for indent in (None, 2):
        found = list(read(written(tmp_path, name, json.dumps(rows, indent=indent))))
        assert found == [Passage("1", "One.", 1), Passage("b", "Two.", 2), Skipped(3, "not a JSON object")]


def test_a_json_file_may_hold_lines_a_table_or_one_row(tmp_path: Path) -> None:
    lines = written(tmp_path, "a.json", '{"text": "One."}\n{"text": "Two."}\n')
    assert [each.text for each in read(lines) if isinstance(each, Passage)] == ["One.", "Two."]
    table = written(tmp_path, "b.json", json.dumps({"version": 1, "rows": [{"text": "One."}]}, indent=1))
    assert list(read(table)) == [Passage("1", "One.", 1)]
    assert list(read(written(tmp_path, "b2.json", json.dumps({"rows": [{"text": "One."}]}) + "\n"))) == [
        Passage("1", "One.", 1)
    ]
    assert list(read(written(tmp_path, "c.json", '{\n"text": "One."\n}'))) == [Passage("1", "One.", 1)]
    with pytest.raises(UsageError, match=r"d\.json: is not valid JSON: Expecting value: line 2 column 1"):
        list(read(written(tmp_path, "d.json", '[{"text": "One."},\n')))
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(UsageError, match=r"g\.json:3: is not valid JSON: nested too deeply$"):
        list(read(written(tmp_path, "g.json", '[{"text": "[[One."},\n{"text": "Two."},\n{"text": ' + deep + "}]")))
    lines = written(tmp_path, "h.jsonl", '{"text": "One."}\n{"text": "Two.", "x": ' + deep + '}\n{"text": "Three."}\n')
    assert list(read(lines))[1] == Skipped(2, "not JSON (nested too deeply)")
    spans = written(tmp_path, "i.jsonl", json.dumps({"text": "One.", "ours": deep}))
    with_spans = list(read(spans, Columns(scaffold="ours")))
    assert [type(each) for each in with_spans] == [Skipped]
    assert "not JSON (nested too deeply)" in str(with_spans[0])
    with pytest.raises(UsageError, match="no 'text', and not one array of objects alone; it has 'a', 'b'"):
        list(read(written(tmp_path, "e.json", '{\n"a": 1, "b": 2}')))
    broken = written(tmp_path, "f.jsonl", '["text"]\n{"text": "Two."}\n')
    assert list(read(broken)) == [Skipped(1, "not a JSON object"), Passage("2", "Two.", 2)]


def test_the_last_reply_of_a_chat_is_its_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Elders"}, {"type": "text", "text": "speak."}]
    chats = [
        {"messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "So."}, {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": parts},
        ]},
        {"conversations": [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Kin."}]},
        {"messages": [{"role": "user", "content": "Who?"}]},
        {"id": "batch_req_1", "custom_id": "x",
         "response": {"body": {"choices": [{"message": {"role": "assistant", "content": "All."}}]}}},
    ]  # fmt: skip
    path = written(tmp_path, "a.jsonl", "".join(json.dumps(chat) + "\n" for chat in chats))
    assert list(read(path)) == [
        Passage("1", "Elders\nspeak.", 1, question="Who?", prompt="Be brief."),
        Passage("2", "Kin.", 2, question="Who?"),
        Skipped(3, "no reply of an assistant in its messages"),
        Passage("x", "All.", 4),
    ]


def test_the_column_of_the_question_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "asked,text\nWho?,Kin.\n")
    assert list(read(path, Columns(question="asked"))) == [Passage("1", "Kin.", 2, question="Who?")]
    with pytest.raises(UsageError, match=r"no column 'query'.* name one with --question-column"):
        list(read(path, Columns(question="query")))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.XLSX", b"PK", "a spreadsheet; save the sheet as CSV"),
        ("a.jsonl.gz", b"\x1f\x8b", "packed; unpack it"),
        ("a.csv", "id,text\n1,One.\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("a.csv", b"text,id,text\nOne.,1,Two.\n", "2 columns are called 'text'"),
    ],
)
def test_a_file_that_cannot_be_read_as_it_is_says_what_to_do(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        list(read(written(tmp_path, name, content)))


def test_fields_may_be_parted_by_semicolons(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'id;text;note (a, b);"a, b, c"\n1;"Kin, then; all.";x;y\n')
    assert list(read(path)) == [Passage("1", "Kin, then; all.", 2)]


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
    said = [[{"role": "assistant", "content": "So."}]] * 2
    pyarrow.parquet.write_table(pyarrow.table({"text": ["One.", None], "messages": said}), path)
    assert list(read(str(path))) == [Passage("1", "One.", 1), Passage("2", "So.", 2)]
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        list(read(written(tmp_path, "b.parquet", "no such thing")))


def test_a_parquet_row_with_a_value_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    offsets = pyarrow.array([0, 4, 9, 13], pyarrow.int32()).buffers()[1]
    texts = pyarrow.StringArray.from_buffers(3, offsets, pyarrow.py_buffer(b"One.T\xffwo.Kin."))
    whole = 1_600_000_000_000_000_000
    ids = pyarrow.array([whole, whole, whole + 1], pyarrow.timestamp("ns"))  # Python has no nanoseconds
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "id": ids}), path)
    first, second, third = read(str(path))
    assert (first, second) == (Passage("2020-09-13 12:26:40", "One.", 1), Skipped(2, "not UTF-8"))
    assert isinstance(third, Skipped)
    assert third.reason.startswith("a value that cannot be read (Nanosecond")


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
