"""Permutation tests within questions, and Holm's correction for several of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from multiplex.errors import UsageError
from multiplex.evaluation.statistics.resampling import (
    condition_columns,
    none_if_nan,
    pair_up,
    read_chunks,
    weighted_sums,
    within_conditions,
)
from multiplex.evaluation.statistics.row_sums import NONE_LEFT, Figure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def permutation(
    a: Array, b: Array, figures: Mapping[str, Figure], *, permutations: int = 9999, seed: int = 0
) -> dict[str, float | None]:
    """Two-sided p of every figure's difference, were the conditions' labels arbitrary within each question.

    Rows as in `paired_bootstrap`; whole rows are swapped, so that pooled figures move with them. p = (b + 1) / (B + 1),
    b of B permutations differing at least as much (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010); one that
    leaves the figure undefined counts among b. None where the figure is not defined as observed.

    Raises:
        UsageError: the conditions do not fit each other, or fewer than one permutation.
    """
    import numpy as np

    if permutations < 1:
        raise UsageError(f"{permutations} permutations; at least one is needed")
    width = a.shape[-1]
    a, b, _ = pair_up(a, b)
    rng = np.random.default_rng(seed)
    moved = np.zeros((permutations, a.shape[1]))
    for chunk in read_chunks(b - a):
        moved += weighted_sums(rng.integers(2, size=(permutations, len(chunk)), dtype=np.int8), chunk)
    swapped = np.hstack([a.sum(axis=0) + moved, b.sum(axis=0) - moved])
    observed = np.hstack([a.sum(axis=0), b.sum(axis=0)])[None]
    found: dict[str, float | None] = {}
    for name, figure in figures.items():
        difference = within_conditions(figure, condition_columns(figure, width))
        seen = none_if_nan(difference(observed)[0])
        # An undefined difference is NaN, which is not less than anything.
        extreme = 0 if seen is None else np.count_nonzero(~(np.abs(difference(swapped)) < abs(seen) - NONE_LEFT))
        found[name] = None if seen is None else (extreme + 1) / (permutations + 1)
    return found


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values (Scandinavian Journal of Statistics 6, 1979), 0..1, in the order given.

    Raises:
        UsageError: a p-value is not in 0..1.
    """
    for name, p in p_values.items():
        if not 0 <= p <= 1:
            raise UsageError(f"{name!r} has p = {p}; it must lie in 0..1")
    adjusted, highest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
