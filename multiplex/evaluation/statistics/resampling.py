"""How sure the figures are: intervals, differences and tests over many answers, in pure functions.

Every figure here is a function of sums over answers of one row an answer (`answer_rows`): the primitive is those sums,
resampled. All figures are in percent and their differences in percentage points. Rows come as strata (the domains of a
benchmark, which are fixed; one stratum where there are none), each an array or anything with `len` and slices, such as
a `numpy.memmap`: they are read in chunks, so that memory stays constant however many answers there are.

A figure that does not exist is None outside this module; inside, statistics mark it by NaN.
Formulas follow Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 10, 11 and 14.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from multiplex.errors import UsageError
from multiplex.evaluation.statistics.row_sums import MICRO, NONE_LEFT, Figure, Statistic, by_stratum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEW = 5  # questions of a stratum that show a spread and a skewness of their own
MANY_FREEDOM = 30  # degrees of freedom from which the resamples' own bias and skewness are more than noise
LEAST_FREEDOM = 6  # seven questions of one stratum; with fewer there is no interval
LEAST_BIASED = 12  # the same for a figure of one condition that must be corrected for bias
CALIBRATION = 0.75  # of the few degrees of freedom: what holds on simulated benchmarks, whose answers are skewed
CHUNK = 512  # rows read at once; with 2,000 resamples their weights take 8 MB


class Rows(Protocol):
    """The rows of one stratum, shape (m, C): an array, a `numpy.memmap`, or a view that reads what is sliced."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> Array: ...


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, in the figure's own unit."""

    low: float
    high: float


@dataclass(frozen=True)
class BootstrapEstimate:
    """A figure as observed, and its interval; either is None where it does not exist."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Paired:
    """Two conditions over the same questions: `differences` are a minus b, in percentage points."""

    differences: dict[str, BootstrapEstimate]
    questions: int
    dropped: int
    """Questions left out of the figures that are `paired` because a condition has no entropy there."""


@dataclass(frozen=True)
class JackknifeEstimate:
    """A figure, its bias by the jackknife, the figure without that bias, and its standard error."""

    value: float
    bias: float
    corrected: float
    standard_error: float
    acceleration: float
    """A sixth of the skewness of the questions' influence on the figure, -1/6..1/6."""


def resampled_sums(strata: Sequence[Rows], resamples: int = 2000, seed: int = 0) -> Array:
    """Column sums over bootstrap resamples of the questions within each stratum: shape (resamples, C).

    Each stratum is drawn anew with return, as many questions as it has, exactly and by the seed alone. The deviations
    of its sums from the observed are stretched by sqrt(m / (m - 1)), m its questions, which makes their variance
    unbiased (Rao and Wu, JASA 83, 1988); sums of counts may so fall below 0, and the figures here read those as 0.
    Strata too small to tell of their spread are put together: see `join_few`.

    Raises:
        UsageError: no stratum, or fewer than one resample.
    """
    import numpy as np

    if not strata or resamples < 1:
        raise UsageError(f"{len(strata)} strata and {resamples} resamples; at least one of each is needed")
    rng = np.random.default_rng(seed)
    strata = join_few(strata)
    width = strata[0][:0].shape[1]
    total = np.zeros((resamples, width))
    for rows in strata:
        m = len(rows)
        observed, drawn = np.zeros(width), np.zeros((resamples, width))
        left, unread = np.full(resamples, m), m
        for chunk in read_chunks(rows):
            # Given what earlier chunks took of a multinomial draw, the next one's part is binomial.
            here = rng.binomial(left, len(chunk) / unread)
            left, unread = left - here, unread - len(chunk)
            cells = np.repeat(np.arange(resamples) * len(chunk), here) + rng.integers(len(chunk), size=here.sum())
            times = np.bincount(cells, minlength=resamples * len(chunk)).reshape(resamples, len(chunk))
            observed += chunk.sum(axis=0)
            drawn += weighted_sums(times, chunk)
        total += observed + (math.sqrt(m / (m - 1)) if m > 1 else 0.0) * (drawn - observed)
    return total


