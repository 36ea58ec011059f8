"""Blind sets and ratings: nothing of a strategy reaches a rater, and nothing half right is counted."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from multiplex.bench.analysis.ratings import read_ratings
from multiplex.bench.plan.units import STRATEGIES, matrix
from multiplex.bench.ratings.blind import ShownAnswer, ShownQuestion, find_candidates
from multiplex.bench.ratings.blind_folder import hand_out, read_keys
from multiplex.bench.ratings.folder import accept_files, read_accepted
from multiplex.bench.ratings.judge import read_marks
from multiplex.bench.ratings.rubric import POINTS
from multiplex.bench.store.records import Record
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer, Voice
from multiplex.errors import ContentError, UsageError
from tests.backend import Backend, Body, Say, asked
from tests.bench import synthetic
from tests.command import FRESH, at, run
from tests.serve.luck import until
from tests.serve.page.browser import chromium, overflows

FORMS = ("multiplex", "voices", "checklist", "uniplex")
TEXT = {"multiplex": "Essay of kin.", "checklist": "List of names.", "uniplex": "Plain words."}
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) **bold**"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of one model, six questions, three strategies; one answer holds script."""
    units = [
        unit
        for unit in synthetic.units(strategies=("multiplex", "uniplex", "checklist"))
        if unit.model == synthetic.MODELS[0]
    ]

    def answer(unit: Any) -> Answer:
        text = TEXT[unit.strategy] + (HOSTILE if unit.strategy == "uniplex" else f" About {unit.question}")
        voices = synthetic.answer(unit).voices
        return synthetic.answer(unit, text).model_copy(update={"voices": voices})

    synthetic.stored(tmp_path / "run", [synthetic.scored(unit, answer(unit)) for unit in units])
    return tmp_path / "run"


def handed_out(folder: Path, *forms: str, **options: Any) -> Any:
    output = folder.parent / f"out-{len(list(folder.parent.iterdir()))}"
    with Store.read(folder) as store:
        return hand_out(folder, store, list(forms or FORMS), options.get("limit"), options.get("seed", 3), output)


def filled(made: Any, mark: Any, rater: str = "A. B.", belongs: str | None = None) -> dict[str, Any]:
    """A rating file in which `mark(form, point)` is every mark."""
    return {
        "format": "ratings/1",
        "set": made.key.set,
        "rater": rater,
        "belongs": belongs,
        "ratings": [
            {
                "question": of.number,
                "letter": letter,
                **{point: mark(each.form, point) for point in POINTS},
                "false_claims": "Kin is no word." if each.form == "checklist" else "",
            }
            for of in made.key.questions
            for letter, each in of.letters.items()
        ],
    }


def saved(folder: Path, data: Any, name: str = "a.json") -> Path:
    path = folder.parent / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


def test_nothing_of_a_strategy_reaches_a_rater(folder: Path) -> None:
    made = handed_out(folder)
    files = sorted(path.name for path in made.folder.iterdir())
    assert files == ["rate.html", "rubric.md"]
    shown = "".join((made.folder / name).read_text("utf-8") for name in files)
    for word in (*STRATEGIES, synthetic.MODELS[0], "persona", *(unit.id for unit in synthetic.units())):
        assert not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", shown), word
    assert made.key_path.parent == folder / "blind"
    orders = {tuple(each.form for each in of.letters.values()) for of in made.key.questions}
    assert len(orders) > 1
    assert all(set(order) == set(FORMS) for order in orders)


def test_the_seed_fixes_the_letters_and_a_limit_the_questions(folder: Path) -> None:
    one, same, other = handed_out(folder, seed=1), handed_out(folder, seed=1), handed_out(folder, seed=2)
    assert one.key == same.key
    assert one.key.set != other.key.set
    assert len(handed_out(folder, limit=2).key.questions) == 2


@pytest.mark.parametrize(
    ("forms", "options", "why"),
    [
        (["martian"], {}, "nothing called 'martian' can be rated"),
        (["echo-council"], {}, "no answer of 'echo-council'"),
        ([], {}, "--strategies names none"),
        (["multiplex"], {"limit": 99}, "--limit 99: only 6 questions"),
    ],
)
def test_what_cannot_be_handed_out_is_told(folder: Path, forms: list[str], options: Any, why: str) -> None:
    with Store.read(folder) as store, pytest.raises(UsageError, match=why):
        hand_out(folder, store, forms, options.get("limit"), 1, folder.parent / "x")


