"""The benchmark across languages: a question keeps its id, and languages are compared where both are measured."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from multiplex.bench.analysis.analysis import analysed
from multiplex.bench.plan import translations
from multiplex.bench.plan.questions import Question, load
from multiplex.bench.plan.units import matrix
from multiplex.bench.report import language_tables
from multiplex.bench.report.tables import Table
from multiplex.bench.store.records import Record, Score
from multiplex.bench.store.store import Store
from multiplex.content import content_root
from multiplex.council.locales import locale_of
from multiplex.errors import MultiplexError
from tests.backend import Backend, Say, asked
from tests.bench import simulated
from tests.command import run_here

SHIPPED = ("ar", "es", "fr", "hi", "pt", "sw", "zh")
OTHER_SCRIPT = {"ar": "[\u0600-\u06ff]", "hi": "[\u0900-\u097f]", "zh": "[\u4e00-\u9fff]"}
ENGLISH = re.compile(r"\b(the|what|which|should|people|and|that|of|how|why|when|who)\b", re.IGNORECASE)
QUESTIONS = (
    Question(id="q1", question="What do we owe the dead?", domain="Religious", cued=False),
    Question(id="q5", question="Who owns a song?", domain="History", cued=True),
)
TRANSLATED = {"q1": "ما الذي ندين به للموتى؟", "q5": "من يملك الأغنية؟"}


def test_the_shipped_translations_have_the_ids_of_the_set_and_no_english() -> None:
    there = sorted(path.name.split(".")[1] for path in (content_root() / "eval/questions").glob("worldviews-175.*.csv"))
    assert there == list(SHIPPED)
    original = load("worldviews-175")
    for code, questions in translations.load_translations("worldviews-175", original, there).items():
        assert [each.model_copy(update={"question": "", "language": ""}) for each in questions.values()] == [
            each.model_copy(update={"question": ""}) for each in original.questions
        ]
        for each in questions.values():
            assert (
                not re.search("[A-Za-z]{2}", each.question)
                if code in OTHER_SCRIPT
                else (len(ENGLISH.findall(each.question)) < 2)
            ), each
            assert re.search(OTHER_SCRIPT.get(code, "[a-z]"), each.question)
            assert each.question.rstrip()[-1] in "?？؟", each


def write(
    path: Path, rows: Sequence[Sequence[str]], head: Sequence[str] = ("id", "domain", "cued", "question")
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A set of two questions with an Arabic translation beside it."""
    path = tmp_path / "own.csv"
    write(path, [[each.id, each.domain, str(each.cued), each.question] for each in QUESTIONS])
    write(tmp_path / "own.ar.csv", list(TRANSLATED.items()), ("id", "question"))
    return path


@pytest.mark.parametrize(
    ("codes", "rows", "said"),
    [
        (["en", "xx"], [], "own has no such translation (…own.xx.csv is not there); there are en, ar"),
        (["../x"], [], "--languages '../x': give codes such as"),
        ([], [], "--languages names none"),
        (["ar"], [["q1", "Religious", "false", "أ"]], "own.ar.csv: lacks 1 of the 2 questions of own: q5"),
        (
            ["ar"],
            [["q1", "Religious", "false", "أ"], ["q1", "Religious", "false", "ب"]],
            "own.ar.csv:3: id: 'q1' stands",
        ),
        (["ar"], [["q9", "Religious", "false", "أ"]], "own.ar.csv:2: id: 'q9' is no question of own"),
        (["ar"], [["q1", "History", "false", "أ"]], "own.ar.csv:2: domain: is 'Religious' in own"),
        (["ar"], [["q1", "Religious", "true", "أ"]], "own.ar.csv:2: cued: is false in own"),
    ],
)
def test_a_translation_that_does_not_fit_its_set_is_named(
    own: Path, codes: list[str], rows: list[list[str]], said: str
) -> None:
    if rows:
        write(own.with_name("own.ar.csv"), rows)
    with pytest.raises(MultiplexError) as caught:
        translations.load_translations(str(own), load(str(own)), translations.check_codes(codes))
    assert said in str(caught.value).replace(f"{own.parent}/", "…" if "…" in said else "")


def test_units_of_a_question_differ_by_language_and_those_in_its_own_words_keep_their_ids(own: Path) -> None:
    codes = translations.check_codes(["ar", "en", "ar"])
    asked_in = translations.load_translations(str(own), load(str(own)), codes)
    units = matrix(translations.in_languages(QUESTIONS, codes, asked_in), ["m"], ["uniplex"], 1, 7)
    assert [(unit.question_id, unit.language) for unit in units] == [("q1", ""), ("q1", "ar"), ("q5", ""), ("q5", "ar")]
    assert units[0].id == "91757933959435a4"  # as in version 0.2.0
    assert units[1].question == TRANSLATED["q1"]
    assert (units[1].seed, units[1].domain, units[1].cued) == (units[0].seed, "Religious", False)
    same = Question(id="q1", question=QUESTIONS[0].question, language="ar")
    assert matrix([same], ["m"], ["uniplex"], 1, 7)[0].id != units[0].id


