"""Agreement of two extractors: alpha against published values and the package's plain use, counts, differences."""

from __future__ import annotations

import itertools

import krippendorff
import pytest

from multiplex.evaluation.extraction.agreement import Comparison, Counts, Difference, agreement, reliability
from multiplex.evaluation.extraction.references import Reference
from multiplex.text.sentences import split

TEXT = "Elders first. Ubuntu binds. Zakat is due. The bus is late."


def found(*pairs: tuple[int, str], cue: str = "concept", echo: bool = False) -> list[Reference]:
    return [Reference(0, 1, "x", "x", name, cue, number, echo) for number, name in pairs]


def test_alpha_is_the_value_that_krippendorff_prints_for_two_observers_of_ten_articles() -> None:
    # Computing Krippendorff's Alpha-Reliability (2011), binary data, two observers: alpha = 0.095
    one, other = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    counts = Counts(both=1, first=1, second=3, neither=5)
    assert reliability(counts).alpha == pytest.approx(0.095, abs=5e-4)
    assert reliability(counts).alpha == pytest.approx(krippendorff.alpha([one, other], level_of_measurement="nominal"))


def test_pooled_units_give_what_the_package_gives_unit_by_unit() -> None:
    for both, first, second, neither in itertools.product(range(4), repeat=4):
        result = reliability(Counts(both, first, second, neither))
        answers = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
        if len({answer for unit in answers for answer in unit}) < 2:
            assert result.alpha is None
        else:
            expected = krippendorff.alpha(list(zip(*answers, strict=True)), level_of_measurement="nominal")
            assert result.alpha == pytest.approx(expected, abs=1e-12)


def test_many_sentences_cost_no_memory_and_alpha_keeps_to_its_formula() -> None:
    both, first, second, neither = 3_000_000, 2_000, 1_000, 900_000_000
    yes, no = 2 * both + first + second, 2 * neither + first + second
    expected = 1 - (yes + no - 1) * (first + second) / (yes * no)
    assert reliability(Counts(both, first, second, neither)).alpha == pytest.approx(expected, rel=1e-12)


def test_an_alpha_that_does_not_exist_says_why() -> None:
    assert reliability(Counts()).undefined == "there is no sentence"
    assert reliability(Counts(neither=9)).undefined == "neither ever says yes"
    assert reliability(Counts(both=9)).undefined == "both always say yes"
    assert reliability(Counts(first=9)).alpha is not None


def test_differences_come_in_order_and_name_who_saw_them() -> None:
    comparison = Comparison(names=("local", "judge"))
    ours = found((1, "african"), (2, "islamic"), (2, "western"))
    theirs = found((0, "east_asian"), (1, "african"), (2, "african"))
    assert comparison.add("t1", split(TEXT), ours, theirs) == (
        Difference("t1", 0, "Elders first.", "east_asian", "judge"),
        Difference("t1", 2, "Zakat is due.", "western", "local"),
        Difference("t1", 2, "Zakat is due.", "islamic", "local"),
        Difference("t1", 2, "Zakat is due.", "african", "judge"),
    )
    result = comparison.result()
    assert result.perspectives["african"].counts == Counts(both=1, second=1, neither=2)
    assert result.perspectives["african"].alpha == pytest.approx(1 - 7 * 1 / (3 * 5))
    assert result.perspectives["latin_american"].alpha is None
    assert result.overall.counts == Counts(both=1, first=2, second=2, neither=4 * 7 - 5)
    assert (result.texts, result.sentences) == (1, 4)


def test_texts_add_up_as_if_they_were_one() -> None:
    comparison = Comparison(("african", "islamic"))
    for number in range(3):
        comparison.add(str(number), split(TEXT), found((1, "african")), found((1, "african"), (2, "islamic")))
    result = comparison.result()
    assert result.perspectives["african"].counts == Counts(both=3, neither=9)
    assert result.perspectives["african"].alpha == 1
    assert result.perspectives["islamic"].counts == Counts(second=3, neither=9)
    refs = [found((1, "african"))] * 3, [found((1, "african"), (2, "islamic"))] * 3
    assert agreement(*refs, [split(TEXT)] * 3, ("african", "islamic")) == result
    assert result.summary()["perspectives"]["islamic"]["counts"] == {"both": 0, "first": 0, "second": 3, "neither": 9}


def test_only_the_frame_and_the_cues_are_compared_and_a_sentence_counts_once() -> None:
    comparison = Comparison(("african", "islamic"), ("concept",))
    ours = found((0, "african"), (0, "african"), (1, "jewish")) + found((2, "islamic"), cue="place")
    assert comparison.add("t", split(TEXT), ours, found((0, "african"))) == ()
    assert comparison.result().overall.counts == Counts(both=1, neither=7)


def test_an_echo_is_a_reference_unless_it_is_left_out() -> None:
    ours, theirs = found((1, "african"), echo=True), found((1, "african"))
    assert Comparison().add("t", split(TEXT), ours, theirs) == ()
    (difference,) = Comparison(include_echo=False).add("t", split(TEXT), ours, theirs)
    assert difference.who == "judge"


def test_a_reference_outside_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="sentence 4 of a text of 4"):
        Comparison().add("t", split(TEXT), found((4, "african")), [])
    with pytest.raises(ValueError, match="zip"):
        agreement([[]], [[], []], [split(TEXT)])
