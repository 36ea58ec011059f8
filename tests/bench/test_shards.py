"""Shards of a run, on real commands: together they are the whole run, and joined they make its report."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from multiplex.bench.store.store import Store
from multiplex.content import sha256
from multiplex.settings import Shard
from tests.backend import Backend, Body, Say, asked
from tests.command import run_here


def plain(body: Body, _: int) -> Say:
    """A reply that depends on the request but for its marks, which differ from run to run."""
    words = sha256(f"{body.get('seed')}")[:8]
    return Say(f"Koreans greet elders first in {words}. Muslims give zakat. Ubuntu asks that kin share care.")


@pytest.fixture
def command(tmp_path: Path, backend: Backend) -> Callable[..., list[str]]:
    path = tmp_path / "questions.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "question", "domain"])
        rows.writerows([f"q{i}", f"What do the old owe the young, {i}?", f"d{i % 2}"] for i in range(4))
    backend.script = plain

    def arguments(name: str, *flags: str) -> list[str]:
        return ["bench", "run", "--models", "m", "--base-url", backend.base_url, "--questions", str(path),
                "--strategies", "uniplex,multiplex,checklist", "--council", "islamic,african,east_asian", "--check",
                "none", "--dir", str(tmp_path), "--name", name, *flags]  # fmt: skip

    return arguments


def said(*arguments: str, code: int = 0) -> str:
    done = run_here(*arguments)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_shards_joined_in_any_order_give_the_report_of_one_run(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    said(*command("whole"))
    calls = len(backend.requests)
    for part in (2, 1):
        said(*command("parts", "--shard", f"{part}/2"))
    assert len(backend.requests) == 2 * calls
    shards = [f"parts.{part}-of-2" for part in (2, 1)]
    place = ("--dir", str(tmp_path))
    assert "12 units of 2 runs, 12 of them done" in said("bench", "merge", *shards, "--name", "joined", *place)

    with Store.read(tmp_path / "whole") as whole, Store.read(tmp_path / "joined") as joined:
        assert not joined.check().damaged
        assert [unit.id for unit in whole.units()] == [unit.id for unit in joined.units()]
        assert {model: usage.calls for model, usage in joined.spent().items()} == {"m": calls}
        scores = [[record.score for record in store.records()] for store in (whole, joined)]
        assert scores[0] == scores[1]
    said("bench", "export", "whole", "--output", str(tmp_path / "whole.csv"), *place)
    said("bench", "export", "joined", "--output", str(tmp_path / "joined.csv"), *place)
    tables = [
        list(csv.DictReader((tmp_path / name).read_text("utf-8").splitlines())) for name in ("whole.csv", "joined.csv")
    ]
    for row in (*tables[0], *tables[1]):
        del row["seconds"], row["input_tokens"]
    assert tables[0] == tables[1]


def test_a_merge_names_missing_shards_and_can_be_made_again(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    has = {part: {i for i in range(4) if Shard(part, 9).has(f"q{i} m 1")} for part in range(1, 10)}
    empty = next(part for part in has if not has[part])
    assert f"--shard {empty}/9: no unit falls to it" in said(*command("part", "--shard", f"{empty}/9"))
    full = [part for part in has if has[part]]
    for part in full:
        said(*command("part", "--shard", f"{part}/9", "--no-score"))
    assert len(list(tmp_path.glob("part.*"))) == len(full) > 1

    def merge(*parts: int, name: str = "joined", code: int = 0) -> str:
        runs = (f"part.{part}-of-9" for part in parts)
        return said("bench", "merge", *runs, "--name", name, "--dir", str(tmp_path), code=code)

    missing = merge(*full[:-1], code=2)
    assert f"{3 * len(has[full[-1]])} of 12 units stand in none of these {len(full) - 1} runs" in missing
    assert f"{full[-1]}-of-9" in missing
    assert "is there already" in merge(*full, name=f"part.{full[0]}-of-9", code=2)
    for _ in range(2):
        assert "12 units" in merge(*full)
        (tmp_path / "joined" / "note.txt").touch()
    assert (tmp_path / "joined" / "note.txt").exists()
    with Store.read(tmp_path / "joined") as joined:
        assert not joined.check().damaged
        assert [unit.question_id for unit in joined.units()] == [f"q{i // 3}" for i in range(12)]
    said(*command("joined", "--no-score", "--strategies", "uniplex,contextual"))
    assert "holds what these runs do not" in merge(*full, code=2)


def test_a_joined_run_goes_on_with_the_replies_of_its_shards(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    calls, place = Counter[str](), ("--dir", str(tmp_path), "--no-score")

    def script(body: Body, number: int) -> Say:
        calls[f"{body['seed']} {asked(body)}"] += (say := plain(body, number)).status == 200
        return say

    def refusing(body: Body, number: int) -> Say:
        refused = "young, 1" in asked(body) and "You speak from" in asked(body) and "Islamic" not in asked(body)
        return Say(status=400) if refused else script(body, number)

    backend.script = refusing
    for part in (1, 2):
        run_here(*command("part", "--shard", f"{part}/2", *place))
    merge = ("bench", "merge", "part.1-of-2", "part.2-of-2", "--name", "joined", *place[:2])
    assert "12 units of 2 runs, 10 of them done" in said(*merge)
    assert "12 units stood in several runs; each was taken once" in said(
        "bench", "merge", "joined", "part.1-of-2", "part.2-of-2", "--name", "again", *place[:2]
    )
    backend.script = script
    assert "12 done, 0 failed" in said(*command("again", *place))
    assert set(calls.values()) == {1}
    assert "holds what these runs do not" in said(*merge[:-3], "again", *place[:2], code=2)


def test_units_that_stand_in_two_runs_are_told_and_runs_made_differently_are_not_joined(
    command: Callable[..., list[str]], backend: Backend, tmp_path: Path
) -> None:
    place = ("--dir", str(tmp_path))
    said(*command("one", "--shard", "1/2", "--no-score"))
    backend.script = lambda *_: Say("Another answer, of Confucians.")
    said(*command("two", "--no-score"))
    told = said("bench", "merge", "one.1-of-2", "two", "--name", "both", *place)
    with Store.read(tmp_path / "one.1-of-2") as one, Store.read(tmp_path / "two") as two:
        both = {unit.id for unit in one.units()} & {unit.id for unit in two.units()}
        assert both
    assert told.count("has one answer in") == len(both)
    said(*command("three", "--seed", "8", "--no-score", "--limit", "1"))
    assert "seed: was 7, is 8" in said("bench", "merge", "two", "three", "--name", "x", *place, code=2)
    assert "write which part of how many" in said(*command("x", "--shard", "9/8"), code=2)
