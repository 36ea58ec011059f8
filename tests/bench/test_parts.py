"""Scores written part for part: the same bytes and the same summary in any number of pieces, after a death too."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from multiplex.bench.parts.corpus import find_corpus
from multiplex.bench.parts.drafts import drafted
from multiplex.bench.parts.plan import corpus_parts
from multiplex.evaluation.evaluator import BATCH
from multiplex.settings import Shard
from tests.command import COMMAND, run_here

CULTURES = ("Koreans greet elders first.", "Ubuntu asks that kin share care.", "Muslims give zakat.", "It rains.")
ROWS = [
    {"text": f"{CULTURES[i % 4]} {CULTURES[i // 4 % 4] * (i % 5)} Number {i}.", "lab": f"lab {i % 3}", "id": f"t{i}"}
    for i in range(3 * BATCH + 7)
]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def said(*arguments: str, code: int = 0) -> str:
    done = run_here(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def score(source: Path | str, out: Path, *flags: str, code: int = 0) -> str:
    return said("score", str(source), "--out", str(out), "--group-by", "lab", "--no-sentiment", *flags, code=code)


def refused(folder: Path) -> str:
    return said("score", "merge", str(folder), code=2)


def merged(folder: Path) -> bytes:
    said("score", "merge", str(folder), "--summary", str(folder / "summary.json"))
    return (folder / "summary.json").read_bytes()


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if ".scores." in path.name or path.suffix == ".f64"}  # fmt: skip


def test_the_summary_of_shards_of_a_file_is_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    write(file, [*ROWS[:70], {"text": "…", "lab": "lab 0"}, *ROWS[70:]])
    said("score", str(file), "--group-by", "lab", "--no-sentiment", "--json", "--summary", str(tmp_path / "whole.json"))
    for part in (2, 1, 3):
        score(file, tmp_path / "out", "--shard", f"{part}/3")
    assert merged(tmp_path / "out") == (tmp_path / "whole.json").read_bytes()
    (tmp_path / "out" / "texts.jsonl.2-of-3.part.json").unlink()
    assert "texts.jsonl lacks the shards 2-of-3" in refused(tmp_path / "out")


def test_shards_of_copies_of_a_file_are_joined_if_the_copies_are_the_same(tmp_path: Path) -> None:
    for part, rows in ((1, ROWS), (2, ROWS), (3, ROWS[:-1])):
        write(tmp_path / f"on{part}" / "texts.jsonl", rows)
        os.utime(tmp_path / f"on{part}" / "texts.jsonl", (part, part))
        score(tmp_path / f"on{part}" / "texts.jsonl", tmp_path / f"out{part}", "--shard", f"{min(part, 2)}/2")
    for other in ("out2", "out3"):
        shutil.copytree(tmp_path / "out1", tmp_path / f"joined-{other}")
        shutil.copytree(tmp_path / other, tmp_path / f"joined-{other}", dirs_exist_ok=True)
    assert json.loads(merged(tmp_path / "joined-out2"))["rows"]["measured"] == len(ROWS)
    assert "texts.jsonl differed from shard to shard" in refused(tmp_path / "joined-out3")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_parts_that_are_done_are_left_out_after_a_death_and_all_files_are_the_same(tmp_path: Path, ending: str) -> None:
    texts = tmp_path / "texts"
    for number in range(4):
        write(texts / f"{number}.{ending}", ROWS[40 * number : 40 * number + 40])
    assert "160 measured, 0 skipped" in score(texts, tmp_path / "whole")
    killed = tmp_path / "killed"
    arguments = ["score", f"{texts}/*.{ending}", "--out", str(killed), "--group-by", "lab", "--no-sentiment"]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as victim:
        assert victim.stderr is not None
        for line in victim.stderr:
            if line.startswith("2 of 4"):
                victim.kill()
                break
    again = score(f"{texts}/*.{ending}", killed)
    assert "of 4 parts are done already" in again
    assert digests(killed) == digests(tmp_path / "whole")
    assert len(digests(killed)) == 8
    assert merged(killed) == merged(tmp_path / "whole")

    write(texts / f"3.{ending}", ROWS[:5])
    assert "3 of 4 parts are done already" in score(texts, killed)
    assert json.loads(merged(killed))["rows"]["measured"] == 125
    shards = tmp_path / "shards"
    score(texts, shards, "--shard", "2/2")
    assert f"of 4 files of {texts}: " in refused(shards)
    score(texts, shards, "--shard", "1/2")
    assert merged(shards) == merged(killed)


def test_a_file_that_cannot_be_read_holds_no_other_up_and_a_further_start_ends_alike(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts", tmp_path / "out"
    for name in ("b.parquet", "c.jsonl"):
        write(texts / name, ROWS[:20])
    whole = (texts / "b.parquet").read_bytes()
    (texts / "b.parquet").write_bytes(whole[:-9])
    write(texts / "a.jsonl", [*ROWS[:3], {"lab": "lab 0"}])
    for done in ("1 of 3: a.jsonl", "2 of 3 parts are done already"):
        told = score(texts, out, "--strict", code=2)
        assert done in told
        assert f"1 of 3 parts could not be measured; the first: {texts}/b.parquet: cannot be read as Parquet" in told
    assert "lacks 1 of 3 files" in refused(out)
    (texts / "b.parquet").write_bytes(whole)
    for _ in range(2):
        assert "43 measured, 1 skipped; next" in score(texts, out, "--strict", code=1)


def test_what_a_killed_process_left_of_a_part_is_taken_away_when_it_is_measured(tmp_path: Path) -> None:
    file, out = tmp_path / "texts.jsonl", tmp_path / "out"
    write(file, ROWS[:20])
    out.mkdir()
    shards = [corpus_parts(find_corpus(str(file), out), out, Shard(number, 2))[0] for number in (1, 2)]
    writers = [drafted(part, part.scores) for part in shards]  # none of them ends
    left, other = (writer.__enter__() for writer in writers)
    left.touch()
    other.touch()
    score(file, out, "--shard", "1/2")
    assert [*out.glob(".multiplex-*")] == [other]


def test_a_part_counts_as_done_only_with_the_files_that_its_manifest_speaks_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tmp_path / "texts.jsonl", tmp_path / "out"
    write(file, ROWS[:20])
    score(file, out)
    first = merged(out)

    def die(path: Path) -> None:
        raise KeyboardInterrupt(path)

    with monkeypatch.context() as patch:
        patch.setattr("multiplex.bench.parts.plan.WrittenFile.of", die)  # scores and figures stand, no manifest yet
        score(file, out, "--cues", "named", code=130)
    assert "no part is there" in refused(out)
    assert "20 measured" in score(file, out)
    assert merged(out) == first

    for name in ("texts.jsonl.scores.jsonl", "texts.jsonl.rows.f64"):
        whole = (out / name).read_bytes()
        (out / name).write_bytes(whole[:-1])
        assert f"{name}: is not what texts.jsonl.part.json says" in refused(out)
        (out / name).write_bytes(whole[:-1] + b"?")
        assert f"{name}: is not what texts.jsonl.part.json says" in refused(out)
        (out / name).unlink()
        assert "done already" not in score(file, out)
        assert (out / name).read_bytes() == whole


def test_a_folder_takes_the_parts_of_one_source_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts, out = tmp_path / "texts", tmp_path / "out"
    for name in ("sub/a", "b"):
        (texts / name).parent.mkdir(parents=True, exist_ok=True)
        write(texts / f"{name}.jsonl", ROWS[:3])
    score(texts, out)
    for source in ("texts", "texts/**/*.jsonl"):  # on whatever machine: the same part lies at the same place
        (_, part) = corpus_parts(find_corpus(source, Path("out")), Path("out"), None)
        assert (part.name, part.source, part.folder) == ("sub/a.jsonl", texts / "sub" / "a.jsonl", out)
    assert f"holds what was measured of {texts}, not of {texts / 'sub'}" in score(texts / "sub", out, code=2)
    assert "not of" in score(texts / "sub" / "a.jsonl", out, code=2)
    (texts / "b.jsonl").rename(texts / "c.jsonl")
    assert "b.jsonl; delete what was made of them" in score(texts, out, code=2)
    for path in out.glob("b.jsonl.*"):
        path.unlink()
    assert "1 of 2 parts are done already" in score(texts, out)
    assert json.loads(merged(out))["rows"]["measured"] == 6
    shutil.copy(out / "c.jsonl.part.json", out / "d.jsonl.part.json")
    assert "d.jsonl; delete" in refused(out)
    for source in (texts, texts / "*" / "*.jsonl"):
        assert "lies among the texts" in score(source, texts / "out", code=2)
    score(texts / "*.jsonl", texts / "out")


def test_texts_that_are_not_read_need_no_open_file_for_each_of_their_groups(tmp_path: Path) -> None:
    write(tmp_path / "texts.jsonl", [{"text": "วันนี้ฝนตกหนักมาก และทุกคนอยู่บ้าน", "lab": f"lab {i}"} for i in range(300)])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert "300 not read for their language" in score(tmp_path / "texts.jsonl", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_parquet_without_its_extra_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "texts.parquet", ROWS[:3])
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert 'pip install "multiplex-worldviews[parquet]"' in score(tmp_path / "texts.parquet", tmp_path / "out", code=2)


def test_wrong_orders_are_told_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "texts" / "a.jsonl", ROWS[:3])
    for name, told in (
        (b"t/\xff.jsonl", "'?.jsonl': the name"),
        (b"t\xff/a.jsonl", "the name of these texts is not UTF-8"),
    ):
        path = tmp_path / os.fsdecode(name)
        write(path, ROWS[:3])
        assert told in score(path.parent, tmp_path / "out", code=2)
        path.unlink()
    assert "a file stands where a folder is needed" in score(
        tmp_path / "texts" / "a.jsonl", tmp_path / "texts" / "a.jsonl" / "b", code=2
    )
    assert "--summary no/s.json: cannot be written there" in said(
        "score", "merge", str(tmp_path), "--summary", "no/s.json", code=2
    )
    assert "need --out FOLDER" in said("score", str(tmp_path / "texts"), code=2)
    assert "no file of texts is there" in score(tmp_path / "*.jsonl", tmp_path / "out", code=2)
    assert "holds texts that are to be scored" in score(tmp_path / "texts", tmp_path / "texts", code=2)
    assert "no part is there" in said("score", "merge", str(tmp_path / "texts"), code=2)
    write(tmp_path / "many.jsonl", [{"text": CULTURES[0], "lab": f"lab {i}"} for i in range(1001)])
    assert "many.jsonl: more than 1,000 groups; group" in score(tmp_path / "many.jsonl", tmp_path / "many", code=2)
    score(tmp_path / "texts" / "a.jsonl", tmp_path / "out", "--shard", "1/2")
    score(tmp_path / "texts" / "a.jsonl", tmp_path / "out", "--shard", "2/2", "--cues", "named")
    assert "was measured differently from" in refused(tmp_path / "out")
