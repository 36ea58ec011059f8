"""The report of a run: one HTML page that loads nothing, the same in Markdown, results as CSV and JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Protocol

from multiplex.bench.analysis import published
from multiplex.bench.analysis.model import Analysis, SuperiorityClaim
from multiplex.bench.analysis.ratings import Ratings
from multiplex.bench.plan.manifest import Manifest, read_manifest
from multiplex.bench.report import export, markdown
from multiplex.bench.report.answers import Units
from multiplex.bench.report.markdown import Section
from multiplex.bench.report.plots import Cloud, draw_forests, draw_plots, write_figures
from multiplex.bench.report.tables import Table
from multiplex.bench.store.records import Record
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.evaluation.retention.masking import shipped_gazetteer
from multiplex.present.drawing import Drawing
from multiplex.present.highlight import STYLE, clean, legend

MOST = 8  # lines of a list; a longer one is folded


_GREY = (
    '<p class="about">Grey: written by our own code and not measured. Faded: an echo of the question, not counted. '
    "A question opens its answers.</p>\n"
)


class ReportSource(Protocol):
    """What a report reads of a `Store`."""

    @property
    def manifest(self) -> Manifest | None: ...

    def records(self, scoring: str | None = None) -> Iterator[Record]: ...

    def scorings(self) -> dict[str, str]: ...


def write_report(
    folder: Path, store: ReportSource, analysis: Analysis, *, title: str, ratings: Ratings | None = None
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv`, `results.jsonl` and `figures/` into the folder; their paths.

    The folder is made where it is missing. `figures/` holds each figure of the page as SVG and PDF.

    The units are read once and written as they come, so that memory does not grow with them but for a line each.

    Raises:
        MultiplexError: the disk refuses; no file is half written.
        ContentError: `eval/published.yaml` or a gazetteer is missing or wrong.
    """
    papers = published.load()
    described = store.scorings().get(analysis.scoring, "")
    manifest, unread = read_manifest(store)
    parts = markdown.sections(analysis, papers, manifest or unread, described, ratings)
    paths = [folder / name for name in ("report.html", "report.md", "results.csv", "results.jsonl")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
    with ExitStack() as files:
        page, text, csv, lines = (files.enter_context(open_draft(path)) for path in paths)
        units = files.enter_context(Units(shipped_gazetteer().entities))
        table, cloud = export.CsvTable(csv, analysis.frame), Cloud()
        for record in store.records(analysis.scoring if described else None):
            table.add(record)
            lines.write(export.as_line(record))
            units.add(record)
            cloud.add(record)
        text.write(markdown.as_markdown(analysis, parts, title))
        page.write(_head(title))
        forests, plots = draw_forests(analysis), draw_plots(analysis, papers, cloud)
        page.write(clean(_first(analysis, title, forests) + _contents(parts)))
        page.write(clean(_plots(analysis, plots)))
        for part in parts:
            page.write(clean(_section(part)))
        page.write(f'<h2 id="units">Every unit</h2>\n{legend()}\n{_GREY}')
        units.write(page)
        page.write("</body>\n</html>\n")
    drawn = [*forests, *(each for of_model in plots.values() for each in of_model)]
    return [*paths, *write_figures(folder / "figures", drawn)]


def _head(title: str) -> str:
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(clean(title))}</title>\n<style>\n{STYLE}\n{style}</style>\n</head>\n<body>\n"
    )


def _first(analysis: Analysis, title: str, forests: Sequence[Drawing]) -> str:
    """What a reader sees before scrolling: the claim, its interval, what was compared, what it does not mean."""
    claims = "".join(_claim(claim, analysis) for claim in analysis.claims)
    if not analysis.claims:
        claims = '<p class="warning">Nothing can be claimed: no model has measured answers.</p>\n'
    limits = "".join(f"<li>{escape(line)}</li>" for line in markdown.limits(analysis))
    strategies = markdown.strategies(analysis)
    listed = "".join(f"<li><strong>{name}</strong>: {escape(words)}</li>" for name, words in strategies)
    return (
        f'<header><h1 dir="auto">{escape(title)}</h1>\n<p>{escape(markdown.QUESTION)} '
        f"{escape(markdown.lede(analysis))}</p></header>\n"
        f'<div class="first"><div>\n{claims}<h2>What it does not mean</h2>\n<ul class="limits">{limits}</ul>\n'
        f'<details><summary>What the strategies do</summary><ul class="limits">{listed}</ul></details>\n</div>\n'
        f"<div>{''.join(each.as_html() for each in forests)}</div></div>\n"
    )


def _claim(claim: SuperiorityClaim, analysis: Analysis) -> str:
    kind = {True: " yes", False: " no", None: ""}[claim.holds]
    return (
        f'<div class="claim{kind}"><p class="model">{escape(claim.model)}</p>\n'
        f'<p class="verdict">{escape(markdown.verdict(claim))}</p>\n<p>{escape(markdown.describe_claim(claim))}</p>\n'
        f'<p class="about">{escape(markdown.compared(claim, analysis))}</p></div>\n'
    )


def _contents(parts: Sequence[Section]) -> str:
    links = [("plots", "Plots"), *((part.anchor, part.title) for part in parts), ("units", "Every unit")]
    listed = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name in links)
    return f'<nav aria-label="Contents"><ul>{listed}</ul></nav>\n'


def _plots(analysis: Analysis, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    made = ['<h2 id="plots">Plots</h2>\n', f'<p class="about">{escape(markdown.frame_line(analysis))}</p>\n']
    for model in analysis.models:
        if len(analysis.models) > 1:
            made.append(f"<h3>{escape(model)}</h3>\n")
        if drawings[model]:
            made.append(f'<div class="plots">{"".join(each.as_html() for each in drawings[model])}</div>\n')
        else:
            made.append('<p class="warning">No answer of this model was measured.</p>\n')
    return "".join(made)


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
