"""Figures over many texts, against what their definition says and against the figures of single texts."""

from __future__ import annotations

import math

import pytest

from multiplex.evaluation import Evaluator, Measures
from multiplex.evaluation.extraction.frame import FRAME, HEADLINE_CUES
from multiplex.evaluation.statistics import diversity
from multiplex.evaluation.statistics.summary import WAITING, Summary, Tally

TEXTS = [
    "Koreans greet elders first. Ubuntu says that persons are made by others. Kant wrote on duty.",
    "Muslims pay zakat. Islamic scholars differ.",
    "The house was quiet.",
    "Hindus speak of dharma. The Maori speak of whakapapa.",
]


@pytest.fixture(scope="module")
def measured() -> list[Measures]:
    evaluator = Evaluator(sentiment=False)
    return [evaluator.measure(text) for text in TEXTS]


def summed(measured: list[Measures]) -> Summary | None:
    with Tally(FRAME, HEADLINE_CUES) as tally:
        for each in measured:
            tally.add(each)
        return tally.summary()


def test_every_weighting_and_reading_is_the_definition(measured: list[Measures]) -> None:
    made = summed(measured)
    assert made is not None
    assert (made.texts, made.with_reference.value) == (4, 0.75)
    known = [each.entropy for each in measured if each.entropy is not None]
    reference = made.weightings["reference"]
    assert reference.macro.value == pytest.approx(sum(known) / 3)
    assert reference.macro0.value == pytest.approx(sum(known) / 4)
    counts = {name: sum(each.counts[name] for each in measured) for name in FRAME}
    assert made.references == sum(counts.values())
    assert reference.micro.value == pytest.approx(diversity.entropy_percent(counts))
    assert reference.hill_number.value == pytest.approx(diversity.hill_number(counts))
    for name, share in diversity.shares(counts).items():
        assert reference.shares[name].value == pytest.approx(share)
    words = {name: sum(each.counts_by_words[name] for each in measured) for name in FRAME}
    assert made.weightings["words"].micro.value == pytest.approx(diversity.entropy_percent(words))
    presence = {name: sum(each.counts[name] > 0 for each in measured) for name in FRAME}
    assert made.weightings["presence"].micro.value == pytest.approx(diversity.entropy_percent(presence))
    assert made.never == tuple(name for name, value in counts.items() if not value)
    assert made.sentiment is None


def test_intervals_are_seeded_and_within_bounds(measured: list[Measures]) -> None:
    first, again = summed(measured * 5), summed(measured * 5)
    assert first == again
    assert first is not None
    for weighting in first.weightings.values():
        for estimate in (*weighting.shares.values(), weighting.macro, weighting.macro0, weighting.micro):
            assert estimate.value is not None
            if estimate.low is not None and estimate.high is not None:
                assert 0 <= estimate.low <= estimate.high <= 100 + 1e-9


def test_one_text_has_no_interval_and_none_has_no_summary(measured: list[Measures]) -> None:
    alone = summed(measured[:1])
    assert alone is not None
    assert alone.with_reference.low is None
    assert alone.weightings["reference"].jackknife is None
    assert summed([]) is None


def test_texts_without_any_reference_have_no_entropy(measured: list[Measures]) -> None:
    made = summed([measured[2]] * 3)
    assert made is not None
    assert made.weightings["reference"].macro.value is None
    assert made.weightings["reference"].micro.value is None
    assert made.weightings["reference"].macro0.value == 0.0
    assert made.berger_parker.value is None


def test_rows_on_disk_are_those_taken_in(measured: list[Measures]) -> None:
    texts = measured * (WAITING // 4 + 3)
    with Tally(FRAME, HEADLINE_CUES) as tally:
        for each in texts:
            tally.add(each)
        assert len(tally) == len(texts)
        assert tally[:4].tolist() == tally[WAITING : WAITING + 4].tolist() == tally[len(texts) - 4 :].tolist()
        assert math.isclose(tally[:].sum(), tally[:4].sum() * len(texts) / 4)
