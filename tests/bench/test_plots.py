"""Figures: every value stands where it belongs, in words too, and foreign text cannot leave its place."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from multiplex.bench.plan.units import STRATEGIES
from multiplex.bench.report import plots
from multiplex.present import figures
from multiplex.present.drawing import Drawing
from multiplex.present.figures import Axis, Point, Row, Stack

HOSTILE = "</text><script>alert(1)</script>\" onload='x' $\\frac\x00"
POINTS = Axis("points")


def field(of: Drawing) -> Axes:
    axes = of.draw().axes[0]
    assert isinstance(axes, Axes)
    return axes


def marked(of: Drawing) -> list[tuple[float, float]]:
    """Where the markers stand."""
    return [
        (float(x), float(y))
        for line in field(of).lines
        if line.get_marker() not in ("None", "|", "")
        for x, y in line.get_xydata()  # type: ignore[union-attr]
    ]


def texts(of: Drawing) -> list[str]:
    tag = "{http://www.w3.org/2000/svg}text"
    return ["".join(text.itertext()) for text in ElementTree.fromstring(of.svg).iter(tag)]  # noqa: S314  # our own


def intervals(*rows: Row, along: Axis = POINTS) -> Drawing:
    return figures.draw_intervals("name", "Title", rows, along, "About")


def shares(*stacks: Stack) -> Drawing:
    return figures.draw_shares("shares", "Shares", stacks, ("western", "african"), "")


def test_a_bar_is_as_long_as_its_shares_and_one_of_nothing_says_so() -> None:
    of = shares(Stack("multiplex", {"western": 0.25, "african": 0.75}), Stack("uniplex", {}))
    bars = [(bar.get_x(), bar.get_width()) for held in field(of).containers for bar in held]  # type: ignore[attr-defined]
    assert bars == [(0.0, 25.0), (25.0, 75.0)]
    assert {"We 25%", "Af 75%", "nothing to show"} <= set(texts(of))
    assert of.words == "multiplex: western 25%, african 75%; uniplex: nothing."


def test_a_marker_stands_at_its_value_and_a_figure_that_does_not_exist_is_no_zero() -> None:
    of = intervals(Row("minus solo-council", "solo-council", 10.0, -2.0, 20.0), Row("uniplex", "uniplex", None))
    assert (10.0, 0.0) in marked(of)
    assert not any(y == 1.0 for _, y in marked(of))
    assert {"10.0 [−2.0, 20.0]", "does not exist"} <= set(texts(of))
    assert of.words == "minus solo-council: 10.0, 95% interval −2.0 to 20.0; uniplex: does not exist."


@pytest.mark.parametrize("values", [[0.0], [7.0, 7.0], [0.003], [-83.0, 12.0], [123456.0]])
def test_an_axis_has_round_ticks_that_hold_every_value_and_nought(values: Sequence[float]) -> None:
    axes = field(intervals(*(Row("a", "uniplex", value) for value in values)))
    low, high = axes.get_xlim()
    assert low <= min(0.0, *values, 0.0)
    assert max(0.0, *values, 0.0) <= high
    assert 2 <= len(axes.get_xticks()) <= 8


def test_points_dots_and_cells_stand_at_their_values_and_a_missing_one_is_a_dash() -> None:
    cloud = figures.draw_scatter("a", "", [Point("uniplex", 50.0, 75.0)], Axis("words"), figures.percent("%"), "")
    assert marked(cloud) == [(50.0, 75.0)]
    stance = {"african": {"uniplex": -0.25, "multiplex": -0.25}, "western": {}}
    dots = figures.draw_dots("b", "", stance, Axis("points"), "")
    (x, y), (other_x, other_y) = marked(dots)
    assert x == other_x == -0.25
    assert y != other_y  # neither hides the other
    assert dots.words == "african: uniplex −0.25, multiplex −0.25; western: nothing."
    heat = figures.draw_heat("c", "", {"Religious": {"multiplex": 90.0, "uniplex": None}}, 100.0, "")
    assert {"90", "–"} <= set(texts(heat))
    assert heat.words == "Religious: multiplex 90, uniplex none."


def test_a_field_of_cells_has_room_for_every_head() -> None:
    axes = field(figures.draw_heat("c", "", {"Cultural Norms": dict.fromkeys(STRATEGIES, 90.0)}, 100.0, ""))
    whole = axes.figure.bbox
    for label in axes.get_xticklabels():
        at = label.get_window_extent()
        assert whole.x0 <= at.x0 < at.x1 <= whole.x1
        assert whole.y0 <= at.y0 < at.y1 <= whole.y1


def test_foreign_text_is_text_wherever_it_stands() -> None:
    for of in (
        intervals(Row(HOSTILE, HOSTILE, 1.0, 0.0, 2.0, HOSTILE), along=Axis(HOSTILE)),
        figures.draw_shares("a", HOSTILE, [Stack(HOSTILE, {"western": 1.0}, HOSTILE)], ("western",), HOSTILE),
        figures.draw_dots("a", HOSTILE, {HOSTILE: {HOSTILE: 0.1}}, Axis(HOSTILE), HOSTILE),
        figures.draw_scatter("a", HOSTILE, [Point(HOSTILE, 1.0, 1.0)], POINTS, Axis(HOSTILE), HOSTILE),
        figures.draw_heat("a", HOSTILE, {HOSTILE: {HOSTILE: 1.0}}, 1.0, HOSTILE),
    ):
        found = ElementTree.fromstring(of.as_html().replace("\x00", "").replace("<br>", "<br/>"))  # noqa: S314
        assert not [
            element for element in found.iter() if element.tag.rpartition("}")[2] in ("script", "style", "metadata")
        ]
        assert not any(name.startswith("on") for element in found.iter() for name in element.attrib)
        assert any("</text><script>" in text for text in texts(of))


def test_every_strategy_has_a_marker_of_its_own() -> None:
    assert set(figures.MARKERS) == set(STRATEGIES)
    assert len({*figures.MARKERS.values(), figures.OTHER}) == len(STRATEGIES) + 1


def test_figures_are_files_with_the_same_bytes_each_time_described_and_with_fonts_embedded(tmp_path: Path) -> None:
    svg, pdf = plots.write_figures(tmp_path / "figures", [intervals(Row("multiplex", "multiplex", 1.0))])
    again = plots.write_figures(tmp_path, [intervals(Row("multiplex", "multiplex", 1.0))])
    assert [path.name for path in (svg, pdf)] == ["name.svg", "name.pdf"]
    assert [path.read_bytes() for path in (svg, pdf)] == [path.read_bytes() for path in again]
    assert pdf.read_bytes().startswith(b"%PDF")
    assert b"/FontFile2" in pdf.read_bytes()
    root = ElementTree.fromstring(svg.read_text("utf-8"))  # noqa: S314  # our own
    title, desc = list(root)[:2]
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert (title.text, desc.text) == ("Title", "multiplex: 1.0.")
