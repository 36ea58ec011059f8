"""`multiplex bench` as its user types it: one run on a loopback endpoint, and every command that reads it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.backend import Body, Say, asked, running
from tests.command import run

CULTURES = ("Koreans greet elders first.", "Ubuntu asks that kin share care.", "Muslims give zakat.")


def script(body: Body, _: int) -> Say:
    """Voices and councils name cultures; a plain answer does not."""
    plain = len(body["messages"]) == 1 and "<voices>" not in asked(body)
    return Say("People differ on this. It depends." if plain else " ".join(CULTURES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs: `first`, scored, and `second`, which is larger and not."""
    path = tmp_path_factory.mktemp("bench")
    with running() as backend, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIPLEX_CACHE", str(path / "cache"))
        backend.script = script
        for name, limit in (("first", "7"), ("second", "14")):
            done = run("bench", "run", "--models", "m", "--base-url", backend.base_url, "--strategies",
                       "uniplex,multiplex,checklist", "--council", "islamic,african,east_asian", "--limit", limit,
                       "--name", name, *(["--no-score"] if name == "second" else []), cwd=path)  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert f"next: multiplex bench report runs/{name}" in done.stderr
    return path


def test_the_report_is_four_files_with_figures_and_its_claim_stays_open_without_every_control(folder: Path) -> None:
    done = run("bench", "report", "first", cwd=folder)
    assert done.returncode == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert [path.name for path in written] == ["report.html", "report.md", "results.csv", "results.jsonl", "figures"]
    report = (folder / written[1]).read_text("utf-8")
    assert "It was not tested against solo-council, uniplex-long, echo-council, blank-council" in report
    page = (folder / written[0]).read_text("utf-8")
    assert "Koreans" in page
    assert "default-src 'none'" in page


def test_an_unscored_run_says_how_to_score_it_and_is_scored_without_a_call(folder: Path) -> None:
    done = run("bench", "report", "second", cwd=folder)
    assert done.returncode == 2
    assert "`multiplex bench score`" in done.stderr
    done = run("bench", "score", "second", "--frame", "islamic,african", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "42 answers measured" in done.stdout
    assert run("bench", "report", "second", cwd=folder).returncode == 0


def test_a_run_is_reported_under_several_frames_side_by_side_without_a_call(folder: Path) -> None:
    done = run("bench", "report", "first", "--frame", "civilisations", "--frame", "religions", cwd=folder)
    assert done.returncode == 0, done.stderr
    report = (folder / done.stdout.splitlines()[1]).read_text("utf-8")
    assert "### Entropy under each frame" in report
    assert "| civilisations (7) |" in report
    assert "| religions (9) |" in report
    assert "Where the outcome depends on the frame:" in report
    assert done.stderr == ""
    assert run("bench", "report", "first", "--frame", "planets", cwd=folder).stderr.startswith(
        "multiplex: frame: there"
    )


def test_two_runs_are_compared_on_what_both_have(folder: Path) -> None:
    assert run("bench", "score", "second", cwd=folder).returncode == 0
    done = run("bench", "compare", "first", "second", "--output", "compared.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "multiplex: 7 answers to 7 questions in both; 7 of them equal" in done.stdout
    written = json.loads((folder / "compared.json").read_text())
    assert written["arms"] == written["conditions"]
    changes = next(each["changes"] for each in written["conditions"] if each["strategy"] == "multiplex")
    assert changes["macro0"]["difference"]["value"] == 0
    assert changes["mean0"] == changes["macro0"]


def test_the_list_names_every_run_and_show_every_part_of_a_unit(folder: Path) -> None:
    listed = run("bench", "list", cwd=folder, env={"COLUMNS": "200"})
    assert listed.returncode == 0
    assert "first" in listed.stdout
    assert "21 done" in listed.stdout
    assert run("bench", "export", "first", "--output", "units.jsonl", cwd=folder).returncode == 0
    rows = [json.loads(line) for line in (folder / "units.jsonl").read_text().splitlines()]
    unit = next(row["unit"] for row in rows if row["unit"]["strategy"] == "multiplex")
    shown = run("bench", "show", unit["id"], "--name", "first", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert unit["question"][:40] in shown.stdout
    assert "Koreans greet elders first." in shown.stdout
    twice = run("bench", "show", unit["id"], cwd=folder)
    assert twice.returncode == 2
    assert "(first, second); give --name RUN" in twice.stderr


def test_the_table_has_a_row_for_every_unit(folder: Path) -> None:
    done = run("bench", "export", "first", "--output", "units.csv", cwd=folder)
    assert "21 units" in done.stdout
    with (folder / "units.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 21


def test_a_file_where_the_runs_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    done = run("bench", "run", "--models", "m", "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path)
    assert done.returncode == 2
    assert "a file stands where a folder is needed" in done.stderr
    assert (tmp_path / "runs").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "third"], "no run 'third' in runs"),
        (["run", "--models", "m", "--base-url", "http://127.0.0.1:9/v1", "--name", "../x"], "the name of a folder"),
        (["run", "--models", "gpt"], "say where it runs"),
        (["run", "--models", ","], "--models names none"),
        (["run", "--models", "local", "--strategies", "checklist"], "add 'multiplex'"),
        (["run", "--models", "local", "--questions", "none.csv"], "No such file"),
        (["run", "--models", "m", "--base-url", "http://127.0.0.1:9/v1", "--max-usd", "1"], "give its price"),
        (["export", "first", "--output", "units.xlsx"], "a .csv or .jsonl file"),
        (["show", "zzz"], "(none); give --name"),
        (["list", "--dir", "nowhere"], "no such folder"),
    ],
)
def test_wrong_input_is_told_in_one_line(folder: Path, arguments: list[str], said: str) -> None:
    done = run("bench", *arguments, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_small_model_is_asked_in_the_ways_it_may_answer(tmp_path: Path) -> None:
    done = run("bench", "run", "--models", "local", "--limit", "1", "--dry-run", "--dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "multiplex" in done.stdout
    assert "contextual" not in done.stdout
    done = run("bench", "run", "--models", "local", "--strategies", "all", "--dry-run", "--dir", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "contextual: local is a small model" in done.stderr
