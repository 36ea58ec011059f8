"""The report of a run: one HTML page that loads nothing, the same in Markdown, results as CSV and JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from multiplex.bench.analysis import published
from multiplex.bench.analysis.model import Analysis, SuperiorityClaim
from multiplex.bench.analysis.ratings import Ratings
from multiplex.bench.plan.manifest import Manifest, read_manifest
from multiplex.bench.report import export, markdown, tables
from multiplex.bench.report.answers import Units
from multiplex.bench.report.markdown import Section
from multiplex.bench.report.plots import Cloud, draw_forests, draw_plots, write_figures
from multiplex.bench.store.records import Record
from multiplex.content import open_draft
from multiplex.errors import MultiplexError
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.present.drawing import Drawing
from multiplex.present.highlight import STYLE, legend
from multiplex.present.templates import render

MOST = 8  # lines of a list; a longer one is folded


class ReportSource(Protocol):
    """What a report reads of a `Store`."""

    @property
    def manifest(self) -> Manifest | None: ...

    def records(self, scoring: str | None = None) -> Iterator[Record]: ...

    def scorings(self) -> dict[str, str]: ...


def write_report(
    folder: Path,
    store: ReportSource,
    analysis: Analysis,
    *,
    title: str,
    ratings: Ratings | None = None,
    beside: Sequence[Analysis] = (),
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv`, `results.jsonl` and `figures/` into the folder; their paths.

    The folder is made where it is missing. `figures/` holds each figure of the page as SVG and PDF. `beside` are the
    same answers under other frames.

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
        table, cloud = export.CsvTable(csv, analysis.frame), Cloud(analysis.language)
        for record in store.records(analysis.scoring if described else None):
            table.add(record)
            lines.write(export.as_line(record))
            units.add(record)
            cloud.add(record)
        text.write(markdown.as_markdown(analysis, parts, title, beside))
        forests, plots = draw_forests(analysis), draw_plots(analysis, papers, cloud)
        page.write(_above_the_units(analysis, title, parts, beside, forests, plots))
        units.write(page)
        page.write("</body>\n</html>\n")
    drawn = [*forests, *(each for of_model in plots.values() for each in of_model)]
    write_figures(folder / "figures", drawn)
    return [*paths, folder / "figures"]


def _above_the_units(
    analysis: Analysis,
    title: str,
    parts: Sequence[Section],
    beside: Sequence[Analysis],
    forests: Sequence[Drawing],
    plots: Mapping[str, Sequence[Drawing]],
) -> str:
    """The page from its head to the heading of its units."""
    from markupsafe import Markup

    return render(
        Path(__file__).with_name("report.html.jinja"),
        title=title,
        style=Markup(f"{STYLE}\n{Path(__file__).with_name('report.css').read_text('utf-8')}"),  # noqa: S704  # our own
        question=markdown.QUESTION,
        lede=markdown.lede(analysis),
        claims=[_claim(claim, analysis) for claim in analysis.claims],
        spread_and_depth=tables.first(analysis),
        limits=markdown.limits(analysis, beside),
        strategies=markdown.strategies(analysis),
        forests=[Markup(each.as_html()) for each in forests],  # noqa: S704  # escaped where it was drawn
        frame=markdown.frame_line(analysis),
        plots=[(name, [Markup(each.as_html()) for each in drawn]) for name, drawn in plots.items()],  # noqa: S704
        parts=parts,
        most=MOST,
        legend=Markup(legend(cues=analysis.cues)),  # noqa: S704  # our own
    )


def _claim(claim: SuperiorityClaim, analysis: Analysis) -> dict[str, object]:
    return {
        "model": claim.model,
        "holds": claim.holds,
        "verdict": markdown.verdict(claim),
        "text": markdown.describe_claim(claim),
        "compared": markdown.compared(claim, analysis),
    }
