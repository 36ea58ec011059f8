"""Figures of many answers as functions of sums over one row an answer, in percent; NaN where undefined."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multiplex.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


NONE_LEFT = 1e-9  # sums below it are rounding of zero: words are split into thirds and sevenths


Statistic = Callable[["Array"], "Array"]
"""Column sums of shape (B, C) to values of shape (B,), NaN where undefined; the same when all sums double."""


@dataclass(frozen=True)
class Figure:
    """A figure of interest.

    Attributes:
        biased: few answers move it so far that its interval must be corrected for it.
        paired: between two conditions it is compared over the questions alone where both have an entropy.
    """

    statistic: Statistic
    biased: bool = False
    paired: bool = False


def entropies(counts: Array) -> tuple[Array, NDArray[np.bool_]]:
    """`diversity.entropy_percent` of every row of `counts`, shape (n, K): (H in 0..100, whether H exists), both (n,).

    H reads 0.0 where it does not exist: never use the first without the second.

    Raises:
        UsageError: not two-dimensional, fewer than two perspectives, or a count negative or not finite.
    """
    import numpy as np

    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[1] < 2:
        raise UsageError(f"counts have shape {counts.shape}; (answers, at least two perspectives) is needed")
    if not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise UsageError("a count is negative or not finite; counts are finite numbers of at least 0")
    return _entropies(counts)


def answer_rows(counts: Array) -> Array:
    """The rows of answers with `counts` of shape (n, K), as all figures here read them: shape (n, K + 4).

    Columns: the K counts; H, or 0 where it does not exist; 1 where H exists, or 0; H, or 0 (for `MACRO0`); 1.
    Counts by presence or by words make rows of their own. Raises UsageError as `entropies` does.
    """
    import numpy as np

    entropy, defined = entropies(counts)
    return np.column_stack([counts, entropy, defined, entropy, np.ones(len(entropy))])


def average_epochs(questions: Sequence[str], rows: Array) -> tuple[tuple[str, ...], Array]:
    """The questions in order of appearance, and one row each: the mean of its epochs' rows, shape (questions, C).

    A question's H is the mean over those of its epochs that have one.

    Raises:
        UsageError: not as many questions as rows.
    """
    import numpy as np

    check_length("questions", len(questions), len(rows))
    places = {question: place for place, question in enumerate(dict.fromkeys(questions))}
    sums = np.zeros((len(places), rows.shape[1]))
    np.add.at(sums, [places[question] for question in questions], rows)
    averaged = _divided(sums, sums[:, -1:])
    averaged[:, -4] = _divided(averaged[:, -4], averaged[:, -3], otherwise=0.0)
    averaged[:, -3] = averaged[:, -3] > 0
    return tuple(places), averaged


def by_stratum(rows: Array, labels: Sequence[str]) -> list[Array]:
    """The rows of every label apart, in order of appearance. Raises UsageError: not as many labels as rows."""
    import numpy as np

    check_length("labels", len(labels), len(rows))
    column = np.array(labels, dtype=object)
    return [rows[column == label] for label in dict.fromkeys(labels)]


def _macro(sums: Array) -> Array:
    return _divided(sums[:, -4], sums[:, -3]).clip(0.0, 100.0)


def _macro0(sums: Array) -> Array:
    return _divided(sums[:, -2], sums[:, -1]).clip(0.0, 100.0)


def _referring(sums: Array) -> Array:
    return (100.0 * _divided(sums[:, -3], sums[:, -1])).clip(0.0, 100.0)


def _micro(sums: Array) -> Array:
    import numpy as np

    entropy, defined = _entropies(sums[:, :-4].clip(0.0))
    return np.where(defined, entropy, np.nan)


MACRO = Figure(_macro, paired=True)
"""Macro average: mean H over the answers that have one."""


MACRO0 = Figure(_macro0)
"""Macro average over all answers, with 0 for those that have none: the papers' likely convention."""


MICRO = Figure(_micro, biased=True)
"""Micro average: H of the counts added over answers first. Few answers bias it downward: see `jackknife`."""


REFERRING = Figure(_referring)
"""The share of answers with a reference (after `average_epochs`: of questions with one in any epoch)."""


def share(perspective: int) -> Figure:
    """The share of the perspective in column `perspective`, of the counts added over answers."""

    def statistic(sums: Array) -> Array:
        counts = sums[:, :-4].clip(0.0)
        return 100.0 * _divided(counts[:, perspective], counts.sum(axis=1))

    return Figure(statistic)


def _entropies(counts: Array) -> tuple[Array, NDArray[np.bool_]]:
    import numpy as np
    from scipy.special import entr

    totals = counts.sum(axis=1)
    shares = _divided(counts, totals[:, None], otherwise=0.0)
    values: Array = np.clip(100.0 * entr(shares).sum(axis=1) / math.log(counts.shape[1]), 0.0, 100.0)
    return values, totals > NONE_LEFT


def _divided(top: Array, bottom: Array, otherwise: float = math.nan) -> Array:
    import numpy as np

    quotient: Array = np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom > NONE_LEFT)
    return quotient


def check_length(name: str, found: int, rows: int) -> None:
    if found != rows:
        raise UsageError(f"{found} {name} for {rows} rows; one each is needed")
