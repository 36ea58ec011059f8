"""Intervals and tests agree with closed forms, and on simulated benchmarks they are right as often as they claim."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate_stats import FIGURES, World, covered, difference_covered, rejected
from multiplex.errors import UsageError
from multiplex.evaluation.statistics import diversity, permutation, resampling, row_sums

Array = NDArray[np.float64]
NAMES = "abcdefg"
MEAN_OF_FIRST = row_sums.Figure(lambda sums: sums[:, 0] / sums[:, -1])


def counts_of(seed: int, answers: int = 60) -> Array:
    """Skewed counts over seven perspectives; some answers have none."""
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.4, 2.0, size=(answers, 7)) * rng.integers(0, 2, size=(answers, 1))).astype(float)


def named(row: Array) -> dict[str, int]:
    return {name: int(value) for name, value in zip(NAMES, row, strict=True)}


def ordinary(seed: int, questions: int) -> Array:
    """Rows (x, 1) with x standard normal, whose figure is the mean of x."""
    return np.column_stack([np.random.default_rng(seed).normal(size=questions), np.ones(questions)])


# Figures


def test_entropies_are_those_of_pds_row_by_row() -> None:
    counts = counts_of(1)
    values, defined = row_sums.entropies(counts)
    expected = [diversity.entropy_percent(named(row)) for row in counts]
    assert [value if known else None for value, known in zip(values, defined, strict=True)] == pytest.approx(expected)
    assert None in expected


def test_entropy_in_closed_form() -> None:
    values, defined = row_sums.entropies(
        np.array([[3, 3, 3, 3], [1, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0]], dtype=float)
    )
    assert values.tolist() == pytest.approx([100.0, 50.0, 0.0, 0.0])
    assert defined.tolist() == [True, True, True, False]


@pytest.mark.parametrize("counts", [[1.0, 2.0], [[1.0], [2.0]], [[1.0, -1.0]], [[1.0, math.nan]], [[math.inf, 0.0]]])
def test_what_are_no_distributions_is_refused(counts: list[object]) -> None:
    with pytest.raises(UsageError):
        row_sums.entropies(np.array(counts))


def test_figures_of_the_sums_are_those_of_pds() -> None:
    counts = counts_of(2)
    found = resampling.bootstrap(
        [row_sums.answer_rows(counts)], FIGURES | {"referring": row_sums.REFERRING}, resamples=50
    )
    known = [h for row in counts if (h := diversity.entropy_percent(named(row))) is not None]
    pooled = named(counts.sum(axis=0))
    assert found["macro"].value == pytest.approx(sum(known) / len(known))
    assert found["macro0"].value == pytest.approx(sum(known) / len(counts))
    assert found["referring"].value == pytest.approx(100 * len(known) / len(counts))
    assert found["micro"].value == pytest.approx(diversity.entropy_percent(pooled))
    assert found["share"].value == pytest.approx(100 * diversity.shares(pooled)["a"])


def test_without_any_reference_only_what_counts_every_answer_exists() -> None:
    found = resampling.bootstrap([row_sums.answer_rows(np.zeros((5, 7)))], FIGURES, resamples=50)
    assert {name: estimate.value for name, estimate in found.items()} == {
        "macro": None,
        "macro0": 0.0,
        "micro": None,
        "share": None,
    }
    assert found["micro"].interval is found["macro"].interval is None
    nothing = resampling.bootstrap([row_sums.answer_rows(np.zeros((0, 7)))], FIGURES, resamples=50)
    assert all(estimate == resampling.BootstrapEstimate(None, None) for estimate in nothing.values())


def test_epochs_are_averaged_inside_a_question_first() -> None:
    counts = np.array([[4, 0], [2, 2], [0, 0], [0, 0], [1, 1], [1, 1]], dtype=float)
    questions, rows = row_sums.average_epochs(["q1", "q1", "q1", "q2", "q3", "q3"], row_sums.answer_rows(counts))
    assert questions == ("q1", "q2", "q3")
    # The counts, H over the epochs that have one, whether any has, H with 0 for the rest, 1.
    assert rows.tolist() == pytest.approx(
        np.array([[2, 2 / 3, 50, 1, 100 / 3, 1], [0, 0, 0, 0, 0, 1], [1, 1, 100, 1, 100, 1]])
    )
    with pytest.raises(UsageError, match="2 questions for 6 rows"):
        row_sums.average_epochs(["q1", "q2"], rows.repeat(2, axis=0))


# Resampling


def test_the_seed_alone_decides() -> None:
    rows = row_sums.answer_rows(counts_of(3))
    assert np.array_equal(resampling.resampled_sums([rows], 50, 7), resampling.resampled_sums([rows], 50, 7))
    assert not np.array_equal(resampling.resampled_sums([rows], 50, 7), resampling.resampled_sums([rows], 50, 8))


@pytest.mark.parametrize("chunk", [1, 2, 512])
def test_resamples_follow_the_multinomial_distribution_however_the_rows_are_read(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    resamples = 40_000
    sums = resampling.resampled_sums([np.eye(3)], resamples, 1)
    times = np.rint(1 + (sums - 1) / math.sqrt(3 / 2)).astype(int)
    for outcome in itertools.product(range(4), repeat=3):
        seen = int((times == outcome).all(axis=1).sum())
        ways = 6 // math.prod(math.factorial(part) for part in outcome) if sum(outcome) == 3 else 0
        expected = resamples * ways / 27
        assert abs(seen - expected) <= 4 * math.sqrt(expected), outcome


@pytest.mark.parametrize("chunk", [4, 512])
def test_the_variance_of_a_bootstrapped_mean_is_unbiased(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    strata = [ordinary(4, 5), 10 + 3 * ordinary(5, 12)]
    sums = resampling.resampled_sums(strata, 40_000, 2)
    variance = sum(len(rows) * rows[:, 0].var(ddof=1) for rows in strata)
    assert sums[:, 0].var() == pytest.approx(variance, rel=0.03)
    assert sums[:, 0].mean() == pytest.approx(sum(rows[:, 0].sum() for rows in strata), abs=0.05 * math.sqrt(variance))


def test_rows_that_are_read_as_needed_give_the_same_and_are_never_read_whole() -> None:
    rows = row_sums.answer_rows(counts_of(6, answers=2000))
    longest = 0

    class View:
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: slice, /) -> Array:
            nonlocal longest
            longest = max(longest, len(rows[index]))
            return rows[index]

    assert resampling.bootstrap([View()], FIGURES, resamples=100) == resampling.bootstrap(
        [rows], FIGURES, resamples=100
    )
    assert longest == resampling.CHUNK


def test_a_difference_between_domains_alone_gives_an_interval_without_width() -> None:
    counts = np.repeat([[4.0, 0, 0], [2, 2, 0], [0, 3, 3]], 5, axis=0)
    rows = row_sums.answer_rows(counts)
    within = resampling.bootstrap(row_sums.by_stratum(rows, list("xxxxxyyyyyzzzzz")), FIGURES, resamples=200)
    across = resampling.bootstrap([rows], FIGURES, resamples=200)
    for name in FIGURES:
        value, narrow, wide = within[name].value, within[name].interval, across[name].interval
        assert value is not None
        assert narrow is not None
        assert wide is not None
        assert (narrow.low, narrow.high) == pytest.approx((value, value))
        assert wide.high - wide.low > 10


def test_a_single_question_has_no_interval() -> None:
    rows = row_sums.answer_rows(np.array([[3.0, 1.0], [1.0, 1.0]]))
    alone = resampling.bootstrap([rows[:1]], FIGURES, resamples=50)
    assert alone["micro"].value == pytest.approx(81.128, abs=1e-3)
    assert all(estimate.interval is None for estimate in alone.values())
    apart = resampling.bootstrap([rows[:1], rows[1:]], FIGURES, resamples=50)
    assert all(estimate.interval is None for estimate in apart.values())


def test_where_one_answer_alone_carries_the_figure_there_is_no_interval() -> None:
    counts = np.zeros((25, 3))
    counts[4] = [2, 1, 0]
    found = resampling.bootstrap([row_sums.answer_rows(counts)], FIGURES, resamples=200)
    assert found["micro"].interval is found["macro"].interval is found["share"].interval is None
    assert found["macro0"].interval is not None
    single, silent = row_sums.answer_rows(counts[4:5]), row_sums.answer_rows(np.zeros((25, 3)))
    assert resampling.bootstrap([single, silent], FIGURES, resamples=200)["micro"].interval is None


def test_an_interval_is_the_percentiles_where_nothing_is_skewed() -> None:
    values = np.linspace(-3.0, 5.0, 10_001)
    assert resampling.interval(values, 1.0) == resampling.Interval(pytest.approx(-2.8), pytest.approx(4.8))
    assert resampling.interval(values, 1.0, level=0.5) == resampling.Interval(pytest.approx(-1.0), pytest.approx(3.0))


def test_an_interval_follows_the_formula_of_the_book() -> None:
    # Half of the values below the centre more than above: z0 = ndtri(0.75) = 0.67449; a = 0.1; levels by hand.
    values = np.linspace(0.0, 1.0, 100_001)
    found = resampling.interval(values, 0.75, acceleration=0.1)
    assert found is not None
    low, high = (0.67449 + (0.67449 + z) / (1 - 0.1 * (0.67449 + z)) for z in (-1.95996, 1.95996))
    assert found.low == pytest.approx(0.5 * math.erfc(-low / math.sqrt(2)), abs=1e-4)
    assert found.high == pytest.approx(0.5 * math.erfc(-high / math.sqrt(2)), abs=1e-4)


def test_too_many_undefined_resamples_leave_no_interval() -> None:
    values = np.linspace(0.0, 1.0, 1000)
    values[:25] = np.nan
    assert resampling.interval(values, 0.5) is not None
    values[:26] = np.nan
    assert resampling.interval(values, 0.5) is None
    assert resampling.interval(np.full(10, np.nan), 0.5) is None


def test_an_interval_holds_its_estimate_on_normal_data() -> None:
    for seed in range(50):
        found = resampling.bootstrap([ordinary(seed, 20)], {"x": MEAN_OF_FIRST}, resamples=300)["x"]
        assert found.interval is not None
        assert found.value is not None
        assert found.interval.low < found.value < found.interval.high


def test_an_interval_of_pooled_entropy_stays_within_the_scale() -> None:
    found = resampling.bootstrap([row_sums.answer_rows(np.eye(7).repeat(6, axis=0))], FIGURES, resamples=300)["micro"]
    assert found.value == pytest.approx(100.0)
    assert found.interval is not None
    assert found.interval.high == 100.0


def test_a_biased_figure_is_corrected_though_some_resamples_read_zero() -> None:
    """Of answers that each invoke one perspective, a resample may hold one perspective alone, with entropy 0."""
    rows = row_sums.answer_rows(np.array([[2.0, 0.0]] * 11 + [[0.0, 2.0]] * 3))
    statistic = row_sums.MICRO.statistic
    figures = {"corrected": row_sums.Figure(statistic, biased=True), "plain": row_sums.Figure(statistic)}
    found = resampling.bootstrap([rows], figures)
    corrected, plain = (found[name].interval for name in figures)
    assert corrected is not None
    assert plain is not None
    assert corrected.high > plain.high


@pytest.mark.parametrize(
    ("strata", "resamples", "level"), [([], 10, 0.95), ([np.ones((3, 2))], 0, 0.95), ([np.ones((3, 2))], 10, 95.0)]
)
def test_wrong_use_of_the_bootstrap_is_refused(strata: list[Array], resamples: int, level: float) -> None:
    with pytest.raises(UsageError):
        resampling.bootstrap(strata, {"x": MEAN_OF_FIRST}, resamples=resamples, level=level)


# Jackknife


def test_the_jackknife_of_a_mean_is_its_textbook_error_without_bias() -> None:
    rows = ordinary(9, 30)
    found = resampling.jackknife([rows], MEAN_OF_FIRST)
    assert found is not None
    x = rows[:, 0]
    assert found.value == pytest.approx(x.mean())
    assert found.bias == pytest.approx(0.0, abs=1e-12)
    assert found.standard_error == pytest.approx(x.std(ddof=1) / math.sqrt(30))
    deviations = x - x.mean()
    assert found.acceleration == pytest.approx((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))


def test_the_jackknife_turns_the_biased_variance_into_the_unbiased_one() -> None:
    x = ordinary(10, 12)[:, 0]
    rows = np.column_stack([x, x**2, np.ones(12)])
    figure = row_sums.Figure(lambda sums: sums[:, 1] / sums[:, 2] - (sums[:, 0] / sums[:, 2]) ** 2)
    found = resampling.jackknife([rows], figure)
    assert found is not None
    assert (found.value, found.corrected) == pytest.approx((x.var(), x.var(ddof=1)))


@pytest.mark.parametrize("chunk", [7, 512])
def test_the_jackknife_of_pooled_entropy_leaves_out_every_answer_once(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    counts = counts_of(11)
    n, total = len(counts), counts.sum(axis=0)
    without = np.array([diversity.entropy_percent(named(total - row)) for row in counts], dtype=float)
    value = diversity.entropy_percent(named(total))
    found = resampling.jackknife([row_sums.answer_rows(counts)])
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.corrected == pytest.approx(n * found.value - (n - 1) * without.mean())
    assert found.standard_error == pytest.approx(math.sqrt((n - 1) * without.var()))
    assert found.bias < 0


def test_within_strata_the_jackknife_counts_no_difference_between_them() -> None:
    strata = [ordinary(12, 8), ordinary(13, 20) + np.array([100.0, 0.0])]
    found = resampling.jackknife(strata, MEAN_OF_FIRST)
    assert found is not None
    variance = sum(len(rows) * rows[:, 0].var(ddof=1) for rows in strata) / 28**2
    assert found.standard_error == pytest.approx(math.sqrt(variance))
    assert found.bias == pytest.approx(0.0, abs=1e-9)


def test_strata_too_small_to_show_their_spread_are_put_together() -> None:
    whole = ordinary(20, 30)
    apart = [whole[:6], whole[6:8], whole[8:9], *(whole[k : k + 3] for k in range(9, 30, 3))]
    joined = resampling.join_few(apart)
    assert [len(rows) for rows in joined] == [6, 24]
    assert np.array_equal(joined[1], whole[6:])
    lone = resampling.join_few([whole[:1], whole[1:21], whole[21:]])
    assert [len(rows) for rows in lone] == [20, 10]
    found = resampling.bootstrap([whole[k : k + 1] for k in range(30)], {"x": MEAN_OF_FIRST}, resamples=300)
    assert found == resampling.bootstrap([whole], {"x": MEAN_OF_FIRST}, resamples=300)


@pytest.mark.parametrize("has", [False, True])
def test_too_few_questions_have_no_interval(has: bool) -> None:
    questions = resampling.LEAST_FREEDOM + has
    one_each = [ordinary(21, questions)[k : k + 1] for k in range(questions)]
    found = resampling.bootstrap(one_each, {"x": MEAN_OF_FIRST}, resamples=300)["x"]
    assert found.value is not None
    assert (found.interval is not None) is has


def test_an_interval_of_few_questions_reaches_as_far_as_students_t() -> None:
    values = ordinary(22, 100_000)[:, 0]
    found = resampling.interval(values, 0.0, freedom=10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((-2.228, 2.228), abs=0.05)


# Two conditions


def test_a_paired_difference_leaves_out_pairs_without_an_entropy_and_counts_them() -> None:
    a = row_sums.answer_rows(np.array([[1.0, 1], [1, 1], [4, 0], [0, 0]]))
    b = row_sums.answer_rows(np.array([[4.0, 0], [0, 0], [2, 0], [3, 3]]))
    found = resampling.paired_bootstrap(a, b, FIGURES, resamples=50)
    assert (found.questions, found.dropped) == (4, 2)
    values = {name: estimate.value for name, estimate in found.differences.items()}
    assert values["macro"] == pytest.approx((100 - 0 + 0 - 0) / 2)
    assert values["macro0"] == pytest.approx((200 - 100) / 4)
    pooled = [diversity.entropy_percent({"a": x, "b": y}) or 0.0 for x, y in ((6, 2), (9, 3))]
    assert values["micro"] == pytest.approx(pooled[0] - pooled[1])
    assert values["share"] == pytest.approx(75 - 75)


def test_the_share_of_questions_with_a_reference_counts_every_question() -> None:
    a = np.zeros((120, 7))
    b = np.zeros((120, 7))
    a[:98, 0] = 1
    b[60:109, 1] = 1
    found = resampling.paired_bootstrap(
        row_sums.answer_rows(a), row_sums.answer_rows(b), FIGURES | {"referring": row_sums.REFERRING}, resamples=200
    )
    estimate = found.differences["referring"]
    assert estimate.value == pytest.approx(100 * (98 - 49) / 120)
    assert estimate.interval is not None
    assert estimate.interval.low < 40.8 < estimate.interval.high
    p = permutation.permutation(row_sums.answer_rows(a), row_sums.answer_rows(b), {"r": row_sums.REFERRING})
    assert p["r"] == pytest.approx(1e-4)


def test_both_arms_are_resampled_by_the_same_questions() -> None:
    a = row_sums.answer_rows(counts_of(14))
    labels = ["x"] * 20 + ["y"] * 40
    found = resampling.paired_bootstrap(a, a, FIGURES, labels, resamples=100)
    assert all(
        estimate == resampling.BootstrapEstimate(0.0, resampling.Interval(0.0, 0.0))
        for estimate in found.differences.values()
    )


def test_arms_that_do_not_fit_each_other_are_refused() -> None:
    rows = row_sums.answer_rows(counts_of(15))
    with pytest.raises(UsageError, match="same questions"):
        resampling.paired_bootstrap(rows, rows[1:], FIGURES)
    with pytest.raises(UsageError, match="same questions"):
        permutation.permutation(rows, rows[1:], FIGURES)
    with pytest.raises(UsageError, match="2 labels for 60 rows"):
        resampling.paired_bootstrap(rows, rows, FIGURES, ["x", "y"])
    with pytest.raises(UsageError, match="at least one"):
        permutation.permutation(rows, rows, FIGURES, permutations=0)


def test_a_permutation_p_is_that_of_all_swaps() -> None:
    a, b = counts_of(16, 8) + np.eye(7)[1], counts_of(17, 8) + np.eye(7)[0]

    def difference(first: Array, second: Array) -> float:
        pooled = [diversity.entropy_percent(named(counts.sum(axis=0))) or 0.0 for counts in (first, second)]
        return pooled[0] - pooled[1]

    swaps = (np.array(swap)[:, None] for swap in itertools.product([False, True], repeat=8))
    all_swaps = [difference(np.where(swap, b, a), np.where(swap, a, b)) for swap in swaps]
    exact = np.mean([abs(value) >= abs(difference(a, b)) - 1e-9 for value in all_swaps])
    found = permutation.permutation(
        row_sums.answer_rows(a), row_sums.answer_rows(b), {"h": row_sums.MICRO}, permutations=40_000
    )
    assert 0.05 < exact < 0.95
    assert found["h"] == pytest.approx(exact, abs=0.01)


def test_a_permutation_p_counts_the_observed_and_is_never_zero() -> None:
    a, b = (row_sums.answer_rows(np.tile(row, (40, 1))) for row in ([1.0, 1.0], [1.0, 0.0]))
    assert permutation.permutation(a, b, {"h": row_sums.MACRO}, permutations=99)["h"] == pytest.approx(1 / 100)
    assert permutation.permutation(a, a, {"h": row_sums.MACRO}, permutations=99)["h"] == 1.0
    assert permutation.permutation(a[:1], b[:1], {"h": row_sums.MACRO}, permutations=99)["h"] == 1.0


def test_a_permutation_that_leaves_the_figure_undefined_counts_against_the_difference() -> None:
    a = row_sums.answer_rows(np.array([[1.0, 1], [0, 0]]))
    b = row_sums.answer_rows(np.array([[0.0, 0], [1, 0]]))
    found = permutation.permutation(a, b, {"macro": row_sums.MACRO, "micro": row_sums.MICRO}, permutations=99)
    assert found == {"macro": None, "micro": 1.0}


def test_holm_adjusts_the_smallest_most_and_keeps_the_order() -> None:
    p_values = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    adjusted = permutation.holm(p_values)
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(adjusted) == list(p_values)
    assert permutation.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert permutation.holm({}) == {}


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_holm_refuses_what_is_no_p_value(p: float) -> None:
    with pytest.raises(UsageError):
        permutation.holm({"a": p})


# Known truth: 7 domains of 25 questions. Half of the simulated benchmarks have domain effects, half have none.
# `benchmarks/simulate_stats.py` prints every setting apart.

WORLDS = (World(effects=False), World(effects=True))


def test_the_interval_of_pooled_entropy_holds_the_truth_as_often_as_it_says() -> None:
    pooled = {"micro": row_sums.MICRO}
    cover = np.mean([covered(world, pooled, 600, resamples=400, seed=1) for world in WORLDS])
    assert 0.93 <= cover <= 0.97


def test_intervals_of_few_questions_hold_the_truth_as_often_as_they_say() -> None:
    few = [replace(world, limit=10) for world in WORLDS]
    one = np.mean([covered(world, FIGURES, 500, resamples=400, seed=4) for world in few], axis=0)
    two = np.mean([difference_covered(world, world, FIGURES, 500, resamples=400, seed=5) for world in few], axis=0)
    cover = dict(zip([*FIGURES, *(f"difference {name}" for name in FIGURES)], [*one, *two], strict=True))
    assert math.isnan(cover.pop("micro"))  # so few answers show nothing of its bias
    assert all(0.92 <= each <= 0.98 for each in cover.values()), cover  # 0.93 to 0.97, but for chance


def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says() -> None:
    both = {"macro": row_sums.MACRO, "micro": row_sums.MICRO}
    cover = np.mean([difference_covered(world, world, both, 600, resamples=400, seed=2) for world in WORLDS], axis=0)
    assert np.all((cover >= 0.93) & (cover <= 0.97)), cover


def test_the_permutation_test_has_its_size_where_the_arms_are_alike() -> None:
    both = {"macro": row_sums.MACRO, "micro": row_sums.MICRO}
    size = np.mean([rejected(world, world, both, 2000, seed=3) for world in WORLDS], axis=0)
    assert np.all((size >= 0.04) & (size <= 0.06)), size