def interval(
    values: Array, centre: float | None, acceleration: float = 0.0, level: float = 0.95, freedom: float = math.inf
) -> Interval | None:
    """The BCa interval of resampled `values`, shape (B,), around `centre` (Efron and Tibshirani 1993, section 14.3).

    Where `centre` is None it is taken to be the median of the values.

    With few degrees of `freedom` it reaches as far as Student's t does instead of the normal distribution (Hesterberg,
    The American Statistician 69, 2015, section 5.3): else it is too narrow for few questions. Without acceleration,
    with as many values below `centre` as above it and infinite freedom it is the percentile interval. None where more
    than (1 - level) / 2 of the values are undefined (NaN): they could all lie beyond either end; fewer are left out.

    Raises:
        UsageError: the level is not between 0 and 1.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri, stdtrit

    check_level(level)
    known = values[~np.isnan(values)]
    if len(values) - len(known) > (1 - level) / 2 * len(values) or not len(known):
        return None
    shift = 0.0
    if centre is not None:
        below = np.count_nonzero(known < centre - NONE_LEFT)
        above = np.count_nonzero(known > centre + NONE_LEFT)
        half = 0.5 / len(known)
        shift = ndtri(np.clip(0.5 + (below - above) * half, half, 1 - half))
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    reach = shift + (stdtrit(freedom, ends) if math.isfinite(freedom) else ndtri(ends))
    low, high = np.quantile(known, ndtr(shift + reach / np.maximum(1 - acceleration * reach, NONE_LEFT)))
    return Interval(float(low), float(high))


def check_level(level: float) -> None:
    """Raises UsageError: the level is not between 0 and 1."""
    if not 0 < level < 1:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")


def jackknife(strata: Sequence[Rows], figure: Figure = MICRO) -> JackknifeEstimate | None:
    """The delete-one-answer jackknife of a figure (Efron and Tibshirani 1993, chapter 11), within strata.

    bias = sum_h (m_h - 1) (mean_h - value) and standard error^2 = sum_h (m_h - 1) / m_h sum_i (t_hi - mean_h)^2, where
    t_hi is the figure without answer i of stratum h, the others weighing m_h / (m_h - 1), and mean_h their mean; with
    one stratum these are the textbook formulas. `corrected` = value - bias may leave 0..100. None where the figure
    does not exist, or not without some one answer, or not in the strata of two or more answers, the only ones that
    tell of spread.
    """
    return _jackknives(strata, {"": figure.statistic})[""]


def bootstrap(
    strata: Sequence[Rows],
    figures: Mapping[str, Figure],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, BootstrapEstimate]:
    """Every figure as observed, with its interval over resamples of the questions within each stratum.

    The interval is `interval`, accelerated by `jackknife`, and None where either is. With fewer than `MANY_FREEDOM`
    degrees of freedom, one for each question but the first of its stratum (`join_few`), it is the percentile interval,
    as wide as Student's t asks; with fewer than `LEAST_FREEDOM`, or `LEAST_BIASED` for a biased figure, there is none.
    The plain one would miss a biased figure, whose resamples fall below the observed about as far as the observed falls
    below the truth: such a figure is corrected by the bootstrap's own estimate of bias (Efron and Tibshirani 1993,
    section 10.2), as a ratio r = value / mean of the resampled, so that values near 0 keep their scale: the centre is
    value r, the resampled are multiplied by r^2, and both end at 100. The interval may so lie above the observed value,
    which stays as it is; where figures are printed, a line says so.
    Where all answers agree it has no width: what no answer shows, no resample can.
    """
    return _estimates(strata, figures, dict.fromkeys(figures, _ONE), resamples, seed, level)


def paired_bootstrap(
    a: Array,
    b: Array,
    figures: Mapping[str, Figure],
    labels: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Paired:
    """The difference a - b of every figure, with an interval by the same resampled questions for both conditions.

    `a` and `b` are rows of the same questions in the same order, shape (n, C); `labels` are the questions' strata. For
    a `paired` figure a question where a condition has no entropy is left out of both. Each condition is corrected for
    bias as `bootstrap` says.

    Raises:
        UsageError: the conditions or the labels do not fit each other.
    """
    import numpy as np

    first, second, dropped = pair_up(a, b)
    both: Array = np.hstack([first, second])
    strata = [both] if labels is None else by_stratum(both, labels)
    conditions = {name: condition_columns(figure, a.shape[1]) for name, figure in figures.items()}
    return Paired(_estimates(strata, figures, conditions, resamples, seed, level), len(a), dropped)


def join_few(strata: Sequence[Rows]) -> list[Rows]:
    """The strata, those of fewer than `FEW` questions put together; what stays so small joins the smallest other.

    A single question's spread about the mean of its stratum cannot be seen, nor the skewness of a few. Together they
    are seen with what their strata differ by, so that an interval is rather too wide than too narrow (Cochran,
    Sampling Techniques, 1977, section 5A.12).
    """
    import numpy as np

    few = [rows for rows in strata if 0 < len(rows) < FEW]
    others = sorted((rows for rows in strata if len(rows) >= FEW), key=len)
    if others and 0 < sum(map(len, few)) < FEW:
        few, others = [*few, others[0]], others[1:]
    return [*others, np.concatenate([rows[:] for rows in few])] if len(few) > 1 else [*others, *few] or [*strata[:1]]


def weighted_sums(weights: NDArray[np.integer], rows: Array) -> Array:
    """weights @ rows, in products so small that BLAS wakes no threads: on a busy machine those cost a hundred times."""
    import numpy as np

    step = max(1, 200_000 // max(1, rows.size))
    parts = [weights[at : at + step].astype(np.float64) @ rows for at in range(0, len(weights), step)]
    return np.concatenate(parts)


def _corrected(figure: Figure, sums: Array, observed: Array) -> tuple[Array, float]:
    import numpy as np

    values, centre = figure.statistic(sums), float(figure.statistic(observed)[0])
    known = values[~np.isnan(values)]
    if not figure.biased or not known.any():
        return values, centre
    ratio = centre / float(known.mean())
    return np.minimum(100.0, values * ratio**2), min(100.0, centre * ratio)


def _estimates(
    strata: Sequence[Rows],
    figures: Mapping[str, Figure],
    conditions: Mapping[str, _Conditions],
    resamples: int,
    seed: int,
    level: float,
) -> dict[str, BootstrapEstimate]:
    import numpy as np

    check_level(level)
    strata = join_few(strata)
    freedom = sum(max(0, len(rows) - 1) for rows in strata)
    sums = resampled_sums(strata, resamples, seed)
    observed = _sum(strata)[None]
    statistics = {name: within_conditions(figure, conditions[name]) for name, figure in figures.items()}
    jackknives = _jackknives(strata, statistics)
    found = {}
    for name, figure in figures.items():
        around = None
        least = LEAST_BIASED if figure.biased and len(conditions[name]) == 1 else LEAST_FREEDOM
        if (known := jackknives[name]) and freedom >= least:
            parts = [_corrected(figure, sums[:, condition], observed[:, condition]) for condition in conditions[name]]
            values, centre = parts[0]
            for others, other in parts[1:]:
                values, centre = values - others, centre - other
                values[np.abs(values) < NONE_LEFT] = 0.0  # the conditions' sums are rounded each in its own way
            if freedom >= MANY_FREEDOM:
                around = interval(values, centre, known.acceleration, level, freedom)
            else:
                around = interval(values, None, 0.0, level, CALIBRATION * freedom)
        found[name] = BootstrapEstimate(none_if_nan(statistics[name](observed)[0]), around)
    return found


def _jackknives(strata: Sequence[Rows], statistics: Mapping[str, Statistic]) -> dict[str, JackknifeEstimate | None]:
    """Of all statistics at once, so that the rows are read once."""
    import numpy as np

    def read(sums: Array) -> Array:
        return np.array([statistic(sums) for statistic in statistics.values()])

    several = [rows for rows in join_few(strata) if len(rows) > 1]
    if not several or not statistics:
        return dict.fromkeys(statistics)
    observed = _sum(strata)
    values = read(observed[None])
    bias, squares, spread, cubes = np.zeros((4, len(statistics)))
    for rows in several:
        m, total = len(rows), _sum([rows])
        first, second, third = np.zeros((3, len(statistics)))
        for chunk in read_chunks(rows):
            moved = read(observed + (total - m * chunk) / (m - 1)) - values
            first, second, third = first + moved.sum(1), second + (moved**2).sum(1), third + (moved**3).sum(1)
        mean, weight = first / m, (m - 1) / m
        deviations = np.maximum(0.0, second - m * mean**2)
        bias, squares, spread = bias + (m - 1) * mean, squares + weight * deviations, spread + weight**2 * deviations
        cubes = cubes - weight**3 * (third - 3 * mean * second + 2 * m * mean**3)
    acceleration = np.divide(cubes, 6 * spread**1.5, out=np.zeros_like(cubes), where=spread > NONE_LEFT**2)
    table = np.column_stack([values, bias, values[:, 0] - bias, np.sqrt(squares), acceleration])
    table[np.isnan(read(_sum(several)[None])[:, 0])] = np.nan
    return {
        name: None if np.isnan(row).any() else JackknifeEstimate(*row.tolist())
        for name, row in zip(statistics, table, strict=True)
    }


_Conditions = tuple[slice, ...]
_ONE: _Conditions = (slice(None),)


def condition_columns(figure: Figure, width: int) -> _Conditions:
    """Where the columns of both conditions of a figure lie in the rows of `pair_up`; `width` is one condition's."""
    start = width if figure.paired else 0
    return slice(start, start + width), slice(start + 2 * width, start + 3 * width)


