"""The measures of closed answers, on values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from multiplex.survey.measures import alignment, js_similarity, option_distance, skill, transport_similarity
from multiplex.survey.profiles import centre, correlation, identification, leave_one_out, nearest_own
from multiplex.survey.spread import diversity, spanning_length


def test_similarity_runs_from_nothing_in_common_to_the_same_in_base_2() -> None:
    assert js_similarity((1, 0), (0, 1)) == 0
    assert js_similarity((0.3, 0.7), (0.3, 0.7)) == 1
    bits = 0.5 * math.log2(1 / 0.75) + 0.25 * math.log2(0.5 / 0.75) + 0.25 * math.log2(0.5 / 0.25)
    assert js_similarity((1, 0), (0.5, 0.5)) == pytest.approx(1 - math.sqrt(bits))


def test_transport_knows_how_far_apart_options_are() -> None:
    scale = (0.0, 0.5, 1.0)
    assert transport_similarity((1, 0, 0), (0, 0, 1), scale) == 0
    assert transport_similarity((1, 0, 0), (0, 1, 0), scale) == 0.5
    assert transport_similarity((1, 0, 0), (0, 1, 0), (0.0, 1.0, 0.5)) == 0  # the scale's order, not the list's


def test_skill_is_100_for_people_and_0_for_an_even_answer() -> None:
    people = (0.8, 0.2)
    assert skill([(people, people)]) == 100
    assert skill([((0.5, 0.5), people)]) == 0
    assert skill([((0.2, 0.8), people)]) == pytest.approx(-100)
    assert skill([((0.9, 0.1), (0.5, 0.5))]) is None


def test_option_distances_are_over_what_both_answered() -> None:
    options = {"a": 5, "b": 2, "c": 10}
    assert option_distance({"a": 0, "b": 1}, {"a": 4, "b": 1, "c": 9}, options) == pytest.approx(4 / math.sqrt(17))
    assert option_distance({"a": 0}, {"b": 1}, options) is None
    assert alignment({"a": 1}, {"a": 1}, options) == 100


def test_copies_of_a_voice_do_not_lengthen_the_tree() -> None:
    def apart(a: float, b: float) -> float:
        return abs(a - b)

    assert spanning_length([0.0, 1.0, 0.5], apart) == 50
    assert spanning_length([0.0, 0.0, 0.0], apart) == 0
    assert diversity([0.0, 1.0, 0.5], apart) == pytest.approx(200 / 3)
    assert diversity([0.0], apart) is None


def test_profiles_forget_the_level_that_all_share() -> None:
    answers = np.array([[0.9, 0.5, 0.1, 0.4] * 3, [0.7, 0.5, 0.3, 0.4] * 3])
    rows = centre(answers)
    assert correlation(rows[0], rows[1]) == pytest.approx(-1)
    assert correlation(rows[0], np.zeros(12)) is None
    assert correlation(rows[0][:7], rows[1][:7]) is None


def test_a_question_that_only_one_answered_puts_nobody_at_the_mean() -> None:
    rows = centre(np.array([[0.9, 0.5], [0.7, np.nan]]))
    assert rows[0] == pytest.approx([0.1, np.nan], nan_ok=True)


def test_a_country_has_no_part_in_what_it_is_compared_with() -> None:
    rng = np.random.default_rng(1)
    rows = rng.random((6, 200))
    found = leave_one_out(rows, ["x", "x", "x", "y", "y", None])
    assert all(set(each) == {"x", "y"} for each in found)
    alone = leave_one_out(rows[:4], ["x", "x", "x", "y"])
    assert "y" not in alone[3]
    assert nearest_own(leave_one_out(rows[:3], ["x", "x", "x"]), ["x", "x", "x"]) == (0, 0)  # nothing else is there
    changed = rows.copy()
    changed[0] = 1 - rows[0]
    assert leave_one_out(changed, ["x", "x", "x", "y", "y", None])[0]["x"] != found[0]["x"]
    assert leave_one_out(changed, ["x", "x", "x", "y", "y", None])[0]["x"] < found[0]["x"]


def test_identification_counts_own_columns_and_says_what_chance_is() -> None:
    assert identification([[0.9, 0.1], [0.5, 0.4]]) == (0.5, 0.5, 2)
    assert identification([[None, 0.1], [0.5, 0.4]]) == (0, 0.5, 1)  # what cannot be measured is not wrong
    assert identification([[0.9, 0.1, None], [0.5, 0.5, 0.2]], [0, 1]) == (0.75, pytest.approx(5 / 12), 2)
    assert identification([[None, 0.1], [0.5, None]]) is None
