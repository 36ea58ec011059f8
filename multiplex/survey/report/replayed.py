"""The replayed table on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiplex.bench.report.tables import plain
from multiplex.present.numbers import number
from multiplex.survey.replay import Replay, ReplayRow

if TYPE_CHECKING:
    from rich.console import Console


def print_replay(found: Replay, console: Console) -> None:
    """Print people, baselines and models, what the columns mean, and what was left out."""
    from rich.text import Text

    from multiplex.text.console import make_table, print_table

    head = ("", "n", "align", "diversity", "tree", "r", "rest r", "ord. r", "own")
    table = make_table(head, padding=(0, 1, 0, 0))
    for row in (found.people, *found.baselines, *found.models):
        table.add_row(*(Text(cell) for cell in _cells(row)))
    print_table(console, table)
    ceiling = ", ".join(f"{plain(name)} {value:.2f}" for name, value in found.ceiling.items())
    lines = [
        f"{found.questions} questions; {len(found.countries)} countries: {', '.join(found.countries)}",
        "align: 100 (1 - the normalised Euclidean distance to the majority options); diversity: 100 x that "
        "distance, mean "
        "over pairs of countries; tree: 100 x the mean edge of the minimum spanning tree. r: of profiles with the own "
        "country's people (rest r: with the others'), questions centred over the countries, option numbers as "
        "places on a "
        "scale; ord. r: only questions whose options have an order. own: how many countries stand nearest their "
        "own, and chance.",
        f"human ceiling (all countries of the survey, leave one out): {ceiling or 'no perspective has two countries'}; "
        f"{found.nearest[0]} of {found.nearest[1]} countries stand nearest their own perspective",
        *(f"{row.who}: {row.note}" for row in (*found.baselines, *found.models) if row.note),
        *(f"{row.who}: {row.missing:,} answers were no option and are left out" for row in found.models if row.missing),
        *found.notes,
    ]
    for line in lines:
        console.print(Text(line, "dim"), soft_wrap=True)


def _cells(row: ReplayRow) -> tuple[str, ...]:
    identified = "" if row.identified is None else f"{row.identified:.0%} ({row.chance:.0%})"
    figures = [number(value, ".1f") for value in (row.alignment, row.diversity, row.spanning)]
    if row.diversity is not None and row.who == "people":
        figures[1] = number(row.diversity, ".2f")
    figures += [number(value, ".2f") for value in (row.profile_r, row.other_r, row.ordered_r)]
    return (row.who, str(row.countries), *figures, identified)
