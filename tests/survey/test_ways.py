"""`multiplex survey run` by batches and in shards: the same answers, whatever way they came."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multiplex.bench.store.store import Store
from multiplex.survey.readers import write_survey
from tests.batch_backend import BatchBackend, serving
from tests.command import run_here
from tests.survey.test_run import SURVEY, like_people


@pytest.fixture
def endpoint() -> Iterator[BatchBackend]:
    with serving() as backend:
        backend.script = lambda body: like_people(body, 0)
        yield backend


@pytest.fixture
def survey(tmp_path: Path, endpoint: BatchBackend) -> Callable[..., str]:
    """Asks two questions in two orders; what was said."""
    write_survey(SURVEY, tmp_path / "made-up.jsonl")

    def ask(name: str, *flags: str, code: int = 0) -> str:
        done = run_here("survey", "run", str(tmp_path / "made-up.jsonl"), "--models", "m", "--base-url", endpoint.url,
                        "--council", "islamic,east_asian,indigenous", "--countries", "EGY,JPN", "--questions", "q0,q5",
                        "--labels", "1", "--dir", str(tmp_path), "--name", name, *flags)  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return ask


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_answers_by_batch_are_those_of_calls_by_themselves_log_probabilities_too(
    survey: Callable[..., str], endpoint: BatchBackend, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("m = { input = 1000.0, output = 1000.0 }")
    assert "Batches (--batch) are taken to cost half." in survey("run", "--batch", "--dry-run", "--prices", str(prices))
    assert endpoint.files == {}
    assert "submitted 32 calls in 1 batch; the same command collects" in survey("run", "--batch")
    assert not (tmp_path / "run" / "results.csv").exists()
    assert "32 calls are out in 1 batches" in survey("run", code=2)
    assert "32 done, 0 failed" in survey("run", "--batch")
    survey("alone")
    assert len(endpoint.asked) == 32
    assert table(tmp_path / "run") == table(tmp_path / "alone")


def test_draws_go_in_one_batch_and_each_round_of_voices_in_the_next(
    survey: Callable[..., str], endpoint: BatchBackend, tmp_path: Path
) -> None:
    flags = ("--respondents", "personas", "--rounds", "2", "--method", "sample", "--draws", "3", "--orders", "1")
    for _ in range(2):
        assert "submitted 18 calls in 1 batch" in survey("run", *flags, "--batch")
    assert "12 done, 0 failed" in survey("run", *flags, "--batch")
    assert len({(body["seed"], str(body["messages"])) for body in endpoint.asked}) == 36
    assert len(table(tmp_path / "run")) == 2 * 3 * 2


def test_shards_of_a_survey_joined_give_the_report_of_one_run(survey: Callable[..., str], tmp_path: Path) -> None:
    flags = ("--models", "m,n", "--voice-model", "islamic=o", "--epochs", "2", "--rounds", "2")
    survey("whole", *flags)
    for part in (2, 1):
        survey("parts", *flags, "--shard", f"{part}/2")
    shards = [str(tmp_path / f"parts.{part}-of-2") for part in (2, 1)]
    assert not (Path(shards[0]) / "report.md").exists()
    made = run_here("survey", "merge", *shards, "--name", "joined", "--dir", str(tmp_path))
    assert "160 units of 2 runs, 160 of them done" in made.stdout, made.stderr
    assert run_here("survey", "report", "joined", "--dir", str(tmp_path)).returncode == 0
    with Store.read(tmp_path / "whole") as whole, Store.read(tmp_path / "joined") as joined:
        assert [unit.id for unit in joined.units()] == [unit.id for unit in whole.units()]
    for name in ("results.csv", "results.jsonl"):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
