"""Survey files in their forms, and bad ones, which are told with their line and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiplex.errors import ContentError, UsageError
from multiplex.survey.countries import find_country
from multiplex.survey.data import Survey, SurveyQuestion, most_divided
from multiplex.survey.readers import read_questions, read_survey, write_survey
from multiplex.survey.replay import read_recorded, replay
from multiplex.survey.scales import find_scale, split_options

QUESTIONS = '{"id": "Q1", "question": "Do you agree?", "options": ["Agree", "Disagree"]}\n'


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_published_form_of_global_opinion_is_read_without_being_executed(tmp_path: Path) -> None:
    row = "\"Fine?\",\"defaultdict(<class 'list'>, {'France': [0.6, 0.3, 0.1], 'Kenya': [0.2, 0.8, 0.0]})\","
    row += "\"['Yes', 'No', 'DK/Refused']\",GAS\n"
    path = written(tmp_path, "data.csv", "question,selections,options,source\n" + row)
    survey = read_survey(path)
    (question,) = survey.questions
    assert (question.options, question.non_answers) == (("Yes", "No"), ("DK/Refused",))
    assert survey.shares[question.id]["FRA"] == pytest.approx((2 / 3, 1 / 3))
    bad = row.replace("{'France'", "{__import__('os').getcwd(): 1, 'France'")
    with pytest.raises(ContentError, match=r"data.csv:2: selections"):
        read_survey(written(tmp_path, "data.csv", "question,selections,options,source\n" + bad))


def test_microdata_are_weighted_and_missing_codes_left_out(tmp_path: Path) -> None:
    people = "B_COUNTRY_ALPHA,W_WEIGHT,Q1: Agreement,Q9\nEGY,2,1,1\nEGY,1,2,1\nEGY,1,-2,1\nJPN,1,2,1\n"
    questions = written(tmp_path, "q.jsonl", QUESTIONS)
    survey = read_survey(written(tmp_path, "wvs.csv", people), questions)
    assert survey.shares["Q1"] == {"EGY": pytest.approx((2 / 3, 1 / 3)), "JPN": (0.0, 1.0)}
    made = tmp_path / "survey.jsonl"
    write_survey(survey, made)
    assert read_survey(made) == survey
    assert "EGY,2" not in made.read_text("utf-8")
    damaged = written(tmp_path, "wvs.csv", people + "EGY,-1,2,1\n")
    assert "respondents left out, a negative weight: line 6" in read_survey(damaged, questions).notes
    with pytest.raises(ContentError, match=r"wvs\.csv:6: W_WEIGHT: 'NaN' is no number"):
        read_survey(written(tmp_path, "wvs.csv", people + "EGY,NaN,2,1\n"), questions)


@pytest.mark.parametrize(
    ("options", "codes", "shares", "told"),
    [
        (
            ["Disagree", "Hard to say", "Agree"],
            "0122",
            (0.25, 0.25, 0.5),
            "coded from 0, so that 0 is the first option",
        ),
        (["Disagree", "Hard to say", "Agree"], "1233", (0.25, 0.25, 0.5), ""),
        (["Disagree", "Hard to say", "Agree"], "1129", (2 / 3, 1 / 3, 0), "codes of Q1 (up to 9)"),
        (["Disagree", "Hard to say", "Agree"], "1122", (0.5, 0.5, 0), "an option that no country chose, which may be"),
        (["0", "1", "2", "3"], "1223", (0, 0.25, 0.5, 0.25), "an option that no country chose"),
        (["Disagree", "Agree"], "0122", None, "more codes than options (the questions file needs"),
        (["Disagree", "Agree"], ["-4", "", "NA", " "], None, "left out, no country has answers: Q1"),
        (["Disagree", "Agree"], ["Agree", "Disagree"], None, "text where a code should be (export codes, not their"),
    ],
)
def test_codes_of_respondents_are_put_on_the_options_they_mean(
    tmp_path: Path, options: list[str], codes: list[str], shares: tuple[float, ...] | None, told: str
) -> None:
    questions = json.dumps({"id": "Q1", "question": "So?", "options": options})
    questions += '\n{"id": "Q2", "question": "Sure?", "options": ["Yes", "No"]}'
    people = "B_COUNTRY_ALPHA,W_WEIGHT,Q1,Q2\n" + "".join(f"EGY,1,{code},{1 + i % 2}\n" for i, code in enumerate(codes))
    survey = read_survey(written(tmp_path, "wvs.csv", people), written(tmp_path, "q.jsonl", questions))
    assert survey.shares.get("Q1", {}).get("EGY") == (pytest.approx(shares) if shares else None)
    assert told in "; ".join(survey.notes)
    assert bool(survey.notes) == bool(told)


@pytest.mark.parametrize(
    ("name", "head", "country"),
    [
        ("wvs.csv", '"B_COUNTRY_ALPHA: ISO 3166-1 alpha-3 country code","W_WEIGHT: Weight","Q1: Do, or not"', "MMR"),
        ("wvs.csv", "B_COUNTRY: ISO 3166-1 numeric country code,w_weight,q1", "104.0"),
        ("wvs.csv", "b_country,W_WEIGHT,Q1", "104"),
        ("wvs.csv", "C_COW_ALPHA;Q9;B_COUNTRY;W_WEIGHT;Q1", "MYA;1;104"),
        ("WVS.TSV", "B_COUNTRY_ALPHA\tW_WEIGHT\tQ1", "MMR"),
    ],
)
def test_respondents_are_read_however_the_official_file_was_saved(
    tmp_path: Path, name: str, head: str, country: str
) -> None:
    between = next(mark for mark in "\t;," if mark in head)
    rows = [head, *(between.join((country, weight, code)) for weight, code in (("3", "1"), ("1", "2")))]
    questions = written(tmp_path, "q.jsonl", QUESTIONS)
    survey = read_survey(written(tmp_path, name, "\n".join(rows)), questions)
    assert survey.shares == {"Q1": {"MMR": (0.75, 0.25)}}
    assert survey.notes == ()
    bare = read_survey(written(tmp_path, "a.csv", "B_COUNTRY_ALPHA,Q1\nMMR,1\nMMR,2\n"), questions)
    assert bare.shares == {"Q1": {"MMR": (0.5, 0.5)}}
    assert "no column W_WEIGHT: unweighted, every respondent counts the same" in bare.notes


def test_a_survey_is_the_same_under_another_name_and_with_other_notes() -> None:
    questions = (SurveyQuestion(id="q", text="Fine?", options=("Yes", "No")),)
    first = Survey(name="a", questions=questions, shares={"q": {"EGY": (0.5, 0.5)}})
    assert Survey(name="b", questions=questions, shares=first.shares, notes=("told",)).digest == first.digest
    assert Survey(name="a", questions=questions, shares={"q": {"EGY": (1.0, 0.0)}}).digest != first.digest


def test_a_table_of_anyone_is_read_and_names_of_one_country_are_joined(tmp_path: Path) -> None:
    table = "question,options,country,distribution\n" + "".join(
        f'Good?,Good|GOOD|Bad,{country},"{shares}"\n'
        for country, shares in (("Britain", "[1, 0, 1]"), ("Great Britain", "0;1;1"), ("Atlantis", "[2, 1, 1]"))
    )
    survey = read_survey(written(tmp_path, "own.csv", table))
    assert survey.shares["q1"] == {"GBR": (0.25, 0.25, 0.5), "Atlantis": (0.5, 0.25, 0.25)}
    told = " ".join(survey.notes)
    assert "Britain and Great Britain (GBR)" in told
    assert "in no perspective, counted among all countries only: Atlantis" in told
    assert "3 distributions did not sum to 1 (least 2.00)" in told


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.jsonl",
            '{"country": "EGY", "id": "Q1", "distribution": [0.5, -0.5]}',
            "a.jsonl:1: distribution: a share is neg",
        ),
        ("a.jsonl", '{"country": "EGY", "id": "Q1", "distribution": [1]}', "1 shares for the 2 options of Q1"),
        ("a.jsonl", '{"country": "EGY", "id": "Q2", "distribution": [1, 0]}', "no question 'Q2' in --questions"),
        ("a.jsonl", '{"country": "EGY", "id": "Q1", "distribution": [0, 0]}', "nobody gave an answer"),
        ("a.jsonl", '{"country": "EGY"', "a.jsonl:1: no JSON"),
        ("a.csv", "x,y\n1,2\n", "of no known form (columns x, y)"),
        ("a.csv", "country,Q1\nEGY,7\n", "the mean lies outside the scale"),
        ("a.csv", "", "holds nothing"),
        ("a.csv", "C_COW_ALPHA,Q1\nAUS,1\n", "a.csv:1: has countries as C_COW_ALPHA only; B_COUNTRY_ALPHA"),
        ("a.csv", "W_WEIGHT,Q1,B_COUNTRY_ALPHA\n1,1,EGY\n1,1\n", "a.csv:3: the row names no country"),
        ("a.csv", "B_COUNTRY_ALPHA,Q1\n" + "EGY,1\n" * 9999 + "EGY,\udce9\n", "a.csv:10001: is not UTF-8 text"),
        ("a.csv", "country,Q1\nEGY,1,9\n", "a.csv:2: the row has more cells than the header"),
        ("a.csv", "country,Q1,Q1\nEGY,1,9\n", "a.csv:1: two columns are named 'Q1'"),
        ("a.csv", "Q1,country\n1\n", "a.csv:2: country: missing"),
        ("a.csv", "id,question,options,country,share\n1,A?,Y|N,EGY,1|0\n1,B?,Y|N,EGY,1|0\n", "3: question: '1' stood"),
        ("a.csv", "question,options,country,share\nA?,Y|N,EGY,1|0\nA?,Y|NO,EGY,1|0\n", "a.csv:3: options: 'q1' had"),
        ("a.csv", "id,options,country,share\nQ1,Yes|No,EGY,1|0\n", "a.csv:2: options: 'Q1' had other options before"),
        (
            "a.jsonl",
            '{"question": "A?", "options": ["Y", "N"], "countries": {"Peru": [1, 1]}}\n{"countries": {"Peru": [1, 1]}}',
            "a.jsonl:2: options: missing",
        ),
        ("a.txt", "x", "a .csv, .tsv, .jsonl or .json file can be read"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    questions = written(tmp_path, "q.jsonl", QUESTIONS)
    (path := tmp_path / name).write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ContentError) as caught:
        read_survey(path, questions)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_questions_with_one_id_are_refused_and_the_id_0_is_one(tmp_path: Path) -> None:
    rows = [{"id": n, "question": f"{n}?", "options": ["Yes", "No"], "countries": {"Peru": [n, 1]}} for n in (0, 1)]
    survey = read_survey(written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert survey.shares == {"0": {"PER": (0, 1)}, "1": {"PER": (0.5, 0.5)}}
    with pytest.raises(ContentError, match=r"q\.jsonl:2: id: 'Q1' stands twice"):
        read_questions(written(tmp_path, "q.jsonl", QUESTIONS * 2))
    write_survey(survey, made := tmp_path / "own.jsonl")
    head, first, _ = made.read_text("utf-8").splitlines()
    for wrong, told in (
        (f"{first}\n{first}", "two questions"),
        (first.replace("[0.0,", "[0.0, 1,"), "shares or a scale"),
        (first.replace("[0.0, 1.0]", "[40, 60]"), "0: the shares of PER do not sum to 1"),
        (first.replace("[0.0, 1.0]", "[-1, 2]"), "0: the shares of PER do not sum to 1, or one is negative"),
        (first.replace('"means": {}', '"means": {"PER": 2}'), "0: the mean of PER is 2, and not from 0 to 1"),
    ):
        with pytest.raises(ContentError, match=told):
            read_survey(written(tmp_path, "own.jsonl", f"{head}\n{wrong}\n"))


def test_options_in_another_order_are_the_same_and_an_answer_given_twice_is_told(tmp_path: Path) -> None:
    table = "question,options,country,distribution\nGood?,Yes|No,Egypt,0.9|0.1\nGood?,No|Yes,Japan,0.1|0.9\n"
    survey = read_survey(written(tmp_path, "own.csv", f"{table}Good?,Yes|No,Egypt,0.7|0.3\n,,,\n"))
    assert survey.shares["q1"] == {"EGY": pytest.approx((0.8, 0.2)), "JPN": (0.9, 0.1)}
    assert survey.notes == ("a country's answers to one question were given more than once, and averaged: q1 in EGY",)
    turned = written(tmp_path, "a.csv", "id,options,country,share\nQ1,Disagree|Agree,Egypt,0.9|0.1\n")
    assert read_survey(turned, written(tmp_path, "q.jsonl", QUESTIONS)).shares["Q1"] == {"EGY": (0.1, 0.9)}


@pytest.mark.parametrize(
    ("options", "mean", "kept", "told"),
    [
        (["Very good", "Good", "Bad", "Very bad", "Don't know"], "4", 1.0, "set apart"),
        (["0", "1", "2"], "1.5", 0.75, ""),
        (["Better", "Worse", "About the same"], "2", None, "means that have no place on a scale"),
        (["Very good", "Don't know", "Good", "Bad", "Very bad"], "4", None, "means that have no place on a scale"),
        (["Yes, no"], "1", None, "fewer than two options that are an answer: Q1"),
    ],
)
def test_means_are_over_the_answers_where_these_have_their_order(
    tmp_path: Path, options: list[str], mean: str, kept: float | None, told: str
) -> None:
    questions = json.dumps({"id": "Q1", "question": "So?", "options": options})
    questions += '\n{"id": "Q2", "question": "Sure?", "options": ["Yes", "No"]}'
    means = written(tmp_path, "a.csv", f"country,Q1,Q2\nPeru,{mean},1\n")
    survey = read_survey(means, written(tmp_path, "q.jsonl", questions))
    assert {question.id: survey.mean(question.id, "PER") for question in survey.questions}.get("Q1") == kept
    assert told in "; ".join(survey.notes)


def test_rows_of_json_lines_may_hold_a_zero_and_lack_a_column(tmp_path: Path) -> None:
    rows = [{"country": "Peru", "Q1": 0}, {"country": "Chile", "Q1": 2, "Q2": 1}]
    questions = [{"id": "Q1", "question": "So?", "options": ["0", "1", "2"], "cluster": 0}]
    questions.append({"id": "Q2", "question": "Sure?", "options": ["Yes", "No"]})
    asked = written(tmp_path, "q.jsonl", "\n".join(map(json.dumps, questions)))
    survey = read_survey(written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))), asked)
    assert survey.means == {"Q1": {"PER": 0, "CHL": 1}, "Q2": {"CHL": 0}}
    assert [question.cluster for question in survey.questions] == ["0", ""]
    table = [{"country": "Peru", "Good?\nA. Yes\nB. No": 0}, {"country": "Chile", "Bad?\nA. Yes\nB. No": 1}]
    survey = read_survey(written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, table))))
    assert survey.means == {"q1": {"PER": 0}, "q2": {"CHL": 1}}


@pytest.mark.parametrize("head", ["", "country", "Unnamed: 0", "country,n"])
def test_an_opinion_table_may_name_its_column_of_countries(tmp_path: Path, head: str) -> None:
    cells = "Peru,9" if head == "country,n" else "Peru"
    survey = read_survey(written(tmp_path, "a.csv", f'{head},"Good?\nA. Yes\nB. No\n"\n{cells},0.3\n'))
    assert survey.means == {"q1": {"PER": 0.3}}
    assert survey.notes == (("left out, no options in its name: column n",) if head == "country,n" else ())


def test_the_most_divided_are_chosen_from_either_kind() -> None:
    asked = tuple(SurveyQuestion(id=name, text=name, options=("Yes", "No"), scale=(0, 1)) for name in "abcd")
    shares = {name: {"EGY": (0.5, 0.5), "JPN": (part, 1 - part)} for name, part in (("a", 0.6), ("b", 0.9))}
    means = {name: {"EGY": 0.5, "JPN": mean} for name, mean in (("c", 0.5), ("d", 0.6))}
    assert most_divided(Survey(name="s", questions=asked, shares=shares, means=means), 2) == ["b", "d"]


def test_questions_that_cannot_be_asked_are_left_out_and_told(tmp_path: Path) -> None:
    many = [f"Party {number}" for number in range(30)]
    rows = [
        {"question": "Which?", "options": many, "countries": {"Peru": [1 / 30] * 30}},
        {"question": "Sure?", "options": ["Yes", "DK/Refused"], "countries": {"Peru": [0.5, 0.5]}},
        {"question": "Well?", "options": ["Yes", "No"], "countries": {"Peru": [0.5, 0.5]}},
    ]
    survey = read_survey(written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert [question.text for question in survey.questions] == ["Well?"]
    assert any("30 options; at most 25" in note for note in survey.notes)
    assert any("fewer than two options" in note for note in survey.notes)
    with pytest.raises(UsageError, match="no question was asked in two countries"):
        most_divided(survey, 5)


def test_recorded_answers_to_other_questions_are_refused(tmp_path: Path) -> None:
    table = "question,options,country,distribution\nGood?,Good|Bad,Peru,1;0\n"
    survey = read_survey(written(tmp_path, "own.csv", table))
    good = written(tmp_path, "r.csv", "model,country,question,option\nm,Peru,q1,2\nm,Peru,q1,7\nm,Chile,q1,\n")
    assert read_recorded(good, survey) == ({"m": {"PER": {"q1": 1}, "CHL": {}}}, {"m": 2}, [])
    strange = written(tmp_path, "r.csv", "model,country,question,option\nm,Peru,q1,2\nm,Chile,q1,1\nm,Peru,Q1,1\n")
    notes = replay(survey, *read_recorded(strange, survey)).notes
    assert "recorded answers to questions that the survey does not have, left out: Q1" in notes
    assert "recorded as countries that the survey does not have, left out: CHL" in notes
    with pytest.raises(ContentError, match=r"r\.csv:3: q1: a second answer of m as peru"):
        read_recorded(written(tmp_path, "r.csv", "model,country,question,option\nm,PER,q1,2\nm,peru,q1,2\n"), survey)
    with pytest.raises(UsageError, match="no answer to a question of own"):
        read_recorded(written(tmp_path, "r.csv", "model,country,question,option\nm,Peru,q9,2\n"), survey)


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        (["Very good", "Somewhat good", "Somewhat bad", "Very bad"], (0, 1 / 3, 2 / 3, 1)),
        (["Better", "Worse", "Has not changed"], (0, 1, 0.5)),
        (["Not important at all", "1.0", "Very important", "3.0", "2.0"], (0, 0.25, 1, 0.75, 0.5)),
        (["Less than 500", "500-1,000", "1,000-2,000", "More than 2,000"], (0, 1 / 3, 2 / 3, 1)),
        (["Best possible", "9", "8", "Worst possible"], (1, 2 / 3, 1 / 3, 0)),
        (["3", "2", "1", "Few"], (1, 2 / 3, 1 / 3, 0)),
        (["1", "2", "3 or more", "None"], (1 / 3, 2 / 3, 1, 0)),
        (["Hard to say", "Strongly agree", "Agree", "Disagree", "Strongly disagree"], (0.5, 0, 0.25, 0.75, 1)),
        (["Yes", "No"], (0, 1)),
        (["Christianity", "Islam", "Judaism", "Hinduism"], None),
        (["Justified", "Not justified", "Depends (VOL)"], None),
        (["Very good", "Somewhat good", "Somewhat bad", "Very bad", "DK/Refused"], None),
    ],
)
def test_options_are_put_on_a_scale_wherever_they_stand(options: list[str], scale: tuple[float, ...] | None) -> None:
    assert find_scale(options) == (pytest.approx(scale) if scale else None)


def test_what_is_no_answer_is_set_apart() -> None:
    options = [
        "Yes",
        "No",
        "Don't know",
        "DK/Refused",
        "Missing; Unknown",
        "Other missing; Multiple answers Mail (EVS)",
        "Prefer not to say",
        "Refuse to answer",
        "No opinion",
    ]
    assert split_options(options).answers == (0, 1)


def test_a_country_keeps_one_name_and_one_perspective() -> None:
    named = {
        "GBR": ["Britain", "Great Britain", "United Kingdom of Great Britain and Northern Ireland", "826"],
        "KOR": ["S. Korea", "Korea, South", "Korea (the Republic of)"],
        "TWN": ["Taiwan ROC", "Taiwan, Province of China"],
        "TUR": ["Türkiye"],
        "COD": ["Congo (the Democratic Republic of the)", "Democratic Republic of Congo"],
        "COG": ["Congo", "Congo, Republic of the"],
        "BRA": ["Brazil (Non-national sample)", "the Brazil (old  national Sample)", "076"],
        "IRN": ["Iran (Islamic Republic of)", "Iran, Islamic Republic of"],
        "NIR": ["Northern Ireland", "909"],
        "Atlantis": ["Atlantis"],
        "Cyprus (north)": ["Cyprus (north)"],
    }
    assert {code: {find_country(name).code for name in names} for code, names in named.items()} == {
        code: {code} for code in named
    }
    assert find_country("Pakistan").perspective == "south_asian"
    assert find_country("Israel").perspective is None
