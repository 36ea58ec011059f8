"""The numbers agree with their formulas, worked by hand."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.errors import UsageError
from multiplex.evaluation.statistics import diversity, row_sums
from tests.properties import examples

EVEN = {"a": 3, "b": 3, "c": 3, "d": 3}
SKEWED = {"a": 6, "b": 2, "c": 0, "d": 0}
NONE = {"a": 0, "b": 0, "c": 0, "d": 0}


def test_shares_are_parts_of_all_references() -> None:
    assert diversity.shares(SKEWED) == {"a": 0.75, "b": 0.25, "c": 0.0, "d": 0.0}
    assert diversity.shares(NONE) == dict.fromkeys("abcd", 0.0)


def test_entropy_is_normalised_by_the_frame_and_not_by_what_was_found() -> None:
    assert diversity.entropy_percent(EVEN) == pytest.approx(100.0)
    assert diversity.entropy_percent({"a": 5, "b": 0}) == 0.0
    by_hand = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(4) * 100
    assert diversity.entropy_percent(SKEWED) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(40.5639, abs=1e-4)


def test_the_effective_number_is_how_many_even_perspectives_spread_as_widely() -> None:
    assert diversity.hill_number(EVEN) == pytest.approx(4.0)
    assert diversity.hill_number({"a": 2, "b": 2, "c": 0, "d": 0}) == pytest.approx(2.0)
    assert diversity.hill_number(SKEWED) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


def test_excluded_and_dominance() -> None:
    assert (diversity.excluded(SKEWED), diversity.berger_parker(SKEWED)) == (0.5, 0.75)
    assert (diversity.excluded(EVEN), diversity.berger_parker(EVEN)) == (0.0, 0.25)


def test_without_a_reference_there_is_no_entropy_and_everything_is_excluded() -> None:
    assert diversity.entropy_percent(NONE) is None
    assert diversity.hill_number(NONE) is None
    assert diversity.berger_parker(NONE) is None
    assert diversity.expected_perspectives(NONE) is None
    assert diversity.excluded(NONE) == 1.0


def test_expected_perspectives_is_the_mean_over_all_draws() -> None:
    # Of the 6 ways to draw 5 from {a: 4, b: 2}, 2 leave out one b and 4 leave out one a: both always show.
    assert diversity.expected_perspectives({"a": 4, "b": 2}) == pytest.approx(2.0)
    # C(5, 5) / C(6, 5) = 1 / 6 of the draws miss b.
    assert diversity.expected_perspectives({"a": 5, "b": 1}) == pytest.approx(1 + 5 / 6)
    assert diversity.expected_perspectives({"a": 2, "b": 2}) is None
    assert diversity.expected_perspectives({"a": 2, "b": 2}, m=2) == pytest.approx(2 * (1 - 1 / 6))


def test_expected_perspectives_does_not_overflow_on_a_long_text() -> None:
    assert diversity.expected_perspectives({"a": 10**9, "b": 10**9}) == pytest.approx(2 - 2 * 0.5**5, rel=1e-6)


def test_a_perspective_counts_once_by_presence_and_in_parts_by_words() -> None:
    assert diversity.by_presence(SKEWED) == {"a": 1, "b": 1, "c": 0, "d": 0}
    words = diversity.by_words([(0, "a"), (0, "b"), (1, "a"), (2, "z")], [10, 4, 7], ("a", "b", "c"))
    assert words == {"a": 9.0, "b": 5.0, "c": 0.0}


@pytest.mark.parametrize("counts", [{"a": 1}, {}, {"a": 1, "b": -1}, {"a": 1, "b": math.nan}, {"a": math.inf, "b": 0}])
@pytest.mark.parametrize(
    "function",
    [
        diversity.shares,
        diversity.entropy_percent,
        diversity.hill_number,
        diversity.excluded,
        diversity.berger_parker,
        diversity.expected_perspectives,
    ],
)
def test_what_is_no_distribution_is_refused(function: object, counts: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        function(counts)  # type: ignore[operator]


def test_parts_of_references_and_draws_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="whole references"):
        diversity.expected_perspectives({"a": 5.5, "b": 1})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="at least 1"):
        diversity.expected_perspectives(EVEN, m=0)


@examples(60)
@given(st.lists(st.integers(0, 40), min_size=2, max_size=9), st.randoms(use_true_random=False))
def test_figures_keep_within_their_ranges_and_know_neither_order_nor_scale(values: list[int], rng: Random) -> None:
    counts = {f"p{number}": value for number, value in enumerate(values)}
    mixed = dict(rng.sample(sorted(counts.items()), len(counts)))
    doubled = {name: 2 * value for name, value in counts.items()}
    entropy, drawn = diversity.entropy_percent(counts), diversity.expected_perspectives(counts, 3)
    rows, defined = row_sums.entropies(np.array([values], dtype=float))
    assert (entropy is None) == (not any(values)) == (not defined[0])
    assert sum(diversity.shares(counts).values()) == pytest.approx(float(any(values)))
    assert diversity.excluded(counts) == pytest.approx(values.count(0) / len(values))
    if entropy is None:
        return
    invoked = len(values) - values.count(0)
    assert diversity.entropy_percent(mixed) == pytest.approx(entropy, abs=1e-9)
    assert diversity.entropy_percent(doubled) == pytest.approx(entropy, abs=1e-9)
    assert rows[0] == pytest.approx(entropy, abs=1e-9)
    assert 1 - 1e-9 <= 1 / (diversity.berger_parker(counts) or 0) <= (diversity.hill_number(counts) or 0) + 1e-9
    assert (diversity.hill_number(counts) or 0) <= invoked + 1e-9
    assert drawn is None if sum(values) < 3 else 1 - 1e-9 <= (drawn or 0) <= min(3, invoked) + 1e-9
