"""The report of a run: one HTML page that loads nothing, the same in Markdown, results as CSV and JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Protocol

from multiplex.bench.analysis import published
from multiplex.bench.analysis.model import Analysis, Arm, Claim
from multiplex.bench.analysis.published import Paper
from multiplex.bench.analysis.ratings import Ratings
from multiplex.bench.plan.manifest import Manifest, read_manifest
from multiplex.bench.report import export, markdown
from multiplex.bench.report.answers import Units
from multiplex.bench.report.markdown import Section
from multiplex.bench.report.tables import Table, plain
from multiplex.bench.store.records import Record
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.evaluation.retention.masking import shipped_gazetteer
from multiplex.evaluation.statistics.summary import TONES, Estimate
from multiplex.present import svg
from multiplex.present.highlight import STYLE, clean, legend

MOST = 8  # lines of a list; a longer one is folded
POINTS = 500  # of one strategy in a scatter plot; more hide one another


_GREY = (
    '<p class="about">Grey: written by our own code and not measured. Faded: an echo of the question, not counted. '
    "A question opens its answers.</p>\n"
)


class Run(Protocol):
    """What a report reads of a `Store`."""

    @property
    def manifest(self) -> Manifest | None: ...

    def records(self, scoring: str | None = None) -> Iterator[Record]: ...

    def scorings(self) -> dict[str, str]: ...


def write_report(
    folder: Path,
    store: Run,
    analysis: Analysis,
    *,
    title: str,
    ratings: Ratings | None = None,
    beside: Sequence[Analysis] = (),
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv` and `results.jsonl` into the folder; returns their paths.

    The folder is made where it is missing. `beside` are the same answers under other frames.

    The units are read once and written as they come, so that memory does not grow with them but for a line each.

    Raises:
        MultiplexError: the disk refuses; no file is half written.
        ContentError: `eval/published.yaml` or a gazetteer is missing or wrong.
    """
    papers = published.load()
    described = store.scorings().get(analysis.scoring, "")
    manifest, unread = read_manifest(store)
    parts = markdown.sections(analysis, papers, manifest or unread, described, ratings, beside)
    paths = [folder / name for name in ("report.html", "report.md", "results.csv", "results.jsonl")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
    with ExitStack() as files:
        page, text, csv, lines = (files.enter_context(open_draft(path)) for path in paths)
        units = files.enter_context(Units(shipped_gazetteer().entities))
        table, cloud = export.Table(csv, analysis.frame), Cloud()
        for record in store.records(analysis.scoring if described else None):
            table.add(record)
            lines.write(export.as_line(record))
            units.add(record)
            cloud.add(record)
        text.write(markdown.as_markdown(analysis, parts, title, beside))
        page.write(_head(title))
        page.write(clean(_first(analysis, title, beside) + _contents(parts)))
        page.write(clean(_plots(analysis, papers, cloud)))
        for part in parts:
            page.write(clean(_section(part)))
        page.write(f'<h2 id="units">Every unit</h2>\n{legend()}\n{_GREY}')
        units.write(page)
        page.write("</body>\n</html>\n")
    return paths


class Cloud:
    """The points of the scatter plots: words and entropy of every answer that has one."""

    def __init__(self) -> None:
        self._points: dict[str, dict[str, list[tuple[float, float]]]] = {}

    def add(self, record: Record) -> None:
        """One unit."""
        measures = record.score.measures if record.score else None
        if measures is not None and measures.entropy is not None:
            of = self._points.setdefault(record.unit.model, {}).setdefault(record.unit.strategy, [])
            of.append((float(measures.words), measures.entropy))

    def points(self, model: str) -> list[svg.Point]:
        """Of a model, at most POINTS a strategy, taken at even steps."""
        return [
            svg.Point(strategy, words, entropy)
            for strategy, points in self._points.get(model, {}).items()
            for words, entropy in points[:: -(-len(points) // POINTS)]
        ]


def _head(title: str) -> str:
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(clean(title))}</title>\n<style>\n{STYLE}\n{style}</style>\n</head>\n<body>\n"
    )


def _first(analysis: Analysis, title: str, beside: Sequence[Analysis]) -> str:
    """What a reader sees before scrolling: the claim, its interval, what was compared, what it does not mean."""
    claims = "".join(_claim(claim, analysis) for claim in analysis.claims)
    if not analysis.claims:
        claims = '<p class="warning">Nothing can be claimed: no model has measured answers.</p>\n'
    limits = "".join(f"<li>{escape(line)}</li>" for line in markdown.limits(analysis, beside))
    strategies = markdown.strategies(analysis)
    listed = "".join(f"<li><strong>{name}</strong>: {escape(words)}</li>" for name, words in strategies)
    forests = "".join(_forest(analysis, model) for model in analysis.models)
    return (
        f'<header><h1 dir="auto">{escape(title)}</h1>\n<p>{escape(markdown.QUESTION)} '
        f"{escape(markdown.lede(analysis))}</p></header>\n"
        f'<div class="first"><div>\n{claims}<h2>What it does not mean</h2>\n<ul class="limits">{limits}</ul>\n'
        f'<details><summary>What the strategies do</summary><ul class="limits">{listed}</ul></details>\n</div>\n'
        f"<div>{forests}</div></div>\n"
    )


def _claim(claim: Claim, analysis: Analysis) -> str:
    kind = {True: " yes", False: " no", None: ""}[claim.holds]
    return (
        f'<div class="claim{kind}"><p class="model">{escape(claim.model)}</p>\n'
        f'<p class="verdict">{escape(markdown.verdict(claim))}</p>\n<p>{escape(markdown.told(claim))}</p>\n'
        f'<p class="about">{escape(markdown.compared(claim, analysis))}</p></div>\n'
    )


def _forest(analysis: Analysis, model: str) -> str:
    """Multiplex minus every other strategy."""
    found = [each for each in analysis.contrasts if each.primary and each.model == model]
    rows = [_row(f"minus {each.strategy}", each.strategy, each.difference) for each in found]
    if not rows:
        return ""
    ends = [value for row in rows for value in (row.value, row.low, row.high) if value is not None]
    along = svg.axis("percentage points of entropy", ends)
    return svg.intervals(
        f"{model}: entropy of multiplex minus that of each other strategy",
        rows,
        along,
        "Right of 0: multiplex spreads wider. Lines: 95% intervals over questions.",
    )


def _row(label: str, kind: str, of: Estimate, note: str = "") -> svg.Row:
    return svg.Row(label, kind, of.value, of.low, of.high, note)


def _contents(parts: Sequence[Section]) -> str:
    links = [("plots", "Plots"), *((part.anchor, part.title) for part in parts), ("units", "Every unit")]
    listed = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name in links)
    return f'<nav aria-label="Contents"><ul>{listed}</ul></nav>\n'


