"""How far respondents lie apart from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TypeVar

T = TypeVar("T")


def diversity(respondents: Sequence[T], distance: Callable[[T, T], float | None]) -> float | None:
    """100 x the mean distance over pairs of respondents, 0..100 where distances are 0..1.

    None where there is no pair, or a pair has no distance.
    """
    found = [distance(a, b) for a, b in combinations(respondents, 2)]
    known = [each for each in found if each is not None]
    return 100 * sum(known) / len(known) if known and len(known) == len(found) else None


def spanning_length(respondents: Sequence[T], distance: Callable[[T, T], float | None]) -> float | None:
    """100 x the length of the minimum spanning tree, over the number of its edges (Prim's algorithm).

    Unlike `diversity` it does not grow with copies of one respondent. None as there.
    """
    left, total, edges = list(range(1, len(respondents))), 0.0, 0
    if not left:
        return None
    nearest: dict[int, float] = {}
    newest = 0
    while left:
        for each in left:
            apart = distance(respondents[newest], respondents[each])
            if apart is None:
                return None
            nearest[each] = min(apart, nearest.get(each, apart))
        newest = min(left, key=nearest.__getitem__)
        left.remove(newest)
        total, edges = total + nearest[newest], edges + 1
    return 100 * total / edges
