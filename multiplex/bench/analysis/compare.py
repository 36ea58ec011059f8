"""Two runs side by side: the same units paired, what the runs were made with, and how far their figures differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, field_serializer

from multiplex.bench.analysis.conditions import READINGS, Draws, ratio
from multiplex.bench.analysis.figure_change import FORMER_FIGURES, FigureChange, FigureName
from multiplex.bench.analysis.observations import Observations, QuestionTable, figure_names
from multiplex.bench.plan import manifest
from multiplex.bench.plan.units import STRATEGIES
from multiplex.bench.store.records import Record
from multiplex.content import sha256
from multiplex.errors import UsageError
from multiplex.evaluation.renamed import Renamed
from multiplex.evaluation.statistics import permutation, resampling, row_sums
from multiplex.evaluation.statistics.summary import estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multiplex.bench.store.store import Store

    Array = NDArray[np.float64]

_PERMUTATIONS = 9999
_OTHERS: tuple[FigureName, ...] = (
    "tone positive", "tone negative", "words", "seconds", "input_tokens", "output_tokens",
)  # fmt: skip
_NEVER = math.inf


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ComparedCondition(_Frozen):
    """One model under one strategy in both runs.

    Attributes:
        language: of the questions, as in `Unit`.
        only_before, only_after: units that one run has and the other has not.
        units: that both have; of those `unfinished_before`, `unfinished_after` have no measured answer there.
        paired: measured in both: what the changes stand on, together with `questions`.
        same: paired units whose answers are equal to the letter.
        changes: by figure; empty where nothing is paired.
    """

    model: str
    strategy: str
    language: str = ""
    only_before: int
    only_after: int
    units: int
    unfinished_before: int
    unfinished_after: int
    paired: int
    questions: int
    same: int
    changes: dict[FigureName, FigureChange]

    @field_serializer("changes", mode="wrap")
    def _write_former_figures(
        self, changes: dict[FigureName, FigureChange], write: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        written: dict[str, Any] = write(changes)
        return written | {former: written[name] for name, former in FORMER_FIGURES.items() if name in written}


class RunComparison(_Frozen, Renamed):
    """Two runs under one scoring.

    Attributes:
        before, after: their folders' names.
        changed: what answers were made with that is not the same, a line each; empty where nothing differs.
        versions: packages whose versions differ, a line each: they may matter or not.
        conditions: those that share a unit.
    """

    former_names: ClassVar = {"conditions": "arms"}
    before: str
    after: str
    scoring: str
    changed: tuple[str, ...]
    versions: tuple[str, ...]
    conditions: tuple[ComparedCondition, ...]


def compare(a: Store, b: Store, scoring: str | None = None, *, draws: Draws | None = None) -> RunComparison:
    """What differs from run `a` to run `b`, over the units that both have, by the newest scoring that both have.

    Units are paired by question (its id and its words), model, strategy and epoch.

    Raises:
        UsageError: the runs share no scoring or no unit.
    """
    key = _common_scoring(a, b, scoring)
    before, after = _read(a.records(key)), _read(b.records(key))
    conditions = tuple(
        _compare_condition(before[name], after[name], draws if draws is not None else Draws())
        for name in sorted(before.keys() & after.keys(), key=lambda name: (name[0], STRATEGIES.index(name[1]), name[2]))
        if before[name].made & after[name].made
    )
    if not conditions:
        raise UsageError(
            f"{a.folder} and {b.folder} have no unit in common: the same question, model, strategy and epoch; "
            f"their models are {_models(before)} and {_models(after)}"
        )
    (old, damaged), (new, also) = (manifest.read_manifest(run) for run in (a, b))
    unread = tuple(filter(None, (damaged, also)))
    return RunComparison(
        before=str(a.folder),
        after=str(b.folder),
        scoring=key,
        changed=unread or (tuple(manifest.differences(old, new)) if old is not None and new is not None else ()),
        versions=tuple(_versions(old.versions, new.versions)) if old is not None and new is not None else (),
        conditions=conditions,
    )


@dataclass
class _Side:
    """One condition of one run: its numbers, every unit it has, and a digest of each answer."""

    observations: Observations
    made: set[str] = field(default_factory=set)
    digests: dict[str, str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        self.made.add(record.unit.id)
        self.observations.add(record)
        if record.answer is not None:
            self.digests[record.unit.id] = sha256(record.answer.text)


def _read(records: Iterator[Record]) -> dict[tuple[str, str, str], _Side]:
    sides: dict[tuple[str, str, str], _Side] = {}
    for record in records:
        unit = record.unit
        sides.setdefault(
            (unit.model, unit.strategy, unit.language), _Side(Observations(unit.model, unit.strategy, unit.language))
        ).add(record)
    return sides


def _compare_condition(a: _Side, b: _Side, draws: Draws) -> ComparedCondition:
    both = a.made & b.made
    measured_before, measured_after = both & set(a.observations.ids), both & set(b.observations.ids)
    paired = measured_before & measured_after
    before, after = a.observations.table(paired), b.observations.table(paired)
    changes: dict[FigureName, FigureChange] = {}
    if before is not None and after is not None:
        place = {name: number for number, name in enumerate(after.questions)}
        changes = measure_changes(before, after.at([place[name] for name in before.questions]), draws)
    return ComparedCondition(
        model=a.observations.model,
        strategy=a.observations.strategy,
        language=a.observations.language,
        only_before=len(a.made - b.made),
        only_after=len(b.made - a.made),
        units=len(both),
        unfinished_before=len(both) - len(measured_before),
        unfinished_after=len(both) - len(measured_after),
        paired=len(paired),
        questions=len(before) if before is not None else 0,
        same=sum(a.digests[name] == b.digests[name] for name in paired),
        changes=changes,
    )


def measure_changes(before: QuestionTable, after: QuestionTable, draws: Draws) -> dict[FigureName, FigureChange]:
    """What differs from one table to another of the same questions in the same order."""
    made: dict[FigureName, FigureChange] = {}
    rows = before.rows["reference"], after.rows["reference"]
    made |= _change(*rows, {name: READINGS[name] for name in ("macro0", "macro", "micro")}, before.domains, draws)
    unprompted = before.rows["unprompted"], after.rows["unprompted"]
    made |= _change(*unprompted, {"unprompted macro0": row_sums.MACRO0}, before.domains, draws)
    for name in _OTHERS:
        one, other = _column(before, name), _column(after, name)
        made |= _change(one, other, {name: ratio(0, 1, -_NEVER, _NEVER)}, before.domains, draws)
    return made


def _change(
    before: Array, after: Array, figures: dict[FigureName, row_sums.Figure], domains: tuple[str, ...], draws: Draws
) -> dict[FigureName, FigureChange]:
    named: dict[str, row_sums.Figure] = dict(figures.items())
    found = resampling.paired_bootstrap(after, before, named, domains, resamples=draws.resamples, seed=draws.seed)
    p = permutation.permutation(after, before, named, permutations=_PERMUTATIONS, seed=draws.seed)
    changes = {
        name: FigureChange(
            before=_value(figure, before),
            after=_value(figure, after),
            difference=estimate(found.differences[name]),
            p=p[name],
        )
        for name, figure in figures.items()
    }
    return {name: each for name, each in changes.items() if (each.before, each.after) != (None, None)}


def _column(table: QuestionTable, name: FigureName) -> Array:
    """One figure as rows that `resampling.paired_bootstrap` reads, without counts: shape (n, 4)."""
    import numpy as np

    names = figure_names(table.frame)
    at = names.index(name)
    values, has = table.figures[:, at], table.figures[:, at + len(names)]
    return np.column_stack([values, has, values, np.ones(len(values))])


def _value(figure: row_sums.Figure, rows: Array) -> float | None:
    value = float(figure.statistic(rows.sum(axis=0)[None])[0])
    return None if math.isnan(value) else value


def _common_scoring(a: Store, b: Store, wanted: str | None) -> str:
    both = [key for key in a.scorings() if key in b.scorings()]
    if wanted is not None and wanted not in both:
        raise UsageError(f"scoring {wanted!r} is not in both runs; in both: {', '.join(both) or 'none'}")
    if not both:
        raise UsageError(
            f"{a.folder} and {b.folder} were not measured in one same way; run `multiplex bench score` with the same "
            "options on both (no model is called)"
        )
    return wanted if wanted is not None else both[-1]


def _versions(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: was {old.get(name, 'not there')}, is {new.get(name, 'not there')}"


def _models(sides: dict[tuple[str, str, str], _Side]) -> str:
    return ", ".join(Counter(model for model, _, _ in sides)) or "none"
