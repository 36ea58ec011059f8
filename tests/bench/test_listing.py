from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from multiplex.bench.report.listing import list_runs, show
from multiplex.bench.store.records import Failure, Score
from multiplex.bench.store.store import Store
from multiplex.errors import CallError, UsageError
from multiplex.evaluation import FRAME, Reference, split
from multiplex.evaluation.measures import measures
from tests.bench.test_store import MODELS, an_answer, reply, units


def printed() -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, width=160, force_terminal=False), out


async def test_each_run_has_a_row_and_one_that_cannot_be_read_a_line(tmp_path: Path) -> None:
    done, failed, _ = units(3)
    with Store.open(tmp_path / "a-run", create=True) as store:
        store.add([done, failed, *units(2, MODELS)])
        await store.ledger(done.id).keep("k", reply(tokens=600))
        await store.finish(done.id, an_answer())
        await store.fail(failed.id, Failure(kind="server", message="broke"))
        console, out = printed()
        list_runs(tmp_path, console)  # also while it is written
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.sqlite").write_text("no database " * 100)
    (tmp_path / "no-run").mkdir()
    console, out = printed()
    list_runs(tmp_path, console)
    head, first, second, third, bad = (line.split() for line in out.getvalue().splitlines())
    assert head == ["run", "questions", "models", "strategies", "units", "tokens", "last", "change"]
    assert first[:7] == ["a-run", "2", "a-model", "uniplex", "1", "done", "1,200"]
    assert (second[:3], third[:2]) == (["b-model", "1", "failed"], ["2", "pending"])
    assert bad[0] == f"{tmp_path / 'bad' / 'run.sqlite'}:"
    assert "damaged," in bad


def test_a_folder_without_runs_says_so_and_no_folder_is_an_error(tmp_path: Path) -> None:
    console, out = printed()
    list_runs(tmp_path, console)
    assert "no run in" in out.getvalue()
    with pytest.raises(UsageError, match="no such folder"):
        list_runs(tmp_path / "typo", console)


async def test_a_unit_is_shown_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    (unit,) = units(1)
    text = "[bold]Koreans[/bold] greet elders first. \x1b[31mUbuntu binds kin."
    found = [
        Reference(0, 7, "Koreans", "koreans", "east_asian", "named", 0),
        Reference(0, 6, "Ubuntu", "ubuntu", "african", "concept", 1),
    ]
    measured = measures(split(text), found, FRAME, ("named", "concept"), text=text)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        ledger = store.ledger(unit.id)
        await ledger.fail("k", CallError("server", "the endpoint broke"), 1.0, 2)
        await store.fail(unit.id, Failure(kind="server", message="no answer [red]yet"))
        await ledger.keep("k", reply(tokens=None))
        console, out = printed()
        await store.finish(unit.id, an_answer(text))
        store.write_scoring("s", "{}")
        store.keep_scores("s", {unit.id: Score(measures=measured, note="voices not compared")})
        show(store, unit.id[:6], console)
    said = out.getvalue()
    for part in (
        unit.id,
        unit.question,
        "[bold]Koreans[/bold] greet elders first. [31mUbuntu",
        "the African voice",
        "Kin care.",
        "lost: no answer in 120 s",
        "server: no answer [red]yet",
        "call failed: server: the endpoint broke",
        "voices not compared",
        "tokens not reported",
        "3 attempts made again",
    ):
        assert part in said, part
    assert "\x1b" not in said
    figures = {line.rsplit(None, 1)[0]: line.rsplit(None, 1)[-1] for line in said.splitlines() if line.strip()}
    assert (figures["references (n)"], figures["share of african"], figures["share of western"]) == ("2", "50%", "0%")


def test_a_pending_unit_is_shown_as_such(tmp_path: Path) -> None:
    (unit,) = units(1)
    with Store.open(tmp_path, create=True) as store:
        store.add([unit])
        console, out = printed()
        show(store, unit.id, console)
    assert "pending: not answered yet" in out.getvalue()


@pytest.mark.parametrize("prefix", ["", "zz", "%", "_"])
def test_an_unknown_prefix_is_refused(tmp_path: Path, prefix: str) -> None:
    with Store.open(tmp_path, create=True) as store:
        store.add(units(20))
        with pytest.raises(UsageError, match="no unit's id begins with"):
            show(store, prefix, Console(file=StringIO()))


def test_an_ambiguous_prefix_names_what_it_could_mean(tmp_path: Path) -> None:
    some = units(20)
    first = next(unit for unit in some if sum(other.id[0] == unit.id[0] for other in some) > 1)
    with Store.open(tmp_path, create=True) as store:
        store.add(some)
        with pytest.raises(UsageError, match=f"several units' ids begin with '{first.id[0]}': .*{first.id}"):
            show(store, first.id[0], Console(file=StringIO()))
