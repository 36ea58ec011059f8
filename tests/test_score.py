"""`multiplex score` as its user meets it: real processes and files, a real loopback server as the judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiplex.evaluation.evaluator import BATCH
from tests.backend import Backend, Say, asked
from tests.command import at, run

ROWS = [
    {
        "id": "a",
        "model": "x",
        "text": "Koreans greet elders first. Ubuntu says that persons are made by others.",
    },
    {"id": "b", "model": "y", "text": "Muslims pay zakat. Kant wrote.", "question": "What do Muslims do?"},
    {"id": "c", "model": "x", "text": "Nothing here. <script>alert(1)</script>"},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


def test_json_is_one_object_a_text_with_offsets_that_hold(rows: Path) -> None:
    done = run("score", str(rows), "--json", "--no-sentiment")
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["id"] for each in printed] == ["a", "b", "c"]
    for each, row in zip(printed, ROWS, strict=True):
        for reference in each["references"]:
            assert row["text"][reference["start"] : reference["end"]] == reference["text"]
    first, second, third = printed
    assert (first["reference_count"], third["reference_count"]) == (first["n"], 0)
    assert first["shares"]["east_asian"] == first["shares"]["african"] == 0.5
    assert {(each["entity"], each["echo"]) for each in second["references"]} >= {("islam", True), ("zakat", False)}
    assert (third["n"], third["entropy"], third["sentiment"]) == (0, None, None)
    assert "3 measured, 0 skipped" in done.stderr


def test_malformed_rows_are_told_skipped_and_counted(rows: Path) -> None:
    with rows.open("a") as out:
        out.write('oops\n{"id": "e", "text": 5}\n')
    done = run("score", str(rows), "--no-sentiment")
    assert done.returncode == 0
    assert f"{rows}:4: not JSON" in done.stderr
    assert f"{rows}:5: 'text' is int, not text; skipped" in done.stderr
    assert done.stderr.rstrip().endswith("3 measured, 2 skipped")
    assert run("score", str(rows), "--no-sentiment", "--strict").returncode == 1


def test_rows_that_are_skipped_for_the_same_reason_are_counted(rows: Path) -> None:
    with rows.open("a") as out:
        out.write('{"id": "e", "text": 5}\n' * 1000)
    done = run("score", str(rows), "--no-sentiment")
    assert done.stderr.count("'text' is int, not text; skipped") == 6
    assert f"{rows}: 995 more like it: 'text' is int, not text; skipped" in done.stderr
    assert done.stderr.rstrip().endswith("3 measured, 1,000 skipped")


def test_groups_and_the_summary_are_written(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    done = run("score", str(rows), "--group-by", "model", "--summary", str(out), "--no-sentiment")
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    assert set(written["groups"]) == {"x", "y"}
    assert (written["all"]["texts"], written["groups"]["x"]["texts"]) == (3, 2)
    assert set(written["all"]["weightings"]) == {"reference", "presence", "words"}
    assert written["rows"] == {"measured": 3, "skipped": 0, "not_read": 0}


def test_the_page_escapes_the_text_and_colours_references(rows: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("score", str(rows), "--html", str(page), "--no-sentiment").returncode == 0
    html = page.read_text("utf-8")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert 'class="east_asian named"' in html
    assert 'class="islamic named echo"' in html
    assert "Critique of Practical Reason" in html  # the source of an entity
    assert "http" not in html.replace("http-equiv", "")


def test_the_page_says_which_cues_count_and_holds_no_sign_that_html_forbids(tmp_path: Path) -> None:
    path, page = tmp_path / "a.txt", tmp_path / "page.html"
    path.write_text("Koreans greet\x01 elders first.", "utf-8")
    done = run("score", str(path), "--html", str(page), "--cues", "place,named", "--no-sentiment")
    assert done.returncode == 0, done.stderr
    html = page.read_text("utf-8")
    assert "Counted: place, named." in html
    assert "greet\N{REPLACEMENT CHARACTER} elders" in html


def test_standard_input_is_told_apart(rows: Path) -> None:
    lines = run("score", "-", "--no-sentiment", "--json", stdin=rows.read_text())
    assert [json.loads(line)["id"] for line in lines.stdout.splitlines()] == ["a", "b", "c"]
    text = run("score", "-", "--no-sentiment", "--json", stdin="Koreans greet elders first.")
    assert json.loads(text.stdout)["shares"]["east_asian"] == 1.0


def test_frame_and_cues_are_chosen(rows: Path) -> None:
    done = run("score", str(rows), "--frame", "all", "--cues", "concept", "--no-sentiment", "--json")
    first = json.loads(done.stdout.splitlines()[0])
    assert len(first["shares"]) == 12
    assert first["counts"]["east_asian"] == 0
    assert first["counts"]["african"] == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--frame", "martian,western"], "unknown perspective 'martian'"),
        (["--cues", "smell"], "unknown cue 'smell'"),
        (["--extractor", "magic"], "there are local, judge and both"),
        (["--sentiment", "magic"], "there are classifier and judge"),
        (["--no-sentiment", "--sentiment-model", "x"], "leave one out"),
        (["--html", "/no/such/folder/x.html"], "does the folder exist?"),
        (["--summary", "/no/such/folder/x.json"], "does the folder exist?"),
    ],
)
def test_wrong_flags_are_one_line(rows: Path, flags: list[str], told: str) -> None:
    done = run("score", str(rows), *flags)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_to_measure_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text("oops\n")
    done = run("score", str(path), "--no-sentiment")
    assert done.returncode == 2
    assert "no text could be measured" in done.stderr


def found(sentence: int, quotation: str, perspective: str) -> dict[str, object]:
    return {"sentence": sentence, "quotation": quotation, "perspective": perspective, "cue": "named"}


def test_both_extractors_side_by_side(rows: Path, backend: Backend, tmp_path: Path) -> None:
    def judge(body: dict[str, object], _: int) -> Say:
        if "Koreans" in asked(body):
            return Say(json.dumps({"references": [found(1, "Koreans", "east_asian"), found(1, "Zulus", "african")]}))
        return Say(json.dumps({"references": []}))

    backend.script = judge
    out = tmp_path / "summary.json"
    done = run(
        "score", str(rows), "--extractor", "both", *at(backend), "--json", "--no-sentiment", "--summary", str(out)
    )
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert [each["text"] for each in first["judge"]] == ["Koreans"]
    assert first["discarded"]["quotation not in its sentence"] == 1
    assert first["differences"] == [{"sentence": 1, "perspective": "african", "who": "local"}]
    alpha = json.loads(out.read_text())["agreement"]["perspectives"]
    assert alpha["east_asian"]["alpha"] == 1.0
    assert alpha["indigenous"]["undefined"] == "neither ever says yes"
    assert "alpha" in done.stderr


def test_a_text_that_the_judge_fails_on_is_named_and_the_others_are_kept(rows: Path, backend: Backend) -> None:
    backend.script = lambda body, _: Say("No." if "Kant wrote" in asked(body) else '{"references": []}')
    done = run("score", str(rows), "--extractor", "judge", *at(backend), "--json", "--no-sentiment")
    assert done.returncode == 1
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a", "c"]
    assert f"{rows}:2: not judged" in done.stderr
    assert "2 measured, 1 skipped (1 by the model)" in done.stderr
    assert "the judge: 4 calls; tokens: " in done.stderr  # the two of no use too


def test_the_last_text_alone_in_its_batch_costs_the_others_nothing(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"text": f"Kant wrote {n}."}) + "\n" for n in range(BATCH + 1)), "utf-8")
    backend.script = lambda body, _: Say(status=400) if f"wrote {BATCH}." in asked(body) else Say('{"references": []}')
    out = tmp_path / "summary.json"
    done = run("score", str(path), "--extractor", "judge", *at(backend), "--no-sentiment", "--summary", str(out))
    assert done.returncode == 1
    assert f"{BATCH} measured, 1 skipped (1 by the model)" in done.stderr
    assert json.loads(out.read_text())["all"]["texts"] == BATCH


def test_a_judge_that_refuses_everything_ends_the_run(rows: Path, backend: Backend) -> None:
    backend.script = lambda *_: Say(status=401, error={"message": "no", "type": "x"})
    assert run("score", str(rows), "--extractor", "judge", *at(backend)).returncode == 3


def test_the_judge_reads_the_tone(rows: Path, backend: Backend) -> None:
    tone = {"positive": 1, "neutral": 1, "negative": 2}
    backend.script = lambda *_: Say(json.dumps({"tones": [{"sentence": n} | tone for n in (1, 2)]}))
    done = run("score", str(rows), "--sentiment", "judge", *at(backend), "--json")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert json.loads(line)["sentiment"] == {"positive": 0.25, "neutral": 0.25, "negative": 0.5}
        assert json.loads(line)["sentiment_label"] == "negative"
