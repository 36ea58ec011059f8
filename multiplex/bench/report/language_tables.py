"""The tables of a report that set a run's languages side by side."""

from __future__ import annotations

from collections.abc import Callable

from multiplex.bench.analysis.figure_change import FigureName
from multiplex.bench.analysis.model import Analysis, LanguageComparison
from multiplex.bench.plan.translations import language_name
from multiplex.bench.report.tables import Table, chance, estimate, plain
from multiplex.present.numbers import NONE, number

_UNPAIRED = (
    "Only answers that are measured in both languages are compared, question by question and epoch by epoch; left "
    "out are those without a measure (in a language that is not read, or without a word), those whose counterpart "
    "has none, and what failed, is pending or was not scored."
)


def limit(analysis: Analysis) -> list[str]:
    """Which of a run's languages its figures are of; nothing where it has one."""
    if not analysis.languages:
        return []
    others = ", ".join(sorted({each.language for each in analysis.languages}))
    return [
        f"The questions were asked in {language_name(analysis.language)} and in {others}. Every figure is of the "
        f"answers to those in {language_name(analysis.language)}, but for the tables under “Languages”."
    ]


def entropy(analysis: Analysis) -> Table:
    """What was compared, and how entropy, tone and cost differ."""
    first = language_name(analysis.language)

    def side(name: FigureName, side: str) -> Callable[[LanguageComparison], str]:
        return lambda of: number(getattr(of.changes[name], side), ".1f") if name in of.changes else NONE

    def difference(name: FigureName, form: str = ".1f") -> Callable[[LanguageComparison], str]:
        return lambda of: estimate(of.changes[name].difference, form=form) if name in of.changes else NONE

    columns: list[tuple[str, Callable[[LanguageComparison], str]]] = [
        ("language", lambda of: of.language),
        ("answers compared", lambda of: f"{of.paired:,}"),
        ("left out", _left_out),
        (f"macro0: {first}", side("macro0", "before")),
        ("macro0", side("macro0", "after")),
        ("difference", difference("macro0")),
        ("p", lambda of: chance(of.changes["macro0"].p) if "macro0" in of.changes else NONE),
        ("difference of macro", difference("macro")),
        ("of positive tone", difference("tone positive", ".2f")),
        ("of tokens out", difference("output_tokens", ".0f")),
    ]
    note = (
        f"{_UNPAIRED} Differences: the language minus {first}, entropy by reference in percentage points. They hold "
        "what the measure misses in one language and not in the other, since its lists of names and concepts differ in "
        "reach, as well as what the model says. Exploratory: p is not adjusted for the number of languages."
    )
    return _table(analysis, f"The same questions in other languages and in {first}", columns, note)


def shares(analysis: Analysis) -> Table:
    """Shares by perspective, in the first language and the other, over the same questions."""
    first = language_name(analysis.language)

    def column(name: str) -> tuple[str, Callable[[LanguageComparison], str]]:
        return plain(name), lambda of: " / ".join(
            number(100 * side[name] if side else None, ".1f") for side in (of.shares_first, of.shares)
        )

    columns = [("language", lambda of: of.language), *(column(name) for name in analysis.frame)]
    note = "Percent of all references to the frame, counts added over the answers that are compared above."
    return _table(analysis, f"Shares by reference, {first} / the other language", columns, note)


def _table(
    analysis: Analysis, title: str, columns: list[tuple[str, Callable[[LanguageComparison], str]]], note: str
) -> Table:
    groups = tuple(
        (model, tuple((of.strategy, *(show(of) for _, show in columns)) for of in rows))
        for model in dict.fromkeys(each.model for each in analysis.languages)
        if (rows := [each for each in analysis.languages if each.model == model])
    )
    return Table(title, ("strategy", *(name for name, _ in columns)), groups, note)


def _left_out(of: LanguageComparison) -> str:
    kinds = {
        "without a measure": of.unmeasured,
        "counterpart without one": of.alone,
        "concepts not read": of.partial,
        "failed": of.failed,
        "pending": of.pending,
        "not scored": of.unscored,
    }
    listed = ", ".join(f"{name} {count:,}" for name, count in kinds.items() if count)
    return f"{of.units - of.paired:,}" + (f" ({listed})" if listed else "")
