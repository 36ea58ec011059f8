"""Plots: every value stands where it belongs, in letters too, and foreign text cannot leave its place."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from multiplex.bench.plan.units import STRATEGIES
from multiplex.present import svg
from multiplex.present.svg import Axis, Point, Row, Stack

HOSTILE = "</text><script>alert(1)</script>\" onload='x"


def drawn(figure: str) -> ElementTree.Element:
    """The figure, which must be well-formed: a text that is not escaped breaks it."""
    return ElementTree.fromstring(figure.replace("<br>", "<br/>"))  # noqa: S314  # our own


def percent(value: str | None) -> float:
    assert value is not None
    assert value.endswith("%")
    return float(value[:-1])


def texts(figure: str) -> list[str]:
    return ["".join(text.itertext()) for text in drawn(figure).iter("text")]


def told(figure: str) -> str:
    return next(svg.get("aria-label", "") for svg in drawn(figure).iter("svg") if svg.get("role") == "img")


def test_a_bar_is_as_long_as_its_shares_and_its_letters_name_them() -> None:
    figure = svg.shares("Shares", [Stack("multiplex", {"western": 0.25, "african": 0.75})], ("western", "african"), "")
    bars = [rect for rect in drawn(figure).iter("rect") if rect.get("class") == "part"]
    assert [(percent(bar.get("x")), percent(bar.get("width"))) for bar in bars] == [(0.0, 25.0), (25.0, 75.0)]
    assert {"We 25%", "Af 75%"} <= set(texts(figure))
    assert told(figure) == "Shares. multiplex: western 25%, african 75%."


def test_a_bar_of_nothing_says_so() -> None:
    figure = svg.shares("Shares", [Stack("uniplex", {})], ("western", "african"), "")
    assert "nothing to show" in texts(figure)
    assert "uniplex: nothing" in told(figure)


def test_a_marker_stands_at_its_value_between_the_ends_of_its_interval() -> None:
    along = svg.axis("points", [-10.0, 30.0])
    assert (along.low, along.high) == (-10.0, 30.0)
    figure = svg.intervals("Difference", [Row("minus uniplex", "uniplex", 10.0, 0.0, 20.0)], along, "")
    whisker = next(group for group in drawn(figure).iter("g") if "whisker" in (group.get("class") or ""))
    line, marker = next(whisker.iter("line")), next(whisker.iter("svg"))
    assert [percent(each) for each in (line.get("x1"), marker.get("x"), line.get("x2"))] == [25.0, 50.0, 75.0]
    assert "10.0 [0.0, 20.0]" in texts(figure)
    assert "minus uniplex: 10.0, 95% interval 0.0 to 20.0" in told(figure)


def test_a_figure_that_does_not_exist_is_no_zero() -> None:
    figure = svg.intervals("Entropy", [Row("uniplex", "uniplex", None)], svg.percent("%"), "")
    assert "does not exist" in texts(figure)
    assert not any("whisker" in (group.get("class") or "") for group in drawn(figure).iter("g"))


def test_only_an_axis_that_crosses_zero_has_a_heavy_line_there() -> None:
    def heavy(along: Axis) -> list[float]:
        figure = svg.intervals("", [Row("a", "uniplex", 5.0)], along, "")
        return [percent(line.get("x1")) for line in drawn(figure).iter("line") if line.get("class") == "grid zero"]

    assert heavy(svg.axis("points", [-10.0, 30.0])) == [25.0]
    assert heavy(svg.axis("points", [4.0, 9.0], zero=False)) == []


@pytest.mark.parametrize("values", [[0.0], [], [7.0, 7.0], [0.003], [-83.0, 12.0], [123456.0]])
def test_an_axis_has_two_to_eight_round_ticks_that_hold_every_value(values: list[float]) -> None:
    along = svg.axis("x", values)
    assert 2 <= len(along.ticks) <= 8
    assert all(along.low <= value <= along.high for value in [*values, 0.0])
    assert (along.ticks[0], along.ticks[-1]) == (along.low, along.high)


def test_a_point_lies_at_its_words_and_its_entropy() -> None:
    figure = svg.scatter("", [Point("uniplex", 50.0, 75.0)], svg.axis("words", [100.0]), svg.percent("entropy"), "")
    cloud = next(group for group in drawn(figure).iter("g") if "cloud" in (group.get("class") or ""))
    marker = next(cloud.iter("svg"))
    assert percent(marker.get("x")) == 50.0
    assert float(marker.get("y", "")) == pytest.approx(80.0)  # a quarter down a field of 320


def test_a_cell_holds_its_number_and_one_without_a_value_a_dash() -> None:
    figure = svg.heat("", {"Religious": {"multiplex": 90.0, "uniplex": None}}, 100.0, "")
    depths = [float(r.get("fill-opacity", "")) for r in drawn(figure).iter("rect") if r.get("class") == "cell"]
    assert depths[0] > 0.5
    assert depths[1] == 0.0
    assert {"90", "–"} <= set(texts(figure))
    assert "multiplex 90, uniplex none" in told(figure)


def test_dots_are_told_in_words_with_their_sign() -> None:
    figure = svg.dots("Stance", {"african": {"uniplex": -0.25, "multiplex": 0.5}}, svg.axis("", [-1.0, 1.0]), "")
    assert "african: uniplex −0.25, multiplex +0.50" in told(figure)


def test_foreign_text_is_escaped_wherever_it_stands() -> None:
    for figure in (
        svg.intervals(HOSTILE, [Row(HOSTILE, HOSTILE, 1.0, 0.0, 2.0, HOSTILE)], svg.percent(HOSTILE), HOSTILE),
        svg.shares(HOSTILE, [Stack(HOSTILE, {"western": 1.0}, HOSTILE)], ("western",), HOSTILE),
        svg.dots(HOSTILE, {HOSTILE: {HOSTILE: 0.1}}, svg.axis(HOSTILE, [1.0]), HOSTILE),
        svg.scatter(HOSTILE, [Point(HOSTILE, 1.0, 1.0)], svg.axis("x", [1.0]), svg.percent("y"), HOSTILE),
        svg.heat(HOSTILE, {HOSTILE: {HOSTILE: 1.0}}, 1.0, HOSTILE),
    ):
        found = drawn(figure)
        assert not list(found.iter("script"))
        assert not any(name.startswith("on") for element in found.iter() for name in element.attrib)


def test_every_strategy_has_a_marker_of_its_own() -> None:
    assert set(svg.SHAPES) == set(STRATEGIES)
    assert len({*svg.SHAPES.values(), svg.OTHER}) == len(STRATEGIES) + 1