def _plots(analysis: Analysis, papers: Sequence[Paper], cloud: Cloud) -> str:
    made = ['<h2 id="plots">Plots</h2>\n', f'<p class="about">{escape(markdown.frame_line(analysis))}</p>\n']
    for model in analysis.models:
        arms = [arm for arm in analysis.arms if arm.model == model and arm.measured]
        if len(analysis.models) > 1:
            made.append(f"<h3>{escape(model)}</h3>\n")
        if not arms:
            made.append('<p class="warning">No answer of this model was measured.</p>\n')
            continue
        drawn = [_entropy(arms, papers), _shares(arms, analysis.frame), *_tones(arms, analysis.frame)]
        drawn += [_words(cloud.points(model)), _domains(arms)]
        made.append(f'<div class="plots">{"".join(drawn)}</div>\n')
    return "".join(made)


def _entropy(arms: Sequence[Arm], papers: Sequence[Paper]) -> str:
    rows = [_row(arm.strategy, arm.strategy, arm.primary, f"n = {arm.references:,}:") for arm in arms]
    rows += [
        svg.Row(figure.theirs, "published", figure.value, note=f"{paper.arxiv}:")
        for paper in papers
        for figure in paper.figures
        if figure.measure == "entropy"
    ]
    about = (
        "mean0, by reference: an answer without one counts 0; n: references. Lines: 95% intervals over questions. "
        "Diamonds: the papers' figures, by arXiv number, of other models, a convention and an extractor not known."
    )
    perspectives = len(arms[0].weightings["reference"].shares)
    along = svg.percent(f"entropy, % of an even spread over {perspectives}")
    return svg.intervals("Entropy", rows, along, about)


