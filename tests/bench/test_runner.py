from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from multiplex.bench.execute.progress import Progress
from multiplex.bench.execute.runner import CIRCUIT, Outcome, Runner
from multiplex.bench.plan.budget import Budget
from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import STRATEGIES, Unit, matrix
from multiplex.bench.store.reply_cache import UnitLedger
from multiplex.bench.store.store import Store
from multiplex.content import sha256
from multiplex.council.personas import Council
from multiplex.llm.chat import Chat
from multiplex.llm.limiter import Limiter
from multiplex.llm.spec import ModelSpec, parse_spec
from tests.backend import Backend, Body, Say, asked

QUESTIONS = tuple(Question(id=f"q{i}", question=f"What do we owe the dead? ({i})") for i in range(4))
COUNCIL = Council.load("islamic", "african", "east_asian")


def echo(body: Body, _: int) -> Say:
    """A reply that depends on the request alone: what a deterministic backend says."""
    digest = sha256(f"{body.get('seed')} {asked(body)}")[:8]
    return Say(f"Reply {digest}. Some of us disagree about {digest}. Consider the young.")


def spec(backend: Backend, **changes: Any) -> ModelSpec:
    return parse_spec("m", backend.base_url).model_copy(update={"retries": 0, "check": "none", **changes})


async def run(
    folder: Path,
    model: ModelSpec,
    units: Sequence[Unit],
    *,
    limit: int = 20,
    max_tokens: int | None = None,
) -> Outcome:
    with Store.open(folder, create=True) as store:
        store.add(units)
        budget = Budget(max_tokens, spent=store.spent())
        chats = {"m": Chat(model, limiter=Limiter(limit), transport="whole")}
        with Progress(Console(file=io.StringIO()), len(units)) as watch:
            return await Runner(store, chats, COUNCIL, budget, watch).run(units)


def answers(folder: Path) -> dict[str, dict[str, Any]]:
    """By unit, everything in its answer but the time it took."""
    with Store.read(folder) as store:
        found = {}
        for record in store.records():
            assert record.answer is not None
            found[record.unit.id] = record.answer.model_dump(
                exclude={"seconds": True, "voices": {"__all__": {"seconds"}}, "rounds": {"__all__": {"seconds"}}}
            )
            for voices in ("voices", "rounds"):
                found[record.unit.id][voices] = sorted(found[record.unit.id][voices], key=lambda each: each["persona"])
        return found


async def test_a_record_is_the_same_whatever_the_concurrency(backend: Backend, tmp_path: Path) -> None:
    backend.script = echo
    units = matrix(QUESTIONS[:2], ["m"], STRATEGIES, 1, seed=7)
    for name, limit in (("one", 1), ("many", 20)):
        outcome = await run(tmp_path / name, spec(backend), units, limit=limit)
        assert outcome == Outcome(16, 0, 0)
    assert answers(tmp_path / "one") == answers(tmp_path / "many")


async def test_each_unit_has_the_calls_of_its_strategy_and_a_further_start_makes_none(
    backend: Backend, tmp_path: Path
) -> None:
    units = matrix(QUESTIONS, ["m"], STRATEGIES, 2, seed=7)
    assert await run(tmp_path, spec(backend), units) == Outcome(64, 0, 0)
    calls = 2 * 4 * (3 * (3 + 1) + 5)
    assert len(backend.requests) == calls
    assert await run(tmp_path, spec(backend), units) == Outcome(64, 0, 0)
    assert len(backend.requests) == calls


async def test_the_marks_of_a_runs_prompts_are_made_with_a_secret_that_the_run_keeps_to_itself(
    backend: Backend, tmp_path: Path
) -> None:
    units = matrix(QUESTIONS[:1], ["m"], ["multiplex"], 1, seed=7)
    nonces = []
    for name in ("one", "two"):
        await run(tmp_path / name, spec(backend), units)
        text = str(backend.requests[-1]["messages"][-1]["content"])
        nonces.append(re.findall(r"<question ([0-9a-f]{12})>", text))
        with Store.open(tmp_path / name) as store:
            assert store.secret() == store.secret()
            assert store.secret() not in text
    assert nonces[0] != nonces[1]
    assert [len(each) for each in nonces] == [1, 1]


async def test_a_run_that_is_extended_asks_only_what_is_new(backend: Backend, tmp_path: Path) -> None:
    await run(tmp_path, spec(backend), matrix(QUESTIONS[:2], ["m"], ["multiplex"], 1, seed=7))
    before = len(backend.requests)
    wider = matrix(QUESTIONS, ["m"], ["multiplex", "uniplex"], 1, seed=7)
    assert await run(tmp_path, spec(backend), wider) == Outcome(8, 0, 0)
    assert len(backend.requests) - before == 2 * 4 + 4


async def test_the_length_of_a_control_is_that_of_the_multiplex_answer(backend: Backend, tmp_path: Path) -> None:
    def script(body: Body, _: int) -> Say:
        return Say("word " * 87 + "end." if "<voices>" in asked(body) else "A short voice speaks here.")

    backend.script = script
    await run(tmp_path, spec(backend), matrix(QUESTIONS[:1], ["m"], ["multiplex", "uniplex-long", "checklist"], 1, 7))
    assert sum("about 90 words" in asked(request) for request in backend.requests) == 2


