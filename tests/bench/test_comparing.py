"""Two runs side by side: the same units are paired, and what changed is told with how sure that is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from multiplex.bench.analysis.compare import RunComparison, compare
from multiplex.bench.analysis.conditions import Draws
from multiplex.bench.plan.manifest import Manifest, made
from multiplex.bench.plan.units import Unit
from multiplex.bench.report.comparison import as_markdown, print_comparison, write
from multiplex.bench.store.records import Failure, Score
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.errors import UsageError
from multiplex.llm.usage import Usage
from tests.bench.simulated import measured, units

EVEN, ONE, TWO = (1, 1, 1, 1, 1, 1, 1), (7, 0, 0, 0, 0, 0, 0), (4, 4, 0, 0, 0, 0, 0)
KEY = "a" * 16
FEW = Draws(resamples=200)


def manifest(seed: int) -> Manifest:
    return made(Council.load(), [], seed=seed, rounds=1, plan="default", min_voices=1, questions="few")


def written(
    folder: Path,
    asked: Sequence[Unit],
    counts: Callable[[Unit], Sequence[int] | None],
    *,
    words: int = 200,
    key: str = KEY,
    seed: int = 1,
) -> Path:
    """A run on disk; a unit without counts failed."""

    async def finished(store: Store) -> None:
        for unit in asked:
            found = counts(unit)
            if found is None:
                await store.fail(unit.id, Failure(kind="timeout", message="no reply"))
                continue
            usage = Usage(calls=1, input_tokens=10, output_tokens=words)
            text = f"{found} to {unit.question}"
            await store.finish(unit.id, Answer(strategy=unit.strategy, text=text, model=unit.model, usage=usage))
            store.keep_scores(key, {unit.id: Score(measures=measured(found, words=words))})

    with Store.open(folder, create=True) as store:
        store.write_manifest(manifest(seed))
        store.add(asked)
        store.write_scoring(key, "{}")
        asyncio.run(finished(store))
    return folder


def compared(before: Path, after: Path) -> RunComparison:
    with Store.read(before) as a, Store.read(after) as b:
        return compare(a, b, draws=FEW)


def test_units_that_both_have_are_paired_and_the_rest_is_counted(tmp_path: Path) -> None:
    asked = units(("uniplex",), questions=12)
    before = written(tmp_path / "a", asked[:10], lambda unit: None if unit.question_id == "q0" else TWO)
    after = written(
        tmp_path / "b", asked[2:], lambda unit: TWO if unit.question_id == "q2" else EVEN, words=300, seed=2
    )
    comparison = compared(before, after)
    (condition,) = comparison.conditions
    assert (condition.units, condition.only_before, condition.only_after, condition.paired, condition.same) == (
        8,
        2,
        2,
        8,
        1,
    )
    change = condition.changes["macro0"]
    two = 100 * 0.3562071871080222  # ln 2 / ln 7
    assert (change.before, change.after) == pytest.approx((two, (7 * 100 + two) / 8))
    assert change.difference.value == pytest.approx(7 / 8 * (100 - two))
    assert change.difference.low is not None
    assert change.difference.low < 7 / 8 * (100 - two)
    assert change.p is not None
    assert change.p == pytest.approx(2 / 2**7, abs=0.006)
    assert condition.changes["words"].difference.value == pytest.approx(100)
    assert condition.changes["output_tokens"].before == pytest.approx(200)
    assert comparison.changed == ("seed: was 1, is 2",)


def test_a_unit_that_failed_in_one_run_is_named_and_not_paired(tmp_path: Path) -> None:
    asked = units(("uniplex", "contextual"), questions=4)
    before = written(tmp_path / "a", asked, lambda _: EVEN)
    after = written(tmp_path / "b", asked, lambda unit: None if unit.strategy == "contextual" else ONE)
    plain, contextual = compared(before, after).conditions
    assert plain.paired == 4
    assert plain.changes["macro0"].difference.value == pytest.approx(-100)
    assert (contextual.paired, contextual.unfinished_after, contextual.changes) == (0, 4, {})


def test_a_run_against_itself_differs_in_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", units(("uniplex",), questions=4), lambda _: TWO)
    comparison = compared(folder, folder)
    (condition,) = comparison.conditions
    assert (condition.same, comparison.changed, comparison.versions) == (4, (), ())
    assert {(each.difference.value, each.p) for each in condition.changes.values()} == {(0.0, 1.0)}


def test_runs_without_a_unit_or_a_scoring_in_common_are_refused(tmp_path: Path) -> None:
    asked = units(("uniplex",), questions=4)
    a = written(tmp_path / "a", asked[:2], lambda _: TWO)
    b = written(tmp_path / "b", asked[2:], lambda _: TWO)
    c = written(tmp_path / "c", asked[:2], lambda _: TWO, key="b" * 16)
    with pytest.raises(UsageError, match="no unit in common"):
        compared(a, b)
    with pytest.raises(UsageError, match="bench score"):
        compared(a, c)


def test_the_comparison_is_told_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = units(("uniplex",), questions=8, models=("a|b",))
    before = written(tmp_path / "a", asked, lambda _: TWO)
    comparison = compared(before, written(tmp_path / "b", asked, lambda _: EVEN))
    print_comparison(comparison, Console(width=160))
    assert "+64.4" in capsys.readouterr().out
    text = as_markdown(comparison)
    assert "| entropy, 0 where no reference, % | 35.6 | 100.0 | +64.4 | 64.4 to 64.4 |" in text
    assert "a\\|b, uniplex: 8 answers to 8 questions in both" in text
    write(comparison, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text())["conditions"][0]["paired"] == 8
    write(comparison, tmp_path / "out.md")
    assert (tmp_path / "out.md").read_text() == text
    with pytest.raises(UsageError, match=r"\.md or \.json"):
        write(comparison, tmp_path / "out.txt")
