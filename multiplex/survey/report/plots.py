"""The plots of a survey's report, drawn by matplotlib as SVG that loads nothing.

Colour is never alone: labels and markers say the same. Every plot has its values in a table of the report.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any

from multiplex.bench.report.tables import plain
from multiplex.present.highlight import COLOURS
from multiplex.survey.countries import find_country
from multiplex.survey.report.words import first_round
from multiplex.survey.results import Results

WIDE = 40  # columns of the matrix up to which they are drawn wide
GREY = "#888888"


def plots(results: Results, model: str) -> str:
    """Every plot of a model that has something to show, each a `<figure>`."""
    drawn = [profile_plot(results, model), matrix_plot(results, model), spread_plot(results, model)]
    return "".join([*drawn, dot_plot(results, model)])


def profile_plot(results: Results, model: str) -> str:
    """Each persona's r beside the human ceiling."""
    rows = [profile for profile in first_round(results, model) if profile.r is not None]
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        for place, each in enumerate(reversed(rows)):
            axes.plot(each.r, place, "o", color=_colour(each.perspective), markeredgecolor="black", markersize=8)
            if each.ceiling is not None:
                axes.plot(each.ceiling, place, "|", color="black", markersize=18, markeredgewidth=2)
                axes.plot([each.r, each.ceiling], [place, place], ":", color=GREY, linewidth=1)
        axes.set_yticks(range(len(rows)), [plain(each.perspective or "") for each in reversed(rows)])
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlim(-1, 1)
        axes.set_xlabel("r with the people of its own perspective")

    about = "Dots: the voices. Upright lines: what people of one country reach with the others of the perspective."
    return _figure("Profiles against the human ceiling", about, draw, (7, 0.5 + 0.45 * len(rows)))


def matrix_plot(results: Results, model: str) -> str:
    """Voices by countries: r of each pair of profiles."""
    rows = [profile for profile in first_round(results, model) if profile.by_country]
    if not rows:
        return ""
    codes = sorted(rows[0].by_country, key=lambda code: (find_country(code).perspective or "~", code))

    step = 0.32 if len(codes) <= WIDE else 0.16  # inches a column

    def draw(axes: Any) -> None:
        import numpy as np

        values = np.array([[p.by_country[code] for code in codes] for p in rows], dtype=np.float64)
        edges = np.arange(len(codes) + 1) - 0.5, np.arange(len(rows) + 1) - 0.5
        axes.pcolormesh(*edges, values, cmap="RdBu", vmin=-1, vmax=1)  # paths: a page's policy lets no image in
        axes.invert_yaxis()
        axes.set_xticks(range(len(codes)), codes, rotation=90, fontsize=8 if len(codes) <= WIDE else 6)
        axes.set_yticks(range(len(rows)), [plain(each.perspective or "") for each in rows])
        for i, each in enumerate(rows):
            for j, code in enumerate(codes):
                if find_country(code).perspective == each.perspective:
                    axes.add_patch(_box(j, i))
        if len(codes) <= 20:
            for i, j in np.ndindex(values.shape):
                if not np.isnan(values[i, j]):
                    axes.text(j, i, f"{values[i, j]:.1f}", ha="center", va="center", fontsize=7)

    about = (
        "r of each voice's profile with each country's people: blue agrees, red disagrees; boxed, its own perspective."
    )
    return _figure("Identification", about, draw, (max(6.0, 2 + step * len(codes)), 1.2 + 0.4 * len(rows)))


def spread_plot(results: Results, model: str) -> str:
    """Diversity bars with people's line."""
    rows = [each for each in results.spreads if each.model == model and each.diversity is not None]
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        labels = [each.kind + (f", round {each.round}" if each.kind == "personas" else "") for each in rows]
        axes.barh(range(len(rows)), [each.diversity for each in rows], color="#77aadd", edgecolor="black")
        for place, each in enumerate(rows):
            if each.people is not None:
                axes.plot([each.people] * 2, [place - 0.4, place + 0.4], color="black", linewidth=2.5)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_xlim(0, max(1.0, *(max(each.diversity or 0, each.people or 0) for each in rows)) * 1.1)
        axes.set_xlabel("100 × mean distance between two voices")

    about = "Bars: how far the voices lie apart. Upright lines: how far their people do."
    return _figure("How far voices lie apart", about, draw, (7, 0.8 + 0.5 * len(rows)))


def dot_plot(results: Results, model: str) -> str:
    """Voices and countries in two dimensions."""
    rows = results.places.get(model, ())
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        for each in rows:
            voice = each.kind == "persona"
            axes.plot(
                each.x, each.y, "D" if voice else "o", color=_colour(each.perspective), markersize=9 if voice else 5,
                markeredgecolor="black", markeredgewidth=1.2 if voice else 0.4,
            )  # fmt: skip
            name = plain(each.label) if voice else each.label
            weight = "bold" if voice else "normal"
            axes.annotate(name, (each.x, each.y), (4, 3), textcoords="offset points", fontsize=8, fontweight=weight)
        axes.set_xlabel("first principal component of the countries' profiles")
        axes.set_ylabel("second")

    about = "Diamonds: voices. Dots: the people of countries. Near means that they stand out on the same questions."
    return _figure("Voices and people", about, draw, (8, 6))


def _figure(title: str, about: str, draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.family": "sans-serif"}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    svg = text[text.index("<svg") :]
    name = f' role="img" aria-label="{escape(title)}: {escape(about)}"'
    return (
        f'<figure><figcaption><h3>{escape(title)}</h3><p class="about">{escape(about)}</p></figcaption>'
        f'<div class="drawn">{svg.replace("<svg", f"<svg{name}", 1)}</div></figure>\n'
    )


def _box(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=2)


def _colour(perspective: str | None) -> str:
    return COLOURS[perspective][0] if perspective is not None and perspective in COLOURS else GREY
