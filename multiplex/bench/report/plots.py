"""The figures of a report, from the analysis of a run: which there are, of what, under which name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from multiplex.bench.analysis.model import Analysis, Condition
from multiplex.bench.analysis.published import Paper
from multiplex.bench.report.tables import plain
from multiplex.bench.store.records import Record
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.evaluation.statistics.summary import TONES, Estimate
from multiplex.present import figures
from multiplex.present.drawing import Drawing

KINDS = ("entropy", "shares", "sentiment", "stance", "length", "domains")
POINTS = 500  # of one strategy in a scatter plot; more hide one another


class Cloud:
    """The points of the scatter plots: words and entropy of every answer that has one, to questions in one language."""

    def __init__(self, language: str = "") -> None:
        self._language = language
        self._points: dict[str, dict[str, list[tuple[float, float]]]] = {}

    def add(self, record: Record) -> None:
        """One unit."""
        measures = record.score.measures if record.score else None
        if measures is not None and measures.entropy is not None and record.unit.language == self._language:
            of = self._points.setdefault(record.unit.model, {}).setdefault(record.unit.strategy, [])
            of.append((float(measures.words), measures.entropy))

    def points(self, model: str) -> list[figures.Point]:
        """Of a model, at most POINTS a strategy, taken at even steps."""
        return [
            figures.Point(strategy, words, entropy)
            for strategy, points in self._points.get(model, {}).items()
            for words, entropy in points[:: -(-len(points) // POINTS)]
        ]


def draw_forests(analysis: Analysis) -> list[Drawing]:
    """For each model multiplex minus every other strategy; none where nothing was compared."""
    drawn = []
    for model in analysis.models:
        found = [each for each in analysis.contrasts if each.primary and each.model == model]
        if found:
            drawn.append(
                figures.draw_intervals(
                    _name(analysis, model, "differences"),
                    f"{model}: entropy of multiplex minus that of each other strategy",
                    [_row(f"minus {each.strategy}", each.strategy, each.difference) for each in found],
                    figures.Axis("percentage points of entropy"),
                    "Right of 0: multiplex spreads wider. Lines: 95% intervals over questions.",
                )
            )
    return drawn


def draw_plots(analysis: Analysis, papers: Sequence[Paper], cloud: Cloud) -> dict[str, list[Drawing]]:
    """By model its figures; none where none of its answers was measured."""
    drawn: dict[str, list[Drawing]] = {}
    for model in analysis.models:
        conditions = [each for each in analysis.conditions if each.model == model and each.measured]
        names = {
            kind: _name(analysis, model, kind)
            for kind in ("entropy", "shares", "sentiment", "stance", "length", "domains")
        }
        drawn[model] = [
            *_entropy(names, conditions, papers),
            *_shares(names, conditions, analysis.frame),
            *_tones(names, conditions, analysis.frame),
            *_length(names, cloud.points(model)),
            *_domains(names, conditions),
        ] if conditions else []  # fmt: skip
    return drawn


def write_figures(folder: Path, drawn: Iterable[Drawing]) -> list[Path]:
    """Write each figure as NAME.svg and NAME.pdf into the folder, which is made where it is missing; their paths.

    Raises:
        MultiplexError: the disk refuses; no file is half written.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
    paths = []
    for each in drawn:
        paths += [folder / f"{each.name}.svg", folder / f"{each.name}.pdf"]
        with open_draft(paths[-2]) as out:
            out.write(each.svg)
        with open_draft(paths[-1]) as out:
            out.buffer.write(each.as_pdf())
    return paths


def _name(analysis: Analysis, model: str, kind: str) -> str:
    """Of a figure's files and ids; with several models, the model's number and what of its name a file can have."""
    if len(analysis.models) == 1:
        return kind
    return f"{kind}-{analysis.models.index(model) + 1}-{re.sub('[^A-Za-z0-9]+', '-', model).strip('-')[:40]}"


def _row(label: str, kind: str, of: Estimate, note: str = "") -> figures.Row:
    return figures.Row(label, kind, of.value, of.low, of.high, note)


