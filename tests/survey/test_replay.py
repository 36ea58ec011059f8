"""The figures that were computed from the recorded answers and published beside them come out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.survey.baselines import mean_of, others
from multiplex.survey.data import Survey
from multiplex.survey.measures import js_similarity, majority, uniform
from multiplex.survey.profiles import ceiling, leave_one_out, nearest_own
from multiplex.survey.readers import read_survey
from multiplex.survey.replay import Replay, homes, human_rows, read_recorded, replay

DATA = Path(__file__).parents[3] / "shared" / "data" / "survey"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the survey files, which may not be shipped, are not here")
FIVE = ("BRA", "CHN", "MEX", "NGA", "NZL")


@pytest.fixture(scope="module")
def wvs() -> Survey:
    return read_survey(DATA / "wvs7_distributions.jsonl", DATA / "wvs7_questions.jsonl", keep_non_answers=True)


@pytest.fixture(scope="module")
def over_five(wvs: Survey) -> Replay:
    return replay(wvs, *read_recorded(DATA / "recorded_answers.jsonl", wvs), FIVE)


@pytest.fixture(scope="module")
def over_all(wvs: Survey) -> Replay:
    return replay(wvs, *read_recorded(DATA / "recorded_answers.jsonl", wvs))


def test_people_of_five_countries_are_as_diverse_as_the_paper_says(over_five: Replay) -> None:
    assert over_five.people.diversity == pytest.approx(43.12, abs=0.01)


@pytest.mark.parametrize(
    ("model", "alignment", "diversity"),
    [
        ("claude-opus-4.7", 70.6, 28.4), ("gpt-5.4", 69.6, 25.5), ("grok-3", 71.7, 25.4), ("grok-4", 69.3, 30.5),
        ("gemini-2.5-pro", 68.0, 35.7),
    ],
)  # fmt: skip
def test_models_as_countries_align_and_differ_as_was_computed(
    over_five: Replay, model: str, alignment: float, diversity: float
) -> None:
    row = next(row for row in over_five.models if row.who == model)
    assert row.alignment == pytest.approx(alignment, abs=0.1)
    assert row.diversity == pytest.approx(diversity, abs=0.1)


def test_the_baselines_stand_where_they_stood(over_five: Replay, over_all: Replay) -> None:
    one, _ = over_five.baselines
    _, own = over_all.baselines
    assert one.alignment == pytest.approx(63.3, abs=0.1)
    assert (own.alignment, own.countries) == (pytest.approx(74.6, abs=0.1), 16)
    assert "CHN, IND, THA" in own.note


def test_profiles_agree_with_the_own_country_and_with_no_other(over_all: Replay) -> None:
    row = next(row for row in over_all.models if row.who == "claude-opus-4.7")
    assert row.alignment == pytest.approx(73.5, abs=0.1)
    assert row.profile_r == pytest.approx(0.57, abs=0.01)
    assert row.other_r == pytest.approx(-0.03, abs=0.01)
    assert row.chance == pytest.approx(1 / 19)


def test_the_human_ceiling_of_58_countries_is_reproduced() -> None:
    means = read_survey(DATA / "wvs7_means.csv", DATA / "wvs7_languages" / "english.jsonl")
    assert (len(means.questions), len(means.countries)) == (144, 58)
    found = leave_one_out(human_rows(means.numbered(), means.countries), homes(means))
    reached = ceiling(found, homes(means))
    known = {"western": 0.78, "african": 0.69, "south_asian": 0.63, "latin_american": 0.62, "east_asian": 0.62}
    known["islamic"] = 0.58
    assert {name: reached[name] for name in known} == pytest.approx(known, abs=0.01)
    assert nearest_own(found, homes(means)) == (40, 58)


def test_closeness_to_global_opinions_is_in_base_2() -> None:
    opinions = read_survey(DATA / "global_opinion_qa.jsonl", keep_non_answers=True)
    even, single, mean = [], [], []
    for question in opinions.questions:
        for country, people in opinions.shares[question.id].items():
            rest = mean_of(opinions, question.id, others(opinions, country))
            assert rest is not None
            chosen = [float(place == majority(rest)) for place in range(len(rest))]
            even.append(js_similarity(uniform(len(people)), people))
            single.append(js_similarity(chosen, people))
            mean.append(js_similarity(rest, people))
    found = [sum(each) / len(each) for each in (even, single, mean)]
    assert found == pytest.approx([0.593, 0.456, 0.812], abs=0.01)


@pytest.mark.parametrize(
    ("name", "questions", "told"),
    [
        ("wvs7_distributions.jsonl", 222, "2,171 distributions did not sum to 1 (least 0.31)"),
        ("wvs7_distributions.jsonl", 222, "which may be coded otherwise than listed: Q119, Q122, Q123"),
        ("global_opinion_qa.jsonl", 388, "Britain and Great Britain (GBR)"),
        ("global_opinion_qa.jsonl", 388, "so it is no one question: 110, 195, 200, 265"),
        ("opinions_14x180.csv", 180, "Never heard of"),
    ],
)
def test_every_file_is_read_and_what_was_changed_is_told(name: str, questions: int, told: str) -> None:
    survey = read_survey(DATA / name, DATA / "wvs7_questions.jsonl" if name.startswith("wvs7") else None)
    assert len(survey.questions) == questions
    assert any(told in note for note in survey.notes), survey.notes
    assert all(sum(s) == pytest.approx(1) for of in survey.shares.values() for s in of.values())


@pytest.mark.parametrize("language", ["chinese", "german", "korean", "spanish"])
def test_the_questionnaires_of_other_languages_are_read(language: str) -> None:
    survey = read_survey(DATA / "wvs7_means.csv", DATA / "wvs7_languages" / f"{language}.jsonl")
    assert survey.by_id["Q1"].text != "How important is family in your life?"
    assert len(survey.questions) == (132 if language == "chinese" else 144)
