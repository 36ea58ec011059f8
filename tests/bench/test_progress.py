from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from multiplex.bench.execute.progress import Progress, pace, span
from multiplex.bench.plan.budget import Budget
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Failure
from multiplex.council.answer import Answer
from multiplex.llm.limiter import Limiter
from multiplex.llm.prices import Price, Prices
from multiplex.llm.usage import Usage

UNIT = Unit(id="0123456789abcdef", question_id="q-1", question="Why?", model="m", strategy="multiplex", seed=1)


class Clock:
    """Moves only when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def until(true: Callable[[], bool]) -> None:
    """Wait for another thread, a minute at most."""
    for _ in range(6000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def answer(*lost: str) -> Answer:
    return Answer(strategy="multiplex", text="So.", model="m", lost=lost)


def test_the_line_tells_units_rate_time_left_tokens_money_losses_and_errors_by_kind() -> None:
    clock, limiter = Clock(), Limiter(20, name="m")
    budget = Budget(prices=Prices(models={"m": Price(input=1, output=1)}), spent={"m": Usage(calls=1, input_tokens=5)})
    progress = Progress(console(), 100, 10, lambda: str(limiter), budget, clock=clock)
    for _ in range(5):
        progress.unit_started(UNIT)
    assert (
        progress.line()
        == "10 of 100 units done · 5 under way · 5 tokens · $0.0000 · 0 voices lost · m: 0 of 20 in flight"
    )
    clock.now += 60
    budget.add("m", Usage(calls=8, input_tokens=1_000_000, output_tokens=500_000))
    progress.unit_done(UNIT, answer("western"))
    progress.unit_done(UNIT, answer())
    for kind in ("timeout", "server", "timeout"):
        progress.unit_failed(UNIT, Failure(kind=kind, message="late"))
    assert progress.line() == (
        "12 of 100 units done · 5.0 a minute · about 17 min left · 1,500,005 tokens · $1.50 · 1 voice lost"
        " · failed: timeout 2, server 1 · m: 0 of 20 in flight"
    )


def test_tokens_that_an_endpoint_does_not_report_are_not_zero() -> None:
    budget = Budget()
    budget.add("m", Usage(calls=1, input_tokens=None, output_tokens=None))
    assert "tokens not reported" in Progress(console(), 1, budget=budget).line()


def test_off_a_terminal_a_plain_line_comes_again_and_again_and_at_the_end() -> None:
    on = console()
    with Progress(on, 3, state=lambda: "m: 1 of 20 in flight, all wait 7 s", interval=0.01) as progress:
        until(lambda: said(on).count("0 of 3 units done") >= 3)
        progress.unit_started(UNIT)
        progress.unit_done(UNIT, answer())
    lines = said(on).splitlines()
    assert all(line.endswith("m: 1 of 20 in flight, all wait 7 s") for line in lines)
    assert lines[-1].startswith("1 of 3 units done")
    assert "\x1b" not in said(on)


def test_a_clock_that_is_put_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    on = console()
    with Progress(on, 2, interval=0.01) as progress:
        progress.unit_started(UNIT)
        until(lambda: said(on).count("\n") >= 2)
        progress.unit_done(UNIT, answer())
    assert "-" not in said(on).splitlines()[-1]


def test_the_first_failure_of_a_kind_is_told_and_foreign_text_moves_no_cursor() -> None:
    on = console()
    progress = Progress(on, 9)
    for _ in range(3):
        progress.unit_started(UNIT)
        progress.unit_failed(UNIT, Failure(kind="server", message="500 [bold]\x1b[2J\nboo"))
    assert said(on) == "0123456789abcdef (q-1, m, multiplex): server: 500 [bold][2J boo\n"


def test_on_a_terminal_the_screen_is_live_notes_stay_and_the_last_state_is_printed() -> None:
    on = console(terminal=True)
    with Progress(on, 4, 1, state=lambda: "m: 2 of 20 in flight") as progress:
        until(lambda: "m: 2 of 20 in flight" in said(on))
        progress.note("m: 429, too many requests")
        until(lambda: "429, too many requests" in said(on))
    assert "1 of 4 units done" in said(on).splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (90.0, "2 min"), (3599.0, "1 h 0 min"), (9600.0, "2 h 40 min")]
)
def test_a_length_of_time_is_told_in_words(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(25.0, "1,500 a minute"), (0.025, "1.5 a minute"), (0.01, "36 an hour"), (0.001, "3.6 an hour")]
)
def test_a_pace_is_told_in_words(rate: float, text: str) -> None:
    assert pace(rate) == text