def _entropy(names: Mapping[str, str], conditions: Sequence[Condition], papers: Sequence[Paper]) -> list[Drawing]:
    rows = [_row(of.strategy, of.strategy, of.primary, f"n = {of.references:,}") for of in conditions]
    rows += [
        figures.Row(figure.theirs, "published", figure.value, note=f"arXiv {paper.arxiv}")
        for paper in papers
        for figure in paper.figures
        if figure.measure == "entropy"
    ]
    about = (
        "macro0, by reference: an answer without one counts 0; n: references. Lines: 95% intervals over questions. "
        "Diamonds: the papers' figures, by arXiv number, of other models, a convention and an extractor not known."
    )
    perspectives = len(conditions[0].weightings["reference"].shares)
    along = figures.percent(f"entropy, % of an even spread over {perspectives}")
    return [figures.draw_intervals(names["entropy"], "Entropy", rows, along, about)]


def _shares(names: Mapping[str, str], conditions: Sequence[Condition], frame: Sequence[str]) -> list[Drawing]:
    stacks = [
        figures.Stack(
            of.strategy,
            {name: share.value or 0.0 for name, share in of.weightings["reference"].shares.items()}
            if of.references
            else {},
            f"n = {of.references:,}",
        )
        for of in conditions
    ]
    about = "By reference, all answers together; each bar is 100%. n: references."
    return [figures.draw_shares(names["shares"], "Shares of the perspectives", stacks, frame, about)]


def _tones(names: Mapping[str, str], conditions: Sequence[Condition], frame: Sequence[str]) -> list[Drawing]:
    toned = [of for of in conditions if of.sentiment]
    if not toned:
        return []
    stacks = [
        figures.Stack(of.strategy, {tone: each.value or 0.0 for tone, each in (of.sentiment or {}).items()})
        for of in toned
    ]
    stances: dict[str, Mapping[str, float]] = {
        plain(name): {of.strategy: net for of in toned if (net := _net(of.stance.get(name))) is not None}
        for name in frame
    }
    about = "Mean probabilities over answers; each bar is 100%. More positive is not better."
    return [
        figures.draw_tones(names["sentiment"], "Sentiment", stacks, about),
        figures.draw_dots(
            names["stance"],
            "Stance",
            stances,
            figures.Axis("mean probability of positive minus negative"),
            "The tone of the sentences that refer to a perspective.",
        ),
    ]


def _net(tones: Mapping[str, Estimate] | None) -> float | None:
    values = [tones[tone].value for tone in (TONES[0], TONES[-1])] if tones else []
    return values[0] - values[1] if values and values[0] is not None and values[1] is not None else None


def _length(names: Mapping[str, str], points: Sequence[figures.Point]) -> list[Drawing]:
    if not points:
        return []
    about = "A marker an answer, those without a reference left out: longer answers have more room for references."
    if any(sum(point.kind == kind for point in points) >= POINTS // 2 + 1 for kind in {p.kind for p in points}):
        about += f" At most {POINTS} of a strategy are drawn, at even steps."
    across, up = figures.Axis("words of the answer"), figures.percent("entropy, %")
    return [figures.draw_scatter(names["length"], "Entropy against length", points, across, up, about)]


def _domains(names: Mapping[str, str], conditions: Sequence[Condition]) -> list[Drawing]:
    domains = list(dict.fromkeys(group.name for of in conditions for group in of.domains))
    if not domains:
        return []
    values = {
        name: {of.strategy: next((g.macro0.value for g in of.domains if g.name == name), None) for of in conditions}
        for name in domains
    }
    about = f"macro0, percent; the stronger the colour, the larger. {_few(conditions)}"
    return [figures.draw_heat(names["domains"], "Entropy by domain", values, 100.0, about)]


def _few(conditions: Sequence[Condition]) -> str:
    """On how many questions the cells stand."""
    counts = [group.questions for of in conditions for group in of.domains]
    least, most = min(counts), max(counts)
    return f"{least} to {most} questions a cell." if least < most else f"Questions a cell: {least}."
