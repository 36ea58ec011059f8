"""`multiplex survey` as its user types it, on a loopback endpoint: plan, run, resume, report."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from multiplex.bench.store.store import Store
from multiplex.council.personas import Council
from multiplex.errors import UsageError
from multiplex.survey.analysis import analyse
from multiplex.survey.baselines import majorities
from multiplex.survey.command import people_of
from multiplex.survey.data import Survey, SurveyQuestion, even_scale
from multiplex.survey.measures import alignment
from multiplex.survey.plan import SurveyPlan, askable, orders_of, select_questions, units
from multiplex.survey.readers import write_survey
from multiplex.survey.report.words import headline
from multiplex.survey.results import Results
from tests.backend import Backend, Body, Say, running
from tests.command import run

COUNTRIES = {"EGY": 0, "JOR": 1, "JPN": 3, "CHN": 4, "FRA": 7, "USA": 8}
OPTIONS = ("Never", "Rarely", "Often", "Always")


def people(country: int, question: int) -> tuple[float, ...]:
    """Answers that countries of one perspective share more than others."""
    level = 0.5 + 0.4 * math.sin(question * 1.7 + country * 0.2 + (country // 3) * 2.1)
    weights = [math.exp(-((place / 3 - level) ** 2) * 8) for place in range(4)]
    return tuple(weight / sum(weights) for weight in weights)


SURVEY = Survey(
    name="made-up",
    questions=tuple(
        SurveyQuestion(
            id=f"q{n}",
            text=f"How often number {n} <i>here</i>?",
            options=OPTIONS,
            scale=even_scale(4),
            cluster=f"c{n // 2}",
        )
        for n in range(16)
    ),
    shares={f"q{n}": {code: people(place, n) for code, place in COUNTRIES.items()} for n in range(16)},
)


def like_people(body: Body, _: int) -> Say:
    """Answers as the people of the country that the prompt names, or of a persona's; the plain model as the French."""
    told = "\n".join(message["content"] for message in body["messages"])
    text = body["messages"][-1]["content"]
    asked = re.findall(r"How often number (\d+)", text)
    if not asked:  # whether it gives log probabilities at all
        return Say("A", logprobs={"content": [{"token": "A", "logprob": -0.1, "top_logprobs": [
            {"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -2.4}]}]})  # fmt: skip
    number = int(asked[0])
    named = {"Egypt": "EGY", "Japan": "JPN", "France": "FRA"} | {"Muslim": "EGY", "Confuci": "CHN"}
    code = next((code for word, code in named.items() if word in told), "FRA")
    by_option = dict(zip(OPTIONS, people(COUNTRIES[code], number), strict=True))
    lines = re.findall(r"(?m)^(\w)\. (\w+)$", text)
    top = [{"token": sign, "logprob": math.log(by_option[option] * 0.9)} for sign, option in lines]
    top.sort(key=lambda each: -float(str(each["logprob"])))
    return Say(str(top[0]["token"]), logprobs={"content": [{**top[0], "top_logprobs": top}]})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a survey, and a run of it."""
    folder = tmp_path_factory.mktemp("survey")
    write_survey(SURVEY, folder / "made-up.jsonl")
    with running() as backend, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIPLEX_CACHE", str(folder / "cache"))
        backend.script = like_people
        done = ask(folder, backend, "--questions", "most-divided:8")
        assert done.returncode == 0, done.stderr
        assert len(backend.requests) == 1 + 8 * (3 + 3 + 3 + 1) * 2  # the probe, and two orders
        more = ask(folder, backend)
        assert more.returncode == 0, more.stderr
        assert len(backend.requests) == 1 + 16 * 10 * 2  # what was asked is not asked again
    return folder


def ask(folder: Path, backend: Backend, *more: str):  # type: ignore[no-untyped-def]
    return run("survey", "run", "made-up.jsonl", "--models", "m", "--base-url", backend.base_url, "--council",
               "islamic,east_asian,indigenous", "--countries", "Egypt,Japan,FRA", "--labels", "1", *more,
               cwd=folder)  # fmt: skip


@pytest.fixture(scope="module")
def results(place: Path) -> Results:
    folder = place / "runs" / "made-up"
    with Store.read(folder) as store:
        return analyse(store.records(), people_of(folder), store.manifest)[0]


def test_the_report_says_whose_answers_the_voices_have_and_how_far_from_people(place: Path, results: Results) -> None:
    assert sorted(path.name for path in (place / "runs" / "made-up").glob("re*")) == [
        "report.html", "report.md", "results.csv", "results.jsonl"
    ]  # fmt: skip
    page = (place / "runs" / "made-up" / "report.html").read_text("utf-8")
    assert "Asked plainly, it answers most like people in France." in page
    assert "indigenous: not measurable: no survey asks its people" in page
    assert page.count("<svg") == 4
    assert "<i>" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    with (place / "runs" / "made-up" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results.done == 320
    assert {row["order"] for row in rows} == {"1 2 3 4", "4 3 2 1"}


def test_one_persona_alone_is_said_to_have_no_profile(place: Path) -> None:
    folder = place / "runs" / "made-up"
    with Store.read(folder) as store:
        alone = [record for record in store.records() if record.unit.strategy == "persona:islamic"]
    told = headline(analyse(alone, people_of(folder))[0], "m")
    assert told == "Whose profile the voices have is left open: a profile needs the answers of two personas."


def test_a_model_that_answers_like_people_is_found_out(results: Results) -> None:
    by_name = {each.name: each for each in results.profiles}
    assert by_name["country:EGY"].r == pytest.approx(1, abs=1e-6)
    assert by_name["persona:indigenous"].r is None
    assert by_name["persona:indigenous"].note == "not measurable: no survey asks its people"
    rows = {(row.perspective, row.condition): row for row in results.standings}
    assert rows[None, "countries"].similarity.value == pytest.approx(1, abs=1e-6)
    assert rows[None, "countries"].skill == pytest.approx(100, abs=1e-4)
    for baseline in ("uniform", "mean of other countries", "own perspective's other countries", "one answer for all"):
        assert rows[None, baseline].baseline
    assert rows["islamic", "personas"].pairs == 2 * 16
    contrast = next(c for c in results.contrasts if (c.first, c.second) == ("countries", "plain"))
    assert contrast.difference.low is not None
    assert contrast.difference.low > 0
    assert contrast.p_holm is not None
    assert contrast.p_holm < 0.05


def test_an_order_that_changes_nothing_has_no_effect(results: Results) -> None:
    found = {each.factor: each for each in results.stability}
    assert found["order"].pairs == 160
    assert found["order"].in_deviations == pytest.approx(0, abs=1e-9)
    assert found["wording"].variation is None
    assert [each.outside for each in results.replies] == pytest.approx([0.1] * 4)


def test_questions_that_the_survey_does_not_hold_are_left_out_and_named(place: Path) -> None:
    with Store.read(place / "runs" / "made-up") as store:
        found, answers, _ = analyse(store.records(), SURVEY.restricted(["q1", "q3"]), store.manifest)
    assert (found.questions, {n for each in answers.answers.values() for n in each.asked}) == (2, {"q1", "q3"})
    assert any(note.startswith("asked, but not in made-up, and left out: q0, q10, ") for note in found.notes)


def test_a_run_asked_otherwise_is_refused_and_a_benchmark_report_too(place: Path, backend: Backend) -> None:
    done = ask(place, backend, "--method", "verbalised")
    assert (done.returncode, backend.requests) == (2, [])
    assert "method: was logprobs, is verbalised" in done.stderr
    told = run("bench", "report", "made-up", cwd=place)
    assert "`multiplex survey report` reports on it" in told.stderr


def test_an_endpoint_without_log_probabilities_is_told_before_the_run(place: Path, backend: Backend) -> None:
    done = ask(place, backend, "--name", "other")
    assert done.returncode == 2
    assert "no log probabilities of tokens" in done.stderr
    assert "--method verbalised" in done.stderr
    assert (len(backend.requests), (place / "runs" / "other").exists()) == (1, False)


def test_letters_that_can_hardly_be_read_are_told_and_one_question_is_reported(place: Path, backend: Backend) -> None:
    top = [{"token": token, "logprob": math.log(p)} for token, p in (("Option", 0.97), ("A", 0.03))]
    backend.script = lambda body, n: Say("Option A", logprobs={"content": [{**top[0], "top_logprobs": top}]})
    done = ask(place, backend, "--name", "single", "--questions", "q1", "--orders", "1")
    assert done.returncode == 0, done.stderr
    assert "m: asked for the letter A, its next token is A with 3.0%" in done.stderr
    told = (place / "runs" / "single" / "report.md").read_text("utf-8")
    assert "| personas | 0 | 0 | 3 | 97.0% |" in told


def test_a_run_that_the_endpoint_stops_says_so_and_has_nothing_to_report(place: Path, backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=401)
    done = ask(place, backend, "--name", "stopped", "--method", "verbalised")
    assert done.returncode == 3, done.stderr
    assert "the same command goes on from here" in done.stderr
    told = run("survey", "report", "stopped", cwd=place)
    assert (told.returncode, "no unit is done yet" in told.stderr) == (2, True)


def test_a_dry_run_sends_nothing(place: Path, backend: Backend) -> None:
    done = ask(place, backend, "--name", "dry", "--dry-run")
    assert (done.returncode, backend.requests) == (0, []), done.stderr
    assert "320" in done.stdout


def test_voices_hear_each_other_each_from_its_own_model(place: Path, backend: Backend) -> None:
    def script(body: Body, _: int) -> Say:
        told = body["messages"][-1]["content"]
        first = 100 if body["model"] == "n" else 70 if "Never 100%" in told else 40
        return Say(json.dumps({"A": first, "B": 100 - first, "C": 0, "D": 0}))

    backend.script = script
    done = ask(place, backend, "--name", "rounds", "--rounds", "2", "--method", "verbalised", "--respondents",
               "personas", "--questions", "q1,q2", "--orders", "1", "--voice-model", "islamic=n")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Counter(body["model"] for body in backend.requests) == {"m": 8, "n": 4}
    later = [body["messages"][-1]["content"] for body in backend.requests if "Voice 2" in str(body)]
    assert len(later) == 6
    assert not any("Voice 3" in text or "slamic" in text for text in later)
    folder = place / "runs" / "rounds"
    rows = list(csv.DictReader((folder / "results.csv").read_text("utf-8").splitlines()))
    found = {(row["respondent"], row["round"]): json.loads(row["shares"])[0] for row in rows}
    assert found["persona:islamic", "1"] == found["persona:islamic", "2"] == 1
    assert (found["persona:indigenous", "1"], found["persona:indigenous", "2"]) == (0.4, 0.7)
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text("utf-8").splitlines()]
    spread = [(line["round"], line["voices"]) for line in lines if line["table"] == "spread"]
    assert spread == [(1, 3), (2, 3)]
    replies = {line["kind"]: line["readable"] for line in lines if line["table"] == "replies"}
    assert replies == {"personas": 6, "personas, round 2": 6}
    close = {line["condition"]: line["similarity"]["value"] for line in lines
             if line["table"] == "standing" and line["perspective"] == "east_asian"}  # fmt: skip
    assert close["personas"] != close["personas, round 2"]
    compared = [(line["first"], line["second"]) for line in lines if line["table"] == "contrast"]
    assert ("personas, round 2", "personas") in compared


def test_a_voice_that_failed_is_not_heard_as_if_it_had_said_nothing(place: Path, backend: Backend) -> None:
    even = json.dumps(dict.fromkeys("ABCD", 25))
    backend.script = lambda body, n: Say(status=400) if body["model"] == "n" else Say(even)
    done = ask(place, backend, "--name", "unheard", "--rounds", "2", "--method", "verbalised", "--respondents",
               "personas", "--questions", "q1", "--orders", "1", "--voice-model", "islamic=n")  # fmt: skip
    assert done.returncode == 1
    with Store.read(place / "runs" / "unheard") as store:
        failed = [record.failure.kind for record in store.records() if record.failure]
    assert sorted(failed) == ["bad_request", "bad_request", "not_heard", "not_heard"]  # its own second, and the others'


def test_a_question_is_asked_in_every_wording_that_its_file_gives(place: Path, backend: Backend) -> None:
    (place / "own.csv").write_text(
        "id,question,options,country,distribution,paraphrases\n"
        'a,How often; really?,Never|Often,EGY,0.2|0.8,"Is it often; yes, or never?|Never, or often?"\n'
        "a,How often; really?,Never|Often,JPN,0.6|0.4,\nb,And here?,No|Yes,EGY,0.3|0.7,\n",
        "utf-8",
    )
    assert run("survey", "prepare", "own.csv", "--output", "own.jsonl", cwd=place).returncode == 0
    backend.script = lambda body, n: Say('{"A": 100, "B": 0}' if "really" in str(body) else '{"A": 0, "B": 100}')
    done = run("survey", "run", "own.jsonl", "--models", "m", "--base-url", backend.base_url, "--method", "verbalised",
               "--respondents", "plain", "--orders", "1", "--labels", "1", cwd=place)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(backend.requests) == 3 + 1
    lines = [json.loads(each) for each in (place / "runs" / "own" / "results.jsonl").read_text("utf-8").splitlines()]
    (found,) = [each for each in lines if each.get("factor") == "paraphrase"]
    assert (found["pairs"], found["variation"]) == (3, pytest.approx(2 / 3))
    assert "paraphrase" in (place / "runs" / "own" / "report.md").read_text("utf-8")


def test_options_are_shown_in_each_order_under_each_label_set() -> None:
    plan = SurveyPlan(SURVEY, Council.load("islamic"), ("m",), kinds=("plain",), orders=3, labels=2, wordings=2)
    asked = [unit.closed for unit in units(plan, 7) if unit.question_id == "q0"]
    assert len(asked) == len({unit.id for unit in units(plan, 7) if unit.question_id == "q0"}) == 12
    assert {(each.order[:2], each.signs[0], each.wording) for each in asked if each} >= {
        ((0, 1), "A", 1),
        ((3, 2), "1", 2),
    }


def test_drawn_orders_are_different_ones() -> None:
    assert orders_of(2, 5, 7, "q") == [(0, 1), (1, 0)]
    assert len(set(orders_of(3, 6, 7, "q"))) == len(set(orders_of(4, 6, 7, "q"))) == 6
    assert orders_of(4, 1, 7, "q") == [(0, 1, 2, 3)]


def test_single_draws_count_in_every_form(place: Path, backend: Backend) -> None:
    backend.script = lambda body, n: Say("A")  # the option that stands first, whichever it is
    done = ask(place, backend, "--name", "draws", "--method", "sample", "--draws", "1", "--respondents", "countries")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(each) for each in (place / "runs" / "draws" / "results.jsonl").read_text("utf-8").splitlines()]
    (order,) = [each for each in lines if each.get("factor") == "order"]
    assert (order["pairs"], order["variation"]) == (16 * 3, 1)
    (found,) = [e for e in lines if (e.get("condition"), e.get("perspective")) == ("countries", None)]
    first, last = ({f"q{n}": place for n in range(16)} for place in (0, 3))
    options = {f"q{n}": 4 for n in range(16)}
    each = [alignment(chosen, majorities(SURVEY, code), options) for code in ("EGY", "JPN", "FRA")
            for chosen in (first, last)]  # fmt: skip
    assert found["alignment"] == pytest.approx(sum(value or 0 for value in each) / 6)
    (spread,) = [each for each in lines if each["table"] == "spread"]
    assert (spread["diversity"], spread["people"] > 0) == (0, True)


def test_a_persona_of_another_model_is_asked_there_alone() -> None:
    plan = SurveyPlan(
        SURVEY, Council.load("islamic", "african"), ("m",), kinds=("personas",), voice_models={"islamic": "n"}
    )
    assert {(unit.strategy, unit.model) for unit in units(plan, 7)} == {
        ("persona:islamic", "n"),
        ("persona:african", "m"),
    }
    with pytest.raises(UsageError, match="no persona of this perspective"):
        units(SurveyPlan(SURVEY, Council.load("islamic"), ("m",), voice_models={"western": "n"}), 7)


def test_questions_that_a_method_cannot_ask_are_left_out_aloud() -> None:
    long = SURVEY.questions[0].model_copy(update={"id": "long", "options": tuple(map(str, range(21))), "scale": None})
    more = Survey(name="more", questions=(*SURVEY.questions, long))
    asked, told = askable(more, "logprobs")
    assert len(asked.questions) == 16
    assert str(told).startswith("left out, more than 20 options: long; ")
    assert askable(more, "sample") == (more, None)
    with pytest.raises(UsageError, match="every question has more than 20 options"):
        askable(more.restricted(["long"]), "logprobs")


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("most-divided:0", "write most-divided:50"),
        ("most-divided:²", "write most-divided:50"),
        ("q1,q99", "no question 'q99' in made-up"),
    ],
)
def test_questions_that_are_not_there_are_told(chosen: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        select_questions(SURVEY, chosen)


def test_a_question_named_twice_is_asked_once() -> None:
    assert [question.id for question in select_questions(SURVEY, "q3,q1,q3").questions] == ["q3", "q1"]
