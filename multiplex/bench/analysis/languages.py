"""The languages of a run side by side: the same questions in the first and in each other, where both are measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from multiplex.bench.analysis.compare import measure_changes
from multiplex.bench.analysis.conditions import Draws
from multiplex.bench.analysis.figure_change import FigureChange, FigureName
from multiplex.bench.analysis.model import LanguageComparison
from multiplex.bench.analysis.observations import Observations, QuestionTable
from multiplex.bench.plan.units import STRATEGIES
from multiplex.evaluation.statistics import diversity

Conditions = Mapping[tuple[str, str], Observations]
"""By model and strategy what was observed in one language."""


def compare_languages(first: Conditions, others: Iterable[Conditions], draws: Draws) -> tuple[LanguageComparison, ...]:
    """Each condition of each other language against the same one of the first, by model, strategy and language.

    Answers are paired by question and epoch. One that has no measure, or whose counterpart has none, is left out, and
    so are pairs of which one is in a language whose concepts are not read: its references are of names alone.
    """
    every = [observations for conditions in others for observations in conditions.values()]
    models = list(dict.fromkeys(model for model, _ in first)) + [each.model for each in every]
    every.sort(key=lambda each: (models.index(each.model), STRATEGIES.index(each.strategy), each.language))
    return tuple(_compare(first.get((each.model, each.strategy)), each, draws) for each in every)


def _compare(first: Observations | None, other: Observations, draws: Draws) -> LanguageComparison:
    theirs = _whole(first) if first is not None else {}
    mine = _whole(other)
    both = [place for place in mine if place in theirs]
    before = first.table(theirs[place] for place in both) if first is not None else None
    after = other.table(mine[place] for place in both)
    changes: dict[FigureName, FigureChange] = {}
    shares_first: dict[str, float] = {}
    shares: dict[str, float] = {}
    if before is not None and after is not None:
        place = {name: number for number, name in enumerate(after.questions)}
        changes = measure_changes(before, after.at([place[name] for name in before.questions]), draws)
        shares_first, shares = _shares(before), _shares(after)
    failed, measured = other.failures.total(), len(other.measured)
    return LanguageComparison(
        model=other.model,
        strategy=other.strategy,
        language=other.language,
        units=other.units,
        failed=failed,
        pending=other.pending,
        unscored=other.unscored,
        unmeasured=other.units - measured - failed - other.pending - other.unscored,
        partial=measured - len(mine),
        alone=len(mine) - len(both),
        paired=len(both),
        questions=len(before) if before is not None else 0,
        shares_first=shares_first,
        shares=shares,
        changes=changes,
    )


def _whole(observations: Observations) -> dict[tuple[str, int], str]:
    """The measured answers in which names and concepts were read."""
    return {place: name for place, name in observations.measured.items() if name not in observations.partial}


def _shares(table: QuestionTable) -> dict[str, float]:
    """By reference, counts added over the questions; empty where there is none."""
    counts = table.rows["reference"][:, : len(table.frame)].sum(axis=0)
    return diversity.shares(dict(zip(table.frame, counts.tolist(), strict=True))) if counts.any() else {}
