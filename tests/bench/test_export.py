"""A run as CSV and JSON Lines: nothing is lost, and no cell starts a spreadsheet's formula."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from multiplex.bench.plan.units import Unit
from multiplex.bench.report.export import export, harmless
from multiplex.bench.store.records import Record
from multiplex.bench.store.store import Store
from multiplex.errors import MultiplexError
from tests.bench import synthetic


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Given:
    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def records(self, _: str | None = None) -> Iterator[Record]:
        return iter(self._records)


def one(text: str) -> tuple[Unit, Given]:
    unit = synthetic.units()[1]
    return unit, Given([synthetic.scored(unit, synthetic.answer(unit, text))])


def test_every_unit_is_a_row_with_its_state_and_figures(tmp_path: Path) -> None:
    synthetic.stored(tmp_path, synthetic.records())
    with Store.read(tmp_path) as store:
        assert export(store, tmp_path / "results.csv", "csv") == 48
    table = rows(tmp_path / "results.csv")
    assert [row["unit"] for row in table] == [unit.id for unit in synthetic.units()]
    assert [table[place]["state"] for place in (0, 3, 7)] == ["done", "failed", "pending"]
    assert table[0]["lost"] == "african"
    assert table[3]["error"].startswith("timeout: no reply")
    assert table[3]["entropy"] == table[7]["text"] == ""
    wide = synthetic.measured(synthetic.WIDE)
    assert float(table[0]["entropy"]) == pytest.approx(wide.entropy)
    assert table[0]["effective"] == table[0]["hill_number"] == str(wide.hill_number)
    assert (table[0]["references_african"], table[0]["share_east_asian"]) == ("1", "0.0")
    assert float(table[0]["share_western"]) == pytest.approx(wide.shares["western"])


def test_an_answer_without_a_reference_has_no_share_and_no_entropy(tmp_path: Path) -> None:
    _, given = one("It depends on the case.")
    export(given, tmp_path / "a.csv", "csv")
    (row,) = rows(tmp_path / "a.csv")
    assert (row["references"], row["references_western"], row["share_western"], row["entropy"]) == ("0", "0", "", "")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1 is less",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1+1",
        "\n-x",
        "\u200b=1",
        "\ufeff \x00+1",
        "\u3000@x",
        "＝1+1",
    ],
)
def test_a_text_never_starts_a_formula(tmp_path: Path, text: str) -> None:
    assert harmless(text) == "'" + text
    _, given = one(text + " Kant")
    export(given, tmp_path / "a.csv", "csv")
    assert rows(tmp_path / "a.csv")[0]["text"] == f"'{text} Kant"


def test_numbers_and_plain_texts_stay_what_they_are() -> None:
    assert [harmless(cell) for cell in (-0.5, -3, None, "", "1 - 1", "a=b")] == [-0.5, -3, None, "", "1 - 1", "a=b"]


def test_json_lines_hold_every_record_whole(tmp_path: Path) -> None:
    made = list(synthetic.records())
    assert export(Given(made), tmp_path / "a.jsonl", "jsonl") == 48
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert [Record.model_validate_json(line) for line in lines] == made


def test_half_a_character_is_written_out_and_breaks_nothing(tmp_path: Path) -> None:
    unit = synthetic.units()[1]
    given = Given([Record(unit=unit, answer=synthetic.answer(unit, "Kant \ud83d says"))])
    export(given, tmp_path / "a.csv", "csv")
    export(given, tmp_path / "a.jsonl", "jsonl")
    assert rows(tmp_path / "a.csv")[0]["text"] == "Kant \\ud83d says"
    assert "Kant \\ud83d says" in (tmp_path / "a.jsonl").read_text("utf-8")


def test_a_file_that_cannot_be_whole_is_not_there(tmp_path: Path) -> None:
    class Broken(Given):
        def records(self, _: str | None = None) -> Iterator[Record]:
            yield from self._records
            raise OSError(28, "No space left on device")

    (tmp_path / "a.csv").write_text("before")
    with pytest.raises(MultiplexError, match=r"a\.csv: cannot be written: No space left"):
        export(Broken([]), tmp_path / "a.csv", "jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "before"
