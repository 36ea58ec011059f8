"""The report: the claim first, every unit once, nothing of a model's text alive, and memory flat."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from multiplex.bench.analysis import published
from multiplex.bench.plan.manifest import Manifest
from multiplex.bench.plan.units import CONTROLS
from multiplex.bench.report import contrast_tables, markdown
from multiplex.bench.report.page import write_report
from multiplex.bench.store.records import Record
from multiplex.bench.store.store import Store
from multiplex.errors import ContentError, MultiplexError
from multiplex.present.drawing import Drawing
from multiplex.present.highlight import COLOURS
from multiplex.present.result import CONSTRUCTIONS
from multiplex.text.markdown import escape_markdown
from tests.bench import synthetic

VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would make of the page: its elements, their attributes, its text, and what is left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report."""
    folder = tmp_path_factory.mktemp("runs") / "name"
    synthetic.stored(folder, synthetic.records())
    with Store.read(folder) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawing, "as_pdf", lambda _: b"%PDF")  # slow, and tested by itself
        made = write_report(folder, store, synthetic.analysis(store.records()), title="<i>name</i>")
    assert [path.name for path in made] == ["report.html", "report.md", "results.csv", "results.jsonl", "figures"]
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert {"entropy-1-small.svg", "entropy-2-openai-b-large-x-b.pdf"} <= drawn
    assert {Path(name).suffix for name in drawn} == {".svg", ".pdf"}
    return folder


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


def test_the_first_screen_tells_the_claim_what_was_compared_and_what_it_does_not_mean(html: str) -> None:
    first = " ".join(Page(html.split("<nav")[0]).text)
    analysis = synthetic.analysis(synthetic.records())
    assert len(analysis.claims) == 2
    for claim in analysis.claims:
        assert markdown.verdict(claim) in first
        assert markdown.describe_claim(claim) in first
        assert claim.least is not None
        assert "95% interval" in first
        assert f"with: uniplex, {', '.join(claim.tested)}." in first
        assert all(name in first.split("What the strategies do")[0] for name in set(CONTROLS) & set(claim.absent))
    assert CONSTRUCTIONS in first
    assert "Of 48 units: 1 failed, 1 pending" in first
    assert "one answer lacks at least one voice" in first


def test_nothing_that_a_model_wrote_is_alive(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.elements["script"] == page.elements["img"] == page.elements["b"] == page.elements["i"] == 0
    assert page.elements["article"] == 48
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert [value for _, name, value in page.attributes if name in ("src", "href") and not value.startswith("#")] == []
    assert "url(" not in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert "\x00" not in html
    shown = "".join(page.text)
    assert synthetic.HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}") in shown
    assert "openai:<b>large|x</b>" in shown
    assert "<i>name</i>" in shown


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No files of figures, which take most of the time of a report."""
    monkeypatch.setattr("multiplex.bench.report.page.write_figures", lambda *_: [])


@pytest.mark.usefixtures("undrawn")
def test_every_unit_stands_once_under_its_question_whatever_the_order(tmp_path: Path) -> None:
    whole = synthetic.units()
    late = tuple(sorted(whole, key=lambda unit: unit.strategy == "checklist"))  # as where a run was extended
    synthetic.stored(tmp_path, (synthetic.scored(unit, synthetic.answer(unit)) for unit in late))
    with Store.read(tmp_path) as store:
        write_report(tmp_path, store, synthetic.analysis(store.records()), title="late")
    page = (tmp_path / "report.html").read_text("utf-8")
    ids = [each for each in Page(page).ids if each.startswith("u-")]
    assert sorted(ids) == sorted(f"u-{unit.id}" for unit in whole)
    first = page.split('<details class="question"')[1]
    wanted = [unit for unit in whole if unit.question_id == whole[0].question_id]  # by model, then strategy
    places = [first.index(f'id="u-{unit.id}"') for unit in wanted]
    assert places == sorted(places)
    assert "8 answers" in first


def test_losses_are_named_where_they_happened(html: str) -> None:
    shown = unescape("".join(Page(html).text))
    assert "No answer: timeout." in shown
    assert "Pending: not answered yet." in shown
    assert "Lost voice, african: timeout: no reply" in shown
    assert "1 of 2 voices" in shown
    assert "1 (timeout 1)" in shown
    assert "=cut off" in shown


def test_references_are_coloured_and_a_text_from_right_to_left_keeps_its_direction(html: str) -> None:
    assert f'data-code="{COLOURS["african"][1]}" title="african, concept, ubuntu' in html
    assert f'<div class="text" dir="auto">{synthetic.RTL}</div>' in html


def test_markdown_tells_the_same_and_no_foreign_text_breaks_its_tables(folder: Path) -> None:
    text = (folder / "report.md").read_text("utf-8")
    assert "openai:\\<b\\>large\\|x\\</b\\>" in text
    for line in text.splitlines():
        assert "<" not in line.replace("\\<", "")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) > 10
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    analysis = synthetic.analysis(synthetic.records())
    assert all(escape_markdown(markdown.describe_claim(claim)) in text for claim in analysis.claims)


def test_the_papers_figures_stand_beside_ours_with_what_is_unknown(html: str) -> None:
    papers = published.load()
    values = {
        (paper.arxiv, figure.measure, figure.strategy): figure.value for paper in papers for figure in paper.figures
    }
    assert values["2505.09595", "entropy", "uniplex"] == 13
    assert values["2505.09595", "entropy", "multiplex"] == 94
    assert values["2505.09595", "positive", "multiplex"] == 67.7
    assert values["2501.03259", "entropy", "uniplex"] == 3.25
    assert values["2501.03259", "entropy", "multiplex"] == 98
    shown = "".join(Page(html).text)
    assert all(line in shown for paper in papers for line in paper.unknown)
    analysis = synthetic.analysis(synthetic.records())
    (_, rows), _ = contrast_tables.beside(analysis, papers).groups
    condition = analysis.condition("small", "multiplex")
    assert condition is not None
    assert f"macro0 {condition.primary.value:.1f}" in rows[1][4]


def test_a_paper_without_its_unknowns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.yaml"
    whole = "- {id: a, paper: b, authors: c, source: d, arxiv: '1', url: e, figures: [], known: [], unknown: []}"
    path.write_text(whole)
    with pytest.raises(ContentError, match=r"published\.yaml:1: 0\.unknown"):
        published.load(path)


@pytest.mark.usefixtures("undrawn")
def test_the_report_holds_no_more_than_a_few_records_at_once(tmp_path: Path) -> None:
    seen: list[weakref.ref[Record]] = []
    most = 0

    class Streamed:
        manifest: Manifest | None = None

        def scorings(self) -> dict[str, str]:
            return {}

        def records(self, _: str | None = None) -> Iterator[Record]:
            nonlocal most
            for record in synthetic.records():
                seen.append(weakref.ref(record))
                gc.collect()
                most = max(most, sum(each() is not None for each in seen))
                yield record

    analysis = synthetic.analysis(synthetic.records())
    gc.freeze()  # what is there already need not be searched 48 times
    try:
        write_report(tmp_path, Streamed(), analysis, title="streamed")
    finally:
        gc.unfreeze()
    assert len(seen) == 48
    assert most <= 3


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    synthetic.stored(tmp_path, synthetic.records())
    with (
        Store.read(tmp_path) as store,
        pytest.raises(MultiplexError, match=r"run\.sqlite/none: cannot be made: Not a directory"),
    ):
        write_report(tmp_path / "run.sqlite" / "none", store, synthetic.analysis(store.records()), title="none")