def within_conditions(figure: Figure, conditions: _Conditions) -> Statistic:
    """The figure of one condition, or of the first minus that of the second."""
    if len(conditions) == 1:
        return figure.statistic
    first, second = conditions
    return lambda sums: figure.statistic(sums[:, first]) - figure.statistic(sums[:, second])


def pair_up(a: Array, b: Array) -> tuple[Array, Array, int]:
    """Each condition's rows twice, shape (n, 2 C): as they are, then without the entropies that the other lacks.

    Returns:
        The rows of a, those of b, and how many questions lack an entropy in a condition.

    Raises:
        UsageError: the conditions do not fit each other.
    """
    import numpy as np

    if a.ndim != 2 or a.shape != b.shape:
        raise UsageError(f"the conditions have shapes {a.shape} and {b.shape}; rows of the same questions are needed")
    both = (a[:, -3] > 0) & (b[:, -3] > 0)
    paired = a.copy(), b.copy()
    for rows in paired:
        rows[~both, -4:-2] = 0.0
    return np.hstack([a, paired[0]]), np.hstack([b, paired[1]]), int((~both).sum())


def read_chunks(rows: Rows) -> Iterator[Array]:
    import numpy as np

    for start in range(0, len(rows), CHUNK):
        yield np.asarray(rows[start : start + CHUNK], dtype=np.float64)


def _sum(strata: Sequence[Rows]) -> Array:
    import numpy as np

    total = np.zeros(strata[0][:0].shape[1])
    for rows in strata:
        for chunk in read_chunks(rows):
            total += chunk.sum(axis=0)
    return total


def none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