def test_a_run_without_voices_cannot_show_them_and_a_full_folder_is_not_written_to(tmp_path: Path) -> None:
    units = synthetic.units(strategies=("uniplex",))
    synthetic.stored(tmp_path / "run", [synthetic.scored(unit, synthetic.answer(unit)) for unit in units])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with Store.read(tmp_path / "run") as store:
        with pytest.raises(UsageError, match="no multiplex answer of this run holds voices"):
            hand_out(tmp_path / "run", store, ["voices"], None, 1, tmp_path / "x")
        for place in (tmp_path / "full", tmp_path / "run" / "raters"):
            with pytest.raises(UsageError, match="--output"):
                hand_out(tmp_path / "run", store, ["uniplex"], None, 1, place)


def test_the_voices_are_shown_as_they_spoke_and_a_lost_one_is_named(folder: Path) -> None:
    from multiplex.bench.ratings.blind import read_form

    about = {"persona": "a", "perspective": "african", "model": "m"}
    voices = (Voice(**about, title="African", text="Ubuntu."), Voice(**about, title="Western", error="key sk-1"))
    answer = Answer(strategy="multiplex", text="Essay.", model="m", voices=voices)
    assert read_form("voices", answer) == (
        "## African\n\nUbuntu.\n\n*Missing from this answer: Western, whose voice was lost.*"
    )


def test_means_differences_and_agreement(folder: Path) -> None:
    made = handed_out(folder)
    worth = {"multiplex": 6, "voices": 5, "checklist": 3, "uniplex": 2}
    first = saved(folder, filled(made, lambda form, point: worth[form]), "a.json")
    second = saved(folder, filled(made, lambda form, point: worth[form] - (point == "read"), "C", "Akan"), "b.json")
    new, again = accept_files(folder, [first, second])
    assert (len(new), again) == (2, [])
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    means = {of.form: of.points for of in group.figures}
    assert means["multiplex"]["rep"].value == 6
    assert means["multiplex"]["read"].value == 5.5
    assert means["uniplex"]["mean"].value == pytest.approx(2 - 1 / 12)
    assert {of.form: of.points["mean"].value for of in group.differences} == {
        "voices": 1.0,
        "checklist": 3.0,
        "uniplex": 4.0,
    }
    alpha = {each.point: each.alpha for each in group.agreement}
    assert alpha["rep"] == pytest.approx(1)
    assert alpha["read"] is not None
    assert 0 < alpha["read"] < 1
    assert {rater.rater: rater.belongs for rater in group.raters} == {"A. B.": None, "C": "Akan"}
    assert {claim.form for claim in group.false_claims} == {"checklist"}
    assert accept_files(folder, [first]) == ([], [first])  # the same file again counts once


def test_one_question_has_no_interval_and_one_rater_no_agreement(folder: Path) -> None:
    made = handed_out(folder, limit=1)
    accept_files(folder, [saved(folder, filled(made, lambda form, point: 4))])
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    assert all(of.points["rep"].low is None for of in group.figures)
    assert {of.no_interval for of in group.figures} == {"1 question: an interval over questions needs at least 7"}
    assert {each.undefined for each in group.agreement} == {"one rater: agreement needs two"}


def damage(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return data | changes


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda d: d["ratings"].pop(), "is not rated"),
        (lambda d: d["ratings"][0].update(rep=8), "answer .*, rep: Input should be less than or equal to 7"),
        (lambda d: d["ratings"][0].update(rep=0), "answer .*, rep: Input should be greater than or equal to 1"),
        (lambda d: d["ratings"][0].update(rep=4.5), "answer .*, rep: Input should be a valid integer"),
        (lambda d: d["ratings"][0].update(rep="4"), "answer .*, rep: Input should be a valid integer"),
        (lambda d: d["ratings"][0].pop("use"), "answer .*, use: Field required"),
        (lambda d: d["ratings"][0].update(letter="Z"), "has no such answer"),
        (lambda d: d["ratings"].append(d["ratings"][0]), "rated 2 times"),
        (lambda d: d.update(set="0" * 12), "which is not of this run"),
        (lambda d: d.update(rater="  "), "rater"),
    ],
)
def test_a_wrong_file_is_told_in_one_line_and_nothing_of_it_is_counted(folder: Path, spoil: Any, why: str) -> None:
    made = handed_out(folder)
    good = saved(folder, filled(made, lambda form, point: 4, "Good"), "good.json")
    data = filled(made, lambda form, point: 4)
    spoil(data)
    with pytest.raises(ContentError, match=why) as caught:
        accept_files(folder, [good, saved(folder, data)])
    assert "\n" not in str(caught.value)
    assert read_ratings(folder) is None


def test_text_that_is_no_json_and_the_same_rater_twice_are_told(folder: Path) -> None:
    made = handed_out(folder)
    with pytest.raises(ContentError, match="is not valid JSON"):
        accept_files(folder, [saved(folder, "{")])
    first = saved(folder, filled(made, lambda form, point: 4, "Ann  Lee"), "a.json")
    other = saved(folder, filled(made, lambda form, point: 5, "ann lee"), "b.json")
    with pytest.raises(ContentError, match=r"has rated set .* already, in"):
        accept_files(folder, [first, other])
    accept_files(folder, [first])
    with pytest.raises(ContentError, match="already, otherwise"):
        accept_files(folder, [other])


