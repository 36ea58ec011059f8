"""One text is measured over one frame; what our own code wrote is never measured."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from multiplex.errors import ContentError, UsageError
from multiplex.evaluation import FRAME, Evaluator, Measures

TEXT = (
    "Japanese families honour their elders. Muslims pay zakat to the poor with joy. "
    "Korean children bow. He flew to India. Jewish families light candles."
)


@pytest.fixture(scope="module")
def evaluator(gazetteer_folder: Path) -> Evaluator:
    return Evaluator(gazetteers=gazetteer_folder)


@pytest.fixture(scope="module")
def measured(evaluator: Evaluator) -> Measures:
    return evaluator.measure(TEXT)


def test_the_headline_counts_named_and_concept_cues_inside_the_frame(measured: Measures) -> None:
    assert measured.counts == {**dict.fromkeys(FRAME, 0), "east_asian": 2, "islamic": 1}
    assert measured.n == 3
    assert measured.shares["east_asian"] == pytest.approx(2 / 3)
    assert sum(measured.shares.values()) == pytest.approx(1.0)
    nats = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert measured.entropy == pytest.approx(100 * nats / math.log(7))
    assert measured.hill_number == pytest.approx(math.exp(nats))
    assert measured.excluded == pytest.approx(5 / 7)
    assert measured.berger_parker == pytest.approx(2 / 3)
    assert measured.expected_perspectives is None


def test_places_and_perspectives_out_of_frame_stand_beside_the_headline(measured: Measures) -> None:
    assert measured.places["south_asian"] == 1
    assert measured.out_of_frame == pytest.approx(1 / 4)
    assert measured.words == 24
    assert measured.per_100_words == pytest.approx(12.5)


def test_another_frame_and_other_cues_count_otherwise(gazetteer_folder: Path) -> None:
    other = Evaluator(("south_asian", "jewish"), ("place", "named"), gazetteers=gazetteer_folder).measure(TEXT)
    assert other.counts == {"south_asian": 1, "jewish": 1}
    assert other.entropy == pytest.approx(100.0)
    assert other.out_of_frame == pytest.approx(3 / 5)


def test_tones_are_probabilities_and_stance_is_that_of_the_referring_sentences(measured: Measures) -> None:
    for tone in (measured.sentiment, *measured.stance.values()):
        assert tone.positive + tone.neutral + tone.negative == pytest.approx(1.0, abs=1e-5)
        assert min(tone.positive, tone.neutral, tone.negative) >= 0.0
    assert set(measured.stance) == {"east_asian", "islamic"}


def test_a_glad_sentence_is_more_positive_than_a_bitter_one(evaluator: Evaluator) -> None:
    glad = evaluator.measure("Muslims welcome guests with wonderful, joyful and loving hospitality.")
    bitter = evaluator.measure("Muslims suffered a horrible, cruel and hateful attack.")
    assert glad.stance["islamic"].positive > bitter.stance["islamic"].positive + 0.3
    assert bitter.stance["islamic"].negative > glad.stance["islamic"].negative + 0.3


def test_an_echo_of_the_question_is_recorded_and_not_counted(evaluator: Evaluator) -> None:
    echoed = evaluator.measure(TEXT, question="How do families live in Japan?")
    assert echoed.counts["east_asian"] == 1
    assert [found.text for found in echoed.references if found.echo] == ["Japanese"]


def test_the_unprompted_entropy_leaves_out_what_stood_in_the_prompt(evaluator: Evaluator) -> None:
    prompted = evaluator.measure(TEXT, prompt="Speak of Islam and of zakat.")
    assert prompted.entropy == evaluator.measure(TEXT).entropy
    assert prompted.entropy_unprompted == 0.0
    everything = evaluator.measure(TEXT, prompt="Islam, zakat, Japan, Korea, Judaism")
    assert everything.entropy_unprompted is None
    assert everything.n == 3


def test_scaffold_is_left_out_of_everything(evaluator: Evaluator) -> None:
    heading = "## African: ubuntu is a horrible lie\n\n"
    with_heading = evaluator.measure(heading + TEXT, scaffold=[(0, len(heading))])
    without = evaluator.measure(TEXT)
    assert with_heading.summary() == without.summary()
    assert [found.start - len(heading) for found in with_heading.references] == [
        found.start for found in without.references
    ]
    assert evaluator.measure(heading + TEXT).counts["african"] == 1


def test_a_text_without_a_reference_has_no_entropy(evaluator: Evaluator) -> None:
    plain = evaluator.measure("The train leaves at noon.")
    assert plain.n == 0
    assert plain.shares == dict.fromkeys(FRAME, 0.0)
    assert (plain.entropy, plain.hill_number, plain.berger_parker, plain.out_of_frame) == (None, None, None, None)
    assert plain.excluded == 1.0
    assert plain.stance == {}


@pytest.mark.parametrize(("text", "scaffold"), [("", []), (" \n---\n", []), ("Muslims fast.", [(0, 13)])])
def test_nothing_to_measure_is_an_error_and_not_a_zero(
    evaluator: Evaluator, text: str, scaffold: list[tuple[int, int]]
) -> None:
    with pytest.raises(UsageError, match="nothing to measure"):
        evaluator.measure(text, scaffold=scaffold)


def test_the_summary_is_the_contract_and_plain_json(measured: Measures) -> None:
    summary = json.loads(json.dumps(measured.summary(), allow_nan=False))
    assert list(summary) == [
        "reference_count",
        "references",
        "shares",
        "entropy",
        "depth",
        "hill_number",
        "effective",
        "excluded",
        "berger_parker",
        "dominance",
        "out_of_frame",
        "sentiment",
        "words",
    ]
    assert summary["reference_count"] == summary["references"] == 3
    assert set(summary["shares"]) == set(FRAME)
    assert set(summary["sentiment"]) == {"positive", "neutral", "negative"}


def test_measures_are_frozen_and_survive_json_under_their_former_names_too(measured: Measures) -> None:
    written = json.loads(measured.model_dump_json())
    assert Measures.model_validate(written) == measured
    assert (written["effective"], written["dominance"]) == (measured.hill_number, measured.berger_parker)
    assert Measures.model_validate({key: written[key] for key in written if key != "hill_number"}) == measured
    with pytest.raises(ValidationError):
        measured.n = 4  # type: ignore[misc]


def test_threads_share_one_evaluator(gazetteer_folder: Path) -> None:
    shared = Evaluator(gazetteers=gazetteer_folder)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: shared.measure(TEXT).model_dump(), range(8)))
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    ("frame", "cues", "says"),
    [
        (("western", "atlantean"), ("named",), "unknown perspective 'atlantean'"),
        (("western",), ("named",), "name at least 2"),
        (("western", "western"), ("named",), "named twice"),
        (FRAME, ("hint",), "unknown cue 'hint'"),
        (FRAME, (), "name at least 1"),
    ],
)
def test_a_wrong_frame_or_cue_is_refused_before_anything_is_loaded(
    frame: tuple[str, ...], cues: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        Evaluator(frame, cues)


def test_a_missing_gazetteer_is_an_error_each_time_it_is_needed(tmp_path: Path) -> None:
    lost = Evaluator(gazetteers=tmp_path)
    for _ in range(2):
        with pytest.raises(ContentError, match="holds no"):
            lost.measure(TEXT)
