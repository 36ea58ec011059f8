"""The figures of one condition: one model under one strategy, over all its questions and by domain and wording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from multiplex.bench.analysis.extractor_errors import Confusions
from multiplex.bench.analysis.model import Condition, CouncilFigures, Group
from multiplex.bench.analysis.observations import COST, COUNCIL, Observations, QuestionTable, figure_names
from multiplex.evaluation.depth.figures import FIGURES
from multiplex.evaluation.statistics import diversity, resampling, row_sums
from multiplex.evaluation.statistics.summary import TONES, WEIGHTINGS, Estimate, Weighting, estimate, weighting_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

READINGS: Mapping[str, row_sums.Figure] = {
    "macro": row_sums.MACRO,
    "macro0": row_sums.MACRO0,
    "micro": row_sums.MICRO,
}
BOUNDS: Mapping[str, tuple[float, float]] = {
    "unprompted": (0.0, 100.0), "per_100_words": (0.0, 100.0), "spread": (0.0, 5.0), "outside": (0.0, math.inf),
    "headline": (0.0, math.inf), "net": (-math.inf, 1.0), "homogeneity": (-1.0, 1.0),
    "depth": (0.0, math.inf), "specific": (0.0, math.inf),
    "plurality": (0.0, math.inf), "plural": (0.0, math.inf), "disagreement": (0.0, math.inf), "balance": (0.0, 100.0),
} | dict.fromkeys(COST, (0.0, math.inf))  # fmt: skip
"""Of the figures that do not lie in 0..1; resampled sums may leave them a little."""
NOTHING = Estimate(value=None)


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn."""

    resamples: int = 2000
    seed: int = 7


def condition(
    observations: Observations, draws: Draws, confusions: Confusions, cues: Sequence[str], frame_name: str
) -> Condition:
    """The figures of one condition; every estimate holds None where nothing was measured."""
    table = observations.table()
    found = _estimates(table, draws) if table is not None else {}

    def of(name: str) -> Estimate:
        return found.get(name, NOTHING)

    totals = observations.totals()
    primary = of("reference macro0").value
    sent, made = of("input_tokens").value, of("output_tokens").value
    toned = of("tone positive").value is not None
    return Condition(
        model=observations.model,
        strategy=observations.strategy,
        units=observations.units,
        measured=len(observations.ids),
        wordless=observations.wordless,
        unread={what: dict(counts.most_common()) for what, counts in sorted(observations.unread.items())},
        unscored=observations.unscored,
        failed=observations.failures.total(),
        pending=observations.pending,
        failures=dict(observations.failures.most_common()),
        short=observations.short,
        lost=dict(observations.lost.most_common()),
        questions=len(table) if table is not None else 0,
        references=sum(totals.values()),
        referring=of("referring"),
        weightings={name: _weighting(name, observations.frame, table, found) for name in WEIGHTINGS},
        corrected=confusions.corrected(totals, cues, frame_name=frame_name),
        unprompted_macro=of("unprompted macro"),
        unprompted_macro0=of("unprompted macro0"),
        never=tuple(name for name, value in totals.items() if not value),
        expected_perspectives=diversity.expected_perspectives(totals),
        expected_perspectives_mean=of("spread"),
        excluded=of("excluded"),
        berger_parker=of("berger_parker"),
        out_of_frame=of("out_of_frame"),
        per_100_words=of("per_100_words"),
        depth={name: of(name) for name in FIGURES},
        sentiment={tone: of(f"tone {tone}") for tone in TONES} if toned else None,
        stance={
            name: {tone: of(f"stance {name} {tone}") for tone in TONES}
            for name in observations.frame
            if of(f"stance {name} positive").value is not None
        },
        labels={tone: of(f"label {tone}") for tone in TONES} if toned else None,
        words=of("words"),
        seconds=of("seconds"),
        calls=of("calls"),
        input_tokens=of("input_tokens"),
        output_tokens=of("output_tokens"),
        tokens_reported=observations.reported,
        tokens_per_point=_per(None if sent is None or made is None else sent + made, primary),
        seconds_per_point=_per(of("seconds").value, primary),
        council=_council(observations, found),
        domains=_groups(table, table.domains, draws) if table is not None and any(table.domains) else (),
        cued=_groups(table, [_wording(each) for each in table.cued], draws) if table is not None else (),
    )


