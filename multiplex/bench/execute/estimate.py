"""What a run would do and cost, told without sending anything.

Each strategy is carried out once for each model with a stand-in that hears every prompt and sends nothing, so that
calls and prompts are the real ones; only the length of the replies is assumed. Where the run has units of the same
model and strategy already, their means replace the assumption.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.bench.execute.unit import Work, execute, length
from multiplex.bench.plan.translations import language_name
from multiplex.bench.plan.units import LENGTH_MATCHED, Unit
from multiplex.bench.store.records import Record
from multiplex.council.answer import Choice, Voice
from multiplex.council.closed import in_words
from multiplex.council.personas import Council
from multiplex.llm.dry_run import CHARACTERS, FakeChat
from multiplex.llm.prices import Prices
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import Usage, total

if TYPE_CHECKING:
    from rich.console import Console

BATCH_SHARE = 0.5  # of the price, that OpenAI and those who copy its batches ask for a call in one
FEW = 5  # done units below which their mean says little


@dataclass(frozen=True)
class EstimateRow:
    """What the units of one model and strategy would take in all; `usd` None where the model has no price.

    Attributes:
        language: of their questions, as in `Unit`.
        observed: how many done units the tokens are the mean of; 0 where they are assumed.
    """

    model: str
    strategy: str
    units: int
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    observed: int = 0
    language: str = ""


@dataclass(frozen=True)
class RunEstimate:
    """What a run would take, by model, strategy and language, in the order of its units."""

    rows: tuple[EstimateRow, ...]

    @property
    def units(self) -> int:
        """Units still to do."""
        return sum(row.units for row in self.rows)

    @property
    def calls(self) -> int:
        """Calls, retries not counted."""
        return sum(row.calls for row in self.rows)

    @property
    def input_tokens(self) -> int:
        """Tokens of prompts."""
        return sum(row.input_tokens for row in self.rows)

    @property
    def output_tokens(self) -> int:
        """Tokens of replies."""
        return sum(row.output_tokens for row in self.rows)

    @property
    def usd(self) -> float | None:
        """Money; None where a model has no price."""
        known = [row.usd for row in self.rows if row.usd is not None]
        return sum(known) if len(known) == len(self.rows) else None


def estimate(
    units: Sequence[Unit],
    specs: Sequence[ModelSpec],
    council: Council,
    observed: Iterable[Record] = (),
    prices: Prices | None = None,
) -> RunEstimate:
    """What these units would take. `observed` are the records of the run so far, read once as a stream.

    Not to be called where an event loop runs. Nothing is sent and no key is needed.

    Raises:
        UsageError: a question is too long for its model.
    """
    seen = _seen(observed)
    groups: dict[tuple[str, str, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault(_condition(unit), []).append(unit)
    plays = {spec.name: _Play(spec, council) for spec in specs}
    rows = []
    for condition, group in groups.items():
        count, mean = seen.get(condition, (0, Usage()))
        if count < FEW:
            count, mean = 0, plays[condition[0]].rehearsed(_typical(group))
        rows.append(_row(condition, len(group), count, mean, prices or Prices()))
    return RunEstimate(tuple(rows))


def _condition(unit: Unit) -> tuple[str, str, str]:
    """Model, strategy with the round where voices hear others, and language."""
    later = f", round {unit.closed.round}" if unit.closed is not None and unit.hears else ""
    return unit.model, unit.strategy + later, unit.language


def _row(condition: tuple[str, str, str], units: int, count: int, spent: Usage, prices: Prices) -> EstimateRow:
    """`spent` is what `count` units took, or one where `count` is 0, scaled to `units`."""
    calls, given, made = (
        round(units * (each or 0) / max(1, count)) for each in (spent.calls, spent.input_tokens, spent.output_tokens)
    )
    model, strategy, language = condition
    usd = prices.cost(model, Usage(calls=calls, input_tokens=given, output_tokens=made))
    return EstimateRow(model, strategy, units, calls, given, made, usd, count, language)


def _seen(records: Iterable[Record]) -> dict[tuple[str, str, str], tuple[int, Usage]]:
    """By condition: how many done units reported their tokens and lost no voice, and what they took."""
    seen: dict[tuple[str, str, str], tuple[int, Usage]] = {}
    for record in records:
        answer, condition = record.answer, _condition(record.unit)
        if answer is None or answer.lost or answer.usage.input_tokens is None or answer.usage.output_tokens is None:
            continue
        count, usage = seen.get(condition, (0, Usage()))
        seen[condition] = count + 1, usage + answer.usage
    return seen


def _typical(units: Sequence[Unit]) -> Unit:
    """The unit whose question is of middling length."""
    return sorted(units, key=lambda unit: len(unit.question))[len(units) // 2]


class _Play:
    """Carries strategies out with a stand-in for one model."""

    def __init__(self, spec: ModelSpec, council: Council) -> None:
        self._spec, self._council = spec, council
        self._words: int | None = None

    def rehearsed(self, unit: Unit) -> Usage:
        """What one unit would take."""
        if unit.strategy in LENGTH_MATCHED and self._words is None:
            self.rehearsed(unit.model_copy(update={"strategy": "multiplex", "needs": None}))
        words = self._words if unit.strategy in LENGTH_MATCHED else None
        chat = FakeChat(self._spec, words)
        answer = asyncio.run(execute(Work(unit, self._council, words, _stand_ins(unit)), chat))
        if unit.strategy == "multiplex":
            self._words = length(answer)
        return total(chat.spent)


def _stand_ins(unit: Unit) -> tuple[Voice, ...]:
    """As many voices as the unit hears, each of which leans to no option."""
    if unit.closed is None:
        return ()
    options = unit.closed.options
    even = Choice(options=options, method=unit.closed.method, shares=(1 / len(options),) * len(options))
    return tuple(Voice(persona="", perspective="", title="", model="", text=in_words(even)) for _ in unit.hears)


def print_estimate(console: Console, made: RunEstimate) -> None:
    """The estimate as a table, and what it rests on."""
    from rich.text import Text

    from multiplex.text.console import make_table, print_table

    priced = any(row.usd is not None for row in made.rows)
    several = any(row.language for row in made.rows)
    names = ["model", "strategy", *(["language"] if several else [])]
    money = ["USD", "USD by\nbatch"] if priced else []
    figures = ["units", "calls", "input\ntokens", "output\ntokens", *money]
    table = make_table([*names, *figures], range(len(names)))
    for row in made.rows:
        counts = [f"{count:,}" for count in (row.units, row.calls, row.input_tokens, row.output_tokens)]
        of = [row.strategy, *([language_name(row.language)] if several else [])]
        table.add_row(Text(row.model), *of, *counts, *(_both(row.usd) if priced else []))
    totals = [f"{count:,}" for count in (made.units, made.calls, made.input_tokens, made.output_tokens)]
    table.add_row("all", *[""] * (1 + several), *totals, *(_both(made.usd) if priced else []))
    print_table(console, table)
    console.print(Text(_basis(made)), soft_wrap=True)


def _both(usd: float | None) -> list[str]:
    """The money for calls by themselves, and for the same in batches."""
    return [_money(usd), _money(None if usd is None else BATCH_SHARE * usd)]


def _money(usd: float | None) -> str:
    return "not known" if usd is None else f"{usd:,.2f}"


def _basis(made: RunEstimate) -> str:
    seen = sum(row.observed for row in made.rows)
    assumed = [row for row in made.rows if not row.observed]
    parts = ["Nothing was sent. Retries are not counted."]
    if assumed:
        parts.append(
            f"Prompts are the real ones, {CHARACTERS} characters to a token; the length of replies is assumed"
            + (f" for {len(assumed)} of {len(made.rows)} rows." if seen else ".")
        )
    if any(row.language for row in assumed):
        parts.append("Both are those of English; other languages, above all in other scripts, take more tokens.")
    if seen:
        parts.append(
            f"The other rows are means of the {seen:,} units done." if assumed else f"Means of the {seen:,} units done."
        )
    if any(row.usd for row in made.rows):
        parts.append("Batches (--batch) are taken to cost half.")
    if made.rows and made.usd is None:
        parts.append("Money needs the price of every model: --prices FILE.")
    return " ".join(parts)
