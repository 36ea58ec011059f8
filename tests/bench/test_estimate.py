from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from multiplex.bench.execute.estimate import FEW, estimate, print_estimate
from multiplex.bench.execute.unit import Work, execute
from multiplex.bench.plan.questions import Question
from multiplex.bench.plan.units import LENGTH_MATCHED, STRATEGIES, Unit, matrix
from multiplex.bench.store.records import Failure, Record
from multiplex.council.answer import Answer
from multiplex.council.personas import Council
from multiplex.llm.chat import Chat
from multiplex.llm.prices import Price, Prices
from multiplex.llm.spec import ModelSpec, parse_spec
from multiplex.llm.usage import Usage
from tests.backend import Backend, Say, asked

QUESTIONS = [Question(id=f"q{i}", question=f"Why should {'the old and ' * i}the young be heard?") for i in range(3)]
COUNCIL = Council.load("western", "african", "islamic")


def spec(backend: Backend) -> ModelSpec:
    return parse_spec("m", backend.base_url).model_copy(update={"check": "none"})


def test_calls_and_prompts_are_those_of_the_real_run_and_nothing_is_sent(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = matrix(QUESTIONS[:1], ["m"], STRATEGIES, 1, seed=7)
    made = estimate(units, [spec(backend).model_copy(update={"api_key_env": "NOT_SET", "check": "model"})], COUNCIL)
    assert backend.requests == []
    filler = "Some hold this and others hold that. "
    backend.script = lambda body, n: Say(filler * (130 if "You write one essay" in asked(body) else 32))  # as assumed

    async def run(unit: Unit) -> Answer:
        chat = Chat(spec(backend).model_copy(update={"check": "model"}))
        try:
            return await execute(Work(unit, COUNCIL, 520 if unit.strategy in LENGTH_MATCHED else None), chat)
        finally:
            await chat.aclose()

    for row, unit in zip(made.rows, units, strict=True):
        backend.requests.clear()
        answer = asyncio.run(run(unit))
        sent = sum(len(message["content"]) for body in backend.requests for message in body["messages"])
        assert (row.strategy, row.units, row.calls) == (unit.strategy, 1, answer.usage.calls)
        assert row.input_tokens == pytest.approx(sent / 4, rel=0.02, abs=3)
    assert [row.calls for row in made.rows] == [5, 1, 1, 1, 1, 1, 5, 5]
    assert made.units == 8
    assert made.calls == 20


def test_replies_are_assumed_no_longer_than_the_model_may_write(backend: Backend) -> None:
    short = spec(backend).model_copy(update={"voice_tokens": 50, "synthesis_tokens": 80, "answer_tokens": 20})
    made = estimate(matrix(QUESTIONS, ["m"], ("multiplex", "uniplex"), 2, seed=7), [short], COUNCIL)
    assert [(row.units, row.output_tokens) for row in made.rows] == [(6, 6 * (3 * 50 + 80)), (6, 6 * 20)]


def record(unit: Unit, given: int | None, made: int | None, lost: tuple[str, ...] = ()) -> Record:
    usage = Usage(calls=1, input_tokens=given, output_tokens=made)
    return Record(unit=unit, answer=Answer(strategy=unit.strategy, text="So.", model="m", usage=usage, lost=lost))


def test_done_units_replace_the_assumption_where_they_are_enough_and_whole(backend: Backend) -> None:
    seen, todo = (matrix(QUESTIONS, ["m"], ("uniplex", "contextual"), epochs, seed=7) for epochs in (4, 2))
    plain = [unit for unit in seen if unit.strategy == "uniplex"]
    told = [unit for unit in seen if unit.strategy == "contextual"]
    records = [
        *(record(unit, 10 + i, 100) for i, unit in enumerate(plain[:FEW])),
        record(plain[FEW], None, None),
        record(plain[FEW + 1], 10**6, 10**6, lost=("western",)),
        Record(unit=plain[FEW + 2], failure=Failure(kind="timeout", message="late")),
        *(record(unit, 10**6, 10**6) for unit in told[: FEW - 1]),
    ]
    first, second = estimate(todo, [spec(backend)], COUNCIL, records).rows
    assert (first.observed, first.calls, first.input_tokens, first.output_tokens) == (FEW, 6, 6 * 12, 600)
    assert second.observed == 0
    assert second.input_tokens < 6_000


def test_money_is_told_where_every_model_has_a_price_and_not_known_otherwise(backend: Backend) -> None:
    units = matrix(QUESTIONS, ["m", "n"], ("uniplex",), 1, seed=7)
    specs = [spec(backend), spec(backend).model_copy(update={"name": "n"})]
    known = {"m": Price(input=0, output=10)}
    half = estimate(units, specs, COUNCIL, prices=Prices(models=known))
    assert (half.rows[0].usd, half.rows[1].usd, half.usd) == (pytest.approx(3 * 600 * 10 / 1e6), None, None)
    whole = estimate(units, specs, COUNCIL, prices=Prices(models=known | {"n": Price(input=0, output=20)}))
    assert whole.usd == pytest.approx(3 * 600 * 30 / 1e6)
    shown = [printed(made) for made in (half, whole)]
    assert "not known" in shown[0]
    assert "--prices FILE" in shown[0]
    assert "0.05" in shown[1]
    assert "not known" not in shown[1]


def printed(made: object) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_estimate(console, made)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_nothing_left_to_do_costs_nothing() -> None:
    made = estimate((), [], COUNCIL)
    assert (made.units, made.calls, made.usd) == (0, 0, 0)
    assert "Nothing was sent" in printed(made)


def test_the_embedded_model_is_estimated_without_being_loaded() -> None:
    near = [Question(id=f"q{i}", question="How should families decide who cares for ageing parents?") for i in range(3)]
    made = estimate(matrix(near, ["local"], ("multiplex",), 1, seed=7), [parse_spec("local")], COUNCIL)
    (row,) = made.rows
    assert (row.calls, row.output_tokens, row.usd) == (3 * 3, 3 * 3 * 40, 0.0)
    assert 200 < row.input_tokens / 3 < 600