def _estimates(table: QuestionTable, draws: Draws) -> dict[str, Estimate]:
    """Every figure of a condition with its interval, by one set of resamples."""
    import numpy as np

    columns = [*table.rows.values(), table.figures]
    starts = np.cumsum([0, *(part.shape[1] for part in columns)]).tolist()
    place = {name: slice(starts[k], starts[k + 1]) for k, name in enumerate(table.rows)}
    figures = {"referring": _within(place["reference"], row_sums.REFERRING)}
    for reading in ("macro", "macro0"):
        figures[f"unprompted {reading}"] = _within(place["unprompted"], READINGS[reading])
    for weighting in WEIGHTINGS:
        figures |= {f"{weighting} {reading}": _within(place[weighting], of) for reading, of in READINGS.items()}
        for k, name in enumerate(table.frame):
            figures[f"{weighting} {name}"] = _within(place[weighting], row_sums.share(k))
    names = figure_names(table.frame)
    at = {name: starts[-2] + k for k, name in enumerate(names)}
    for name in names:
        figures[name] = ratio(at[name], at[name] + len(names), *BOUNDS.get(name, (0.0, 1.0)))
    figures["out_of_frame"] = ratio(at["outside"], at["headline"], 0.0, 1.0)
    percent = {"referring", *(f"{weighting} {name}" for weighting in WEIGHTINGS for name in table.frame)}
    found = _bootstrapped(np.hstack(columns), table.domains, figures, draws)
    return {name: _scaled(each, 0.01) if name in percent else each for name, each in found.items()}


def _weighting(
    name: str, frame: tuple[str, ...], table: QuestionTable | None, found: Mapping[str, Estimate]
) -> Weighting:
    strata = row_sums.by_stratum(table.rows[name], table.domains) if table is not None else None
    return weighting_of(
        name, frame, found, resampling.jackknife(strata, row_sums.MICRO) if strata is not None else None
    )


def _council(observations: Observations, found: Mapping[str, Estimate]) -> CouncilFigures | None:
    if not observations.councils:
        return None
    return CouncilFigures(
        answers=observations.councils,
        kind=cast(Literal["overlap", "coverage"], observations.kind),
        by_construction=observations.by_construction / observations.councils,
        voice_attribution=observations.attribution_accuracy("voices"),
        part_attribution=observations.attribution_accuracy("parts"),
        **{name: found[name] for name in COUNCIL},
    )


def _groups(table: QuestionTable, labels: Sequence[str], draws: Draws) -> tuple[Group, ...]:
    """The questions of each label apart, in order of appearance; a question without a label is in none."""
    return tuple(
        _group(name, table.at([place for place, label in enumerate(labels) if label == name]), draws)
        for name in dict.fromkeys(labels)
        if name
    )


def _group(name: str, table: QuestionTable, draws: Draws) -> Group:
    rows = table.rows["reference"]
    found = _bootstrapped(rows, table.domains, READINGS, draws)
    counts = rows[:, : len(table.frame)]
    return Group(
        name=name,
        questions=len(table),
        answers=sum(table.answers),
        references=round(float((counts.sum(axis=1) * table.answers).sum())),
        shares=diversity.shares(dict(zip(table.frame, counts.sum(axis=0).tolist(), strict=True))),
        **found,
    )


def _wording(cued: bool | None) -> str:
    return {True: "cued", False: "not cued", None: ""}[cued]


def _bootstrapped(
    rows: Array, domains: Sequence[str], figures: Mapping[str, row_sums.Figure], draws: Draws
) -> dict[str, Estimate]:
    found = resampling.bootstrap(
        row_sums.by_stratum(rows, domains), figures, resamples=draws.resamples, seed=draws.seed
    )
    return {name: estimate(each) for name, each in found.items()}


def _within(columns: slice, figure: row_sums.Figure) -> row_sums.Figure:
    """The figure of some columns of a wider row."""
    return row_sums.Figure(lambda sums: figure.statistic(sums[:, columns]), figure.biased)


def ratio(top: int, bottom: int, least: float, most: float) -> row_sums.Figure:
    """sum(top) / sum(bottom), within its bounds; undefined where bottom is 0; paired where both conditions have it."""

    def statistic(sums: Array) -> Array:
        import numpy as np

        quotients = np.full(len(sums), np.nan)
        np.divide(sums[:, top], sums[:, bottom], out=quotients, where=sums[:, bottom] > row_sums.NONE_LEFT)
        within: Array = quotients.clip(least, most)
        return within

    return row_sums.Figure(statistic, paired=True)


def _scaled(of: Estimate, by: float) -> Estimate:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * by

    return Estimate(value=scaled(of.value), low=scaled(of.low), high=scaled(of.high))


def _per(cost: float | None, points: float | None) -> float | None:
    return cost / points if cost is not None and points else None
