"""What a run asks: the questions and strategies of a benchmark; a survey makes a suite of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from multiplex.bench.plan import questions, translations
from multiplex.bench.plan.units import Unit, checked, matrix
from multiplex.council.strategies import check_strategy
from multiplex.llm.spec import ModelSpec


@dataclass(frozen=True)
class Suite:
    """Units to do, and what belongs to them.

    Attributes:
        name: of the question set.
        units: every unit for a seed, in their order.
        survey: how closed questions are asked, by name; empty for a benchmark.
        report: the command that reports on the run.
        score: whether answers are measured when they are done.
        probe: called before a new run is made; it raises where an endpoint lacks what the units need.
        begin: called once the run is known to fit, before anything is sent; the folder is there by then.
    """

    name: str
    units: Callable[[int], tuple[Unit, ...]]
    survey: Mapping[str, str] = field(default_factory=dict)
    report: str = "multiplex bench report"
    score: bool = False
    probe: Callable[[], None] = lambda: None
    begin: Callable[[], None] = lambda: None


def benchmark(
    named: str,
    strategies: Sequence[str],
    specs: Sequence[ModelSpec],
    *,
    languages: Sequence[str] = (translations.ITSELF,),
    epochs: int = 1,
    limit: int | None = None,
    score: bool = True,
) -> Suite:
    """The suite of a benchmark. `languages` are codes; `en` is the question set itself.

    Raises:
        UsageError: a question set, a translation, a strategy or a language is wrong, or a model cannot carry it out.
    """
    wanted = questions.load(named)
    codes = translations.check_codes(languages)
    translated = translations.load_translations(named, wanted, codes)
    checked(strategies)
    for spec in specs:
        for strategy in strategies:
            check_strategy(strategy, spec)
    models = [spec.name for spec in specs]

    def units_of(seed: int) -> tuple[Unit, ...]:
        asked = translations.in_languages(questions.chosen(wanted, limit, seed), codes, translated)
        return matrix(asked, models, strategies, epochs, seed)

    return Suite(wanted.name, units_of, score=score)
