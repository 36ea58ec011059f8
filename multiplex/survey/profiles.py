"""Profiles: on which questions somebody stands above or below the others, whatever the level of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST = 8  # questions that two profiles must share; an r of fewer says next to nothing


def column_means(rows: Array, least: int = 1) -> Array:
    """The mean of each column over the rows that have a value, shape (Q,); NaN where fewer than `least` have one."""
    import numpy as np

    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    sums = np.where(known, rows, 0.0).sum(axis=0)
    means: Array = np.divide(sums, counts, out=np.full(rows.shape[1:], np.nan), where=counts >= least)
    return means


def centre(rows: Array) -> Array:
    """Rows of mean answers on 0..1, shape (respondents, Q), NaN where one was not asked, less each question's mean.

    A question that only one of them answered is NaN: nobody is there to stand above or below.
    """
    return rows - column_means(rows, least=2)


def correlation(a: Array, b: Array) -> float | None:
    """Pearson's r of two profiles over the questions that both have, -1..1.

    None where they share fewer than `LEAST`, or one of them does not vary.
    """
    import numpy as np

    both = ~np.isnan(a) & ~np.isnan(b)
    if both.sum() < LEAST:
        return None
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(np.clip(x @ y / size, -1, 1)) if size > 1e-12 else None


def correlations(ours: Array, theirs: Array) -> list[list[float | None]]:
    """`correlation` of each row of `ours` with each row of `theirs`."""
    return [[correlation(a, b) for b in theirs] for a in ours]


def leave_one_out(rows: Array, groups: Sequence[str | None]) -> list[dict[str, float]]:
    """For each row, by group, the r of its profile with that of the group's other rows; the human ceiling.

    Questions are centred on the mean of the other rows, so that the row itself has no part in what it is compared with.
    A group of which nobody else is there is absent.
    """
    found = []
    for place in range(len(rows)):
        rest = [other for other in range(len(rows)) if other != place]
        level = column_means(rows[rest], least=2)
        own: dict[str, float] = {}
        for group in sorted({name for name in groups if name is not None}):
            members = [other for other in rest if groups[other] == group]
            r = correlation(rows[place] - level, column_means(rows[members] - level)) if members else None
            if r is not None:
                own[group] = r
        found.append(own)
    return found


def ceiling(found: Sequence[dict[str, float]], groups: Sequence[str | None]) -> dict[str, float]:
    """By group, the mean r of its members with their own group's others, from `leave_one_out`."""
    values: dict[str, list[float]] = {}
    for own, group in zip(found, groups, strict=True):
        if group is not None and group in own:
            values.setdefault(group, []).append(own[group])
    return {group: sum(each) / len(each) for group, each in values.items()}


def nearest_own(found: Sequence[dict[str, float]], groups: Sequence[str | None]) -> tuple[int, int]:
    """How many rows stand nearest their own group, of how many that were measured with it and with another group."""
    judged = [(own, group) for own, group in zip(found, groups, strict=True) if group in own and len(own) > 1]
    return sum(max(own, key=own.__getitem__) == group for own, group in judged), len(judged)


def identification(
    matrix: Sequence[Sequence[float | None]], own: Sequence[int] | None = None
) -> tuple[float, float, int] | None:
    """The share of rows whose own column is the best, that share by chance, and of how many rows.

    `own` has each row's own column, by default its number. Judged are rows with a value in their own column and in
    another; columns without a value cannot win, by chance either; a tie is won in part. None where no row is judged.
    """
    hits, chances = [], []
    for row, place in zip(matrix, own if own is not None else range(len(matrix)), strict=True):
        known = [value for value in row if value is not None]
        if row[place] is not None and len(known) > 1:
            best = max(known)
            hits.append(1 / known.count(best) if row[place] == best else 0.0)
            chances.append(1 / len(known))
    return (sum(hits) / len(hits), sum(chances) / len(hits), len(hits)) if hits else None