def marks(body: Body) -> str:
    """What a model replies that gives every answer a 5."""
    letters = re.findall(r'<answer letter="(\w)">', asked(body))
    rows = [{"letter": x, **dict.fromkeys(POINTS, 5), "false_claims": ""} for x in letters]
    return json.dumps({"ratings": rows})


def test_a_model_rates_by_the_same_rubric_blind_and_labelled(folder: Path, backend: Backend) -> None:
    made = handed_out(folder)

    def script(body: Body, n: int) -> Say:
        text = asked(body)
        if "What of History 1?" in text:
            return Say("I would rather not.")
        return Say(marks(body))

    backend.script = script
    command = ("bench", "ratings", str(folder), "--rater", "judge", "--model", "grader", "--base-url", backend.base_url)
    done = run(*command)
    assert done.returncode == 1, done.stderr
    assert "is not counted" in done.stderr
    assert "language models, not people" in " ".join(done.stdout.split())
    assert len(backend.requests) == len(made.key.questions)
    for body in backend.requests:
        text = asked(body)
        assert not any(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for name in STRATEGIES)
        assert "Would members of the traditions" in text
        assert text.count("</answer>") == len(FORMS)
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    assert (group.kind, group.raters[0].rater, group.raters[0].questions) == ("model", "grader", 5)
    assert "could not be read" in next(iter(group.raters[0].unread.values()))
    assert "6 calls, tokens: " in done.stderr

    backend.script, before = lambda body, n: Say(marks(body)), len(backend.requests)
    assert run(*command).returncode == 0
    assert len(backend.requests) == before + 1, "what has its marks is not asked again"
    (kept,) = read_accepted(folder, {made.key.set: made.key})
    assert kept.usage is not None
    assert kept.usage.calls == before + 1
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    assert (group.raters[0].questions, group.raters[0].unread) == (6, {})