def _shares(arms: Sequence[Arm], frame: Sequence[str]) -> str:
    stacks = [
        svg.Stack(
            arm.strategy,
            {name: of.value or 0.0 for name, of in arm.weightings["reference"].shares.items()}
            if arm.references
            else {},
            f"n = {arm.references:,} references",
        )
        for arm in arms
    ]
    return svg.shares(
        "Shares of the perspectives", stacks, frame, "By reference, all answers together; each bar is 100%."
    )


def _tones(arms: Sequence[Arm], frame: Sequence[str]) -> list[str]:
    toned = [arm for arm in arms if arm.sentiment]
    if not toned:
        return []
    stacks = [
        svg.Stack(arm.strategy, {tone: of.value or 0.0 for tone, of in (arm.sentiment or {}).items()}) for arm in toned
    ]
    stances: dict[str, Mapping[str, float]] = {
        plain(name): {arm.strategy: net for arm in toned if (net := _net(arm.stance.get(name))) is not None}
        for name in frame
    }
    values = [value for row in stances.values() for value in row.values()]
    along = svg.axis("mean probability of positive minus negative", values)
    return [
        svg.tones(
            "Sentiment", stacks, "Mean probabilities over answers; each bar is 100%. More positive is not better."
        ),
        svg.dots("Stance", stances, along, "The tone of the sentences that refer to a perspective."),
    ]


def _net(tones: Mapping[str, Estimate] | None) -> float | None:
    values = [tones[tone].value for tone in (TONES[0], TONES[-1])] if tones else []
    return values[0] - values[1] if values and values[0] is not None and values[1] is not None else None


def _words(points: Sequence[svg.Point]) -> str:
    if not points:
        return ""
    across = svg.axis("words of the answer", [point.x for point in points])
    about = "A marker an answer, those without a reference left out: longer answers have more room for references."
    if any(sum(point.kind == kind for point in points) >= POINTS // 2 + 1 for kind in {p.kind for p in points}):
        about += f" At most {POINTS} of a strategy are drawn, at even steps."
    return svg.scatter("Entropy against length", points, across, svg.percent("entropy, %"), about)


def _domains(arms: Sequence[Arm]) -> str:
    names = list(dict.fromkeys(group.name for arm in arms for group in arm.domains))
    if not names:
        return ""
    values = {
        name: {arm.strategy: next((g.mean0.value for g in arm.domains if g.name == name), None) for arm in arms}
        for name in names
    }
    return svg.heat(
        "Entropy by domain", values, 100.0, f"mean0, percent; the stronger the colour, the larger. {_few(arms)}"
    )


def _few(arms: Sequence[Arm]) -> str:
    """On how many questions the cells stand."""
    counts = [group.questions for arm in arms for group in arm.domains]
    least, most = min(counts), max(counts)
    return f"{least} to {most} questions a cell." if least < most else f"Questions a cell: {least}."


def _section(part: Section) -> str:
    made = [f'<h2 id="{part.anchor}">{escape(part.title)}</h2>\n']
    made += [_table(table) for table in part.tables]
    for lead, listed in part.lists:
        items = f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in listed)}</ul>"
        folded = f"<details><summary>{escape(lead)}</summary>{items}</details>\n"
        made.append(folded if len(listed) > MOST else f"<p>{escape(lead)}</p>\n{items}\n")
    return "".join(made)


def _table(table: Table) -> str:
    body = "".join(
        _group(name, rows, len(table.head), sum(1 for _, r in table.groups if r) > 1) for name, rows in table.groups
    )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    note = f'<p class="about">{escape(table.note)}</p>\n' if table.note else ""
    scrolled = (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>\n{note}"
    )
    if table.folded:
        return f"<details><summary>{escape(table.title)}</summary>\n{scrolled}</details>\n"
    return f"<h3>{escape(table.title)}</h3>\n{scrolled}"


def _group(name: str, rows: Sequence[Sequence[str]], width: int, named: bool) -> str:
    head = (
        f'<tr><th class="group" colspan="{width}" scope="rowgroup"><span>{escape(name)}</span></th></tr>\n'
        if named and rows
        else ""
    )
    return head + "".join(_line(row) for row in rows)


def _line(row: Sequence[str]) -> str:
    kind = ' class="multiplex"' if row[0] == "multiplex" else ""
    cells = "".join(f'<td class="words">{escape(c)}</td>' if len(c) > 30 else f"<td>{escape(c)}</td>" for c in row[1:])
    return f'<tr{kind}><th scope="row">{escape(row[0])}</th>{cells}</tr>\n'