async def test_a_unit_that_fails_is_told_and_tried_again_by_the_next_start(backend: Backend, tmp_path: Path) -> None:
    broken = True

    def script(body: Body, _: int) -> Say:
        return Say(status=400) if broken and "(1)" in asked(body) else Say()

    backend.script = script
    units = matrix(QUESTIONS, ["m"], ["multiplex", "uniplex", "uniplex-long"], 1, seed=7)
    outcome = await run(tmp_path, spec(backend), units)
    assert outcome == Outcome(9, 3, 0)
    assert outcome.error_rate == 0.25
    with Store.read(tmp_path) as store:
        failures = {record.unit.strategy: record.failure for record in store.records() if record.failure}
    assert {name: failure.kind for name, failure in failures.items()} == {
        "multiplex": "bad_request", "uniplex": "bad_request", "uniplex-long": "no_length",
    }  # fmt: skip
    broken = False
    before = len(backend.requests)
    assert await run(tmp_path, spec(backend), units) == Outcome(12, 0, 0)
    assert len(backend.requests) - before == 4 + 1 + 1


async def test_an_endpoint_that_refuses_everything_stops_the_run_after_a_few_calls(
    backend: Backend, tmp_path: Path
) -> None:
    backend.script = lambda _body, _number: Say(status=401)
    units = matrix(tuple(Question(id=str(i), question=f"Why {i}?") for i in range(100)), ["m"], ["uniplex"], 1, seed=7)
    outcome = await run(tmp_path, spec(backend), units, limit=2)
    assert outcome.stopped is not None
    assert outcome.stopped.startswith(f"{CIRCUIT} calls in a row failed, the last: m at ")
    assert CIRCUIT <= len(backend.requests) <= CIRCUIT + 2
    assert outcome.pending >= 100 - CIRCUIT - 2


async def test_no_call_is_sent_while_the_failure_that_stops_the_run_is_written(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = UnitLedger.fail

    async def write_late(*given: Any) -> None:
        seen = -1
        while seen != len(backend.requests):  # as long as calls go on
            seen = len(backend.requests)
            await asyncio.sleep(0.1)
        await write(*given)

    monkeypatch.setattr(UnitLedger, "fail", write_late)
    backend.script = lambda _body, _number: Say(status=401)
    units = matrix(tuple(Question(id=str(i), question=f"Why {i}?") for i in range(30)), ["m"], ["multiplex"], 1, seed=7)
    outcome = await run(tmp_path, spec(backend), units, limit=8)
    assert outcome.stopped is not None
    assert CIRCUIT <= len(backend.requests) <= CIRCUIT + 8


async def test_a_question_that_is_refused_for_good_holds_no_other_up(backend: Backend, tmp_path: Path) -> None:
    questions = tuple(Question(id=f"q{i}", question=f"What do we owe the dead? ({i})") for i in range(7))
    units = matrix(questions, ["m"], STRATEGIES, 1, seed=7)
    backend.script = lambda body, _: Say(status=500) if "(0)" in asked(body) else Say()
    for limit in (1, 20):
        outcome = await run(tmp_path / str(limit), spec(backend), units, limit=limit)
        assert outcome == Outcome(6 * len(STRATEGIES), len(STRATEGIES), 0)


@pytest.mark.parametrize("answered", [True, False])
async def test_a_bad_request_tells_of_its_question_alone_once_anything_was_answered(
    backend: Backend, tmp_path: Path, answered: bool
) -> None:
    questions = tuple(Question(id=str(i), question=f"Why {i:03}?") for i in range(30))
    units = matrix(questions, ["m"], ["uniplex"], 1, seed=7)
    backend.script = lambda body, _: Say() if answered and "Why 000" in asked(body) else Say(status=400)
    outcome = await run(tmp_path, spec(backend), units, limit=1)
    assert (outcome.done, outcome.stopped is None) == (answered, answered)
    assert outcome.failed == (29 if answered else CIRCUIT - 1)


async def test_what_was_never_tried_comes_before_what_failed(backend: Backend, tmp_path: Path) -> None:
    questions = tuple(Question(id=str(i), question=f"Why {i:03}?") for i in range(12))
    units = matrix(questions, ["m"], ["uniplex"], 1, seed=7)
    backend.script = lambda *_: Say(status=503)
    first = await run(tmp_path, spec(backend), units, limit=1)
    assert (first.failed + first.pending, first.pending) == (12, 3)
    backend.script, before = (lambda *_: Say()), len(backend.requests)
    assert await run(tmp_path, spec(backend), units, limit=1) == Outcome(12, 0, 0)
    assert "Why 009?" in asked(backend.requests[before])


async def test_a_spent_budget_stops_the_run_once_what_is_out_has_come(backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, number: Say(delay=0.05)
    units = matrix(QUESTIONS, ["m"], ["multiplex"], 1, seed=7)
    outcome = await run(tmp_path, spec(backend), units, limit=3, max_tokens=1000)
    assert outcome.stopped is not None
    assert "--max-tokens 1,000 is spent" in outcome.stopped
    assert outcome.failed == 0
    assert outcome.pending > 0
    made = len(backend.requests)
    with Store.read(tmp_path) as store:
        assert sum(usage.calls for usage in store.spent().values()) == made < 16
    assert await run(tmp_path, spec(backend), units) == Outcome(4, 0, 0)
    assert len(backend.requests) == 16


async def test_what_is_cancelled_in_the_middle_is_paid_for_once(backend: Backend, tmp_path: Path) -> None:
    backend.script = lambda body, number: Say(delay=0.0 if number < 6 else 0.5)
    units = matrix(QUESTIONS, ["m"], ["multiplex"], 1, seed=7)
    task = asyncio.create_task(run(tmp_path, spec(backend), units, limit=2))
    while len(backend.requests) < 8:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    begun = len(backend.requests)
    with Store.read(tmp_path) as store:
        kept = sum(usage.calls for usage in store.spent().values())
    assert kept < begun <= kept + 2
    backend.script = lambda _body, _number: Say()
    assert await run(tmp_path, spec(backend), units) == Outcome(4, 0, 0)
    assert len(backend.requests) == 16 + begun - kept