def cells(table: Table) -> list[str]:
    return [" | ".join(row) for _, rows in table.groups for row in rows]


def record(unit_of: Question, counts: Sequence[int] | None, epoch: int = 1, unread: tuple[str, ...] = ()) -> Record:
    """An answer with these references; None: one that could not be measured. `unread`: what its language hides."""
    units = matrix([unit_of], ["m"], ["uniplex"], epoch, 7)
    note = None if counts is not None else "not measured: its language is not read"
    measures = simulated.measured(counts) if counts is not None else None
    if measures is not None and unread:
        measures = measures.model_copy(update={"unread": dict.fromkeys(unread, "not read"), "language": "ar"})
    return simulated.answered(units[epoch - 1], Score(measures=measures, note=note))


def test_languages_are_compared_on_answers_that_both_have_measured_and_the_rest_is_counted() -> None:
    wide, narrow = [1] * 7, [7, 0, 0, 0, 0, 0, 0]

    def asked_in(language: str, number: int) -> Question:
        return Question(id=f"q{number}", question=f"{number} {language}", domain="d", language=language)

    records = [record(asked_in("", number), wide) for number in range(6)]
    records += [record(asked_in("ar", number), narrow) for number in range(4)]
    records += [record(asked_in("", 0), narrow, epoch=2), record(asked_in("ar", 0), None, epoch=2)]
    records += [record(asked_in("", 7), wide), record(asked_in("ar", 7), wide, unread=("concepts",))]  # names alone
    records += [
        record(asked_in("ar", 6), wide, unread=("depth", "tone")),
        simulated.failed(matrix([asked_in("ar", 5)], ["m"], ["uniplex"], 1, 7)[0]),
    ]
    found = analysed(records, resamples=50, permutations=99)
    assert (found.language, found.units, found.questions) == ("", 8, 7)  # the figures are of the set's own words
    (of,) = found.languages
    assert (of.language, of.units, of.paired, of.questions) == ("ar", 8, 4, 4)
    assert (of.alone, of.partial, of.unmeasured, of.failed, of.pending, of.unscored) == (1, 1, 1, 1, 0, 0)
    change = of.changes["macro0"]
    assert (round(change.before or 0), change.after) == (
        100,
        0,
    )  # the second epoch, unmeasured in Arabic, is in neither
    assert change.difference.value == pytest.approx(-100)
    assert (of.shares_first["african"], of.shares["western"]) == (pytest.approx(1 / 7), 1)
    said = "\n".join(
        each for table in (language_tables.entropy, language_tables.shares) for each in cells(table(found))
    )
    assert (
        "uniplex | ar | 4 | 4 (without a measure 1, counterpart without one 1, concepts not read 1, failed 1) | 100.0"
        in said
    )
    assert "uniplex | ar | 14.3 / 100.0 | " in said
    assert "asked in en and in ar. Every figure is of the answers to those in en" in language_tables.limit(found)[0]
    alone = analysed([each for each in records if each.unit.language], resamples=50, permutations=99)
    assert (alone.language, alone.languages) == ("ar", ())


def test_a_run_takes_up_languages_later_and_its_shards_join_in_one_order(
    own: Path, backend: Backend, tmp_path: Path
) -> None:
    backend.script = lambda body, _: Say("It depends. On", finish="length")

    def bench(*arguments: str, languages: str = "en,ar") -> str:
        flags = ["--models", "m", "--base-url", backend.base_url, "--questions", str(own), "--strategies", "uniplex",
                 "--no-score", "--languages", languages] if arguments[0] == "run" else []  # fmt: skip
        done = run_here("bench", *arguments, *flags, "--dir", str(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stdout

    bench("run", "--name", "later", languages="en")
    assert re.search(r"uniplex\s+ar\s+2\s+2\s", bench("run", "--name", "later", "--dry-run"))
    bench("run", "--name", "later")
    assert {text for body in backend.requests for text in TRANSLATED.values() if text in asked(body)} == set(
        TRANSLATED.values()
    )
    assert len(backend.requests) == 4  # what was answered is not asked again

    for part in (2, 1):
        bench("run", "--name", "part", "--shard", f"{part}/2")
    bench("merge", "part.2-of-2", "part.1-of-2", "--name", "joined")
    bench("run", "--name", "once")
    with Store.read(tmp_path / "joined") as joined, Store.read(tmp_path / "once") as once:
        assert [unit.id for unit in joined.units()] == [unit.id for unit in once.units()]
        notes = {record.unit.language: record.answer.notes for record in joined.records() if record.answer}
    for unit_language, language in (("", "en"), ("ar", "ar")):  # our own words are in the question's language
        assert notes[unit_language] == (f"uniplex: {locale_of(language).say('cut')}",)