def test_a_model_that_is_stopped_in_the_middle_loses_no_question(folder: Path, backend: Backend) -> None:
    handed_out(folder)
    kept = folder / "blind" / "ratings"
    backend.script = lambda body, n: Say(marks(body), delay=600 if "What of History 1?" in asked(body) else 0)
    command = ["bench", "ratings", str(folder), "--rater", "judge", *at(backend)]
    with subprocess.Popen([*FRESH, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: any(file.read_text("utf-8").count('"letter"') == 5 * len(FORMS) for file in kept.glob("*.json")),
              "five questions on the disk")  # fmt: skip
        process.kill()
    backend.script, before = lambda body, n: Say(marks(body)), len(backend.requests)
    done = run(*command)
    assert (done.returncode, len(backend.requests)) == (0, before + 1), done.stderr


def test_six_questions_have_no_interval_either_and_say_why(folder: Path) -> None:
    made = handed_out(folder)
    accept_files(folder, [saved(folder, filled(made, lambda form, point: 4))])
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    assert all(of.points["rep"].low is None for of in group.figures)
    assert {of.no_interval for of in group.figures} == {"6 questions: an interval over questions needs at least 7"}


def test_a_models_marks_are_of_the_question_that_it_was_asked() -> None:
    shown = ShownQuestion(number=5, question="Who?", answers=(ShownAnswer(letter="A", text="All."),))
    row = {"question": 1, "letter": "A", **dict.fromkeys(POINTS, 5), "false_claims": ""}
    (rated,) = read_marks(json.dumps({"ratings": [row]}), shown)
    assert (rated.question, rated.letter) == (5, "A")


def test_raters_get_the_language_that_the_report_is_of() -> None:
    """Of a run in Arabic to which the set's own words came later: these, where any of them was answered."""
    plain = matrix(synthetic.QUESTIONS[:2], ("m",), ("uniplex",), 1, 7)
    arabic = [unit.model_copy(update={"language": "ar", "id": f"ar {unit.id}"}) for unit in plain]
    first = [Record(unit=unit, answer=synthetic.answer(unit)) for unit in arabic]
    for later, shown in (
        ([Record(unit=unit, answer=synthetic.answer(unit)) for unit in plain], plain),
        ([Record(unit=unit) for unit in plain], arabic),
    ):
        candidates = find_candidates([*first, *later])
        assert [each.units for each in candidates] == [{"uniplex": unit.id} for unit in shown]


def test_one_of_several_sets_must_be_named(folder: Path) -> None:
    one, two = handed_out(folder, seed=1), handed_out(folder, "multiplex", "uniplex", seed=2)
    judge = ("--rater", "judge", "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    done = run("bench", "ratings", str(folder), *judge)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert one.key.set in done.stderr
    assert two.key.set in done.stderr
    done = run("bench", "ratings", str(folder), *judge, "--set", "none")
    assert (done.returncode, "no such set" in done.stderr) == (2, True)


def test_the_report_shows_ratings_beside_entropy_and_only_where_there_are_any(folder: Path) -> None:
    assert run("bench", "report", str(folder)).returncode == 0
    assert "Readers' ratings" not in (folder / "report.md").read_text("utf-8")
    made = handed_out(folder)
    file = saved(folder, filled(made, lambda form, point: 6 if form == "multiplex" else 3))
    done = run("bench", "ratings", str(folder), str(file), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["groups"][0]["kind"] == "person"
    assert run("bench", "report", str(folder)).returncode == 0
    text = (folder / "report.md").read_text("utf-8")
    part = text.split("## Readers' ratings, beside entropy")[1].split("\n## ")[0]
    row = next(line for line in part.splitlines() if line.startswith("| multiplex"))
    assert "6.00" in row
    narrow = run("bench", "ratings", str(folder), env={"COLUMNS": "30"})
    assert all(figure in narrow.stdout for figure in row.strip("| ").split(" | ")[4:])
    assert "| entropy |" in part
    assert row.split(" | ")[3].startswith("0.0")  # the answers name nobody
    assert "Kin is no word." in part
    assert "Readers' ratings, beside entropy" in html.unescape((folder / "report.html").read_text("utf-8"))


def test_the_commands_say_what_is_missing(folder: Path) -> None:
    done = run("bench", "ratings", str(folder))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nothing of this run was handed out" in done.stderr
    done = run("bench", "blind", str(folder), "--strategies", "multiplex,voices", "--seed", "1",
               "--output", str(folder.parent / "raters"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "12 answers" in done.stdout
    done = run("bench", "ratings", str(folder))
    assert done.returncode == 2
    assert "no ratings yet" in done.stderr


def test_the_page_works_from_disk_on_a_phone_and_its_file_is_taken_back(folder: Path) -> None:
    made = handed_out(folder, "multiplex", "uniplex", limit=1)
    wrong: list[str] = []
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 360, "height": 740}, accept_downloads=True)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: wrong.append(request.url) if not request.url.startswith(("file:", "blob:")) else None,
        )
        page.goto((made.folder / "rate.html").as_uri())
        assert not overflows(page)
        assert page.title() == "Rate answers"
        page.locator("#rater").fill("Ann")
        page.locator("input[name=belongs][value=yes]").check()
        page.locator("#tradition").fill("Akan")
        page.locator("#next").click()
        assert not overflows(page)
        text = page.locator("main").inner_text()
        assert "<script>" in text  # what a model wrote is shown as it stands, and runs nothing
        assert page.locator("article script, article img, article a").count() == 0
        for point in page.locator("fieldset.point").all():
            if point.get_attribute("id") != "q1-B-use":
                point.locator("input[value='6']").check()
        page.locator("#q1-A-false").fill("None of it.")
        page.locator("#next").click()
        expect(page.locator("#missing")).to_contain_text("Question 1, answer B")
        page.locator("#missing button").click()
        page.locator("#q1-B-use input[value='2']").check()
        page.reload()
        page.locator("#go").select_option(label="Finish")
        expect(page.locator("#lead")).to_contain_text("Nothing is missing")
        with page.expect_download() as download:
            page.locator("#save").click()
        file = folder.parent / download.value.suggested_filename
        download.value.save_as(file)
        context.close()
    assert wrong == []
    new, _ = accept_files(folder, [file])
    assert new[0].rating.belongs == "Akan"
    marks = {each.letter: each for each in new[0].rating.ratings}
    assert (marks["B"].use, marks["B"].rep, marks["A"].use) == (2, 6, 6)
    assert marks["A"].false_claims == "None of it."


def test_every_set_of_a_run_keeps_its_key(folder: Path) -> None:
    one, two = handed_out(folder, seed=1), handed_out(folder, "multiplex", "uniplex", seed=2)
    assert set(read_keys(folder)) == {one.key.set, two.key.set}


def test_a_raters_name_is_shown_as_written_and_a_model_needs_the_judge(folder: Path) -> None:
    made = handed_out(folder)
    accept_files(folder, [saved(folder, filled(made, lambda form, point: 4, "Ann Lee"))])
    (group,) = read_ratings(folder).groups  # type: ignore[union-attr]
    assert {claim.rater for claim in group.false_claims} == {"Ann Lee"}
    done = run("bench", "ratings", str(folder), "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert (done.returncode, "of --rater judge" in done.stderr) == (2, True)
