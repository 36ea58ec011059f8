from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from multiplex.bench.plan.questions import DOMAINS, Question, QuestionSet, chosen, load
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation import Evaluator, Passage
from multiplex.llm.embeddings import Embedder

ORIGINAL = Path(__file__).parents[3] / "shared" / "data" / "worldview_bench" / "questions.csv"
original_at_hand = pytest.mark.skipif(not ORIGINAL.is_file(), reason=f"{ORIGINAL} is not here")
CLOSED = re.compile(
    r"(is|are|am|was|were|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would)\b", re.I
)
CUED = re.compile(r"cultur|tradition|religi|coloni", re.I)
GIVES_AWAY = re.compile(
    r"cultur|tradition|religi|coloni|imperial|spiritual|heritage|indigenous|ancest|\b(faith|god|pray|worship|ritual|sacred"
    r"|holy|scripture|custom|empire|native|missionar|east|west)(s|er|ers|ern|ary)?\b",
    re.I,
)


@pytest.fixture(scope="module")
def ours() -> tuple[Question, ...]:
    return load("worldviews-175").questions


@pytest.fixture(scope="module")
def rows(ours: tuple[Question, ...]) -> NDArray[np.float32]:
    """An embedding of every question."""
    return Embedder().encode([question.question for question in ours])


def closed(questions: Iterable[Question]) -> list[Question]:
    return [question for question in questions if CLOSED.match(question.question)]


def test_the_built_in_set_has_25_questions_a_domain_and_half_are_cued(ours: tuple[Question, ...]) -> None:
    assert Counter(question.domain for question in ours) == dict.fromkeys(DOMAINS, 25)
    cued = Counter(question.domain for question in ours if question.cued)
    assert set(cued.values()) == {12, 13}
    assert sum(cued.values()) == 87
    for domain in DOMAINS:
        slug = domain.lower().replace("/", "-").replace(" ", "-")
        ids = [question.id for question in ours if question.domain == domain]
        assert ids == [f"{slug}-{number:02d}" for number in range(1, 26)]


def test_cued_questions_name_their_cue_and_the_others_give_no_hint(ours: tuple[Question, ...]) -> None:
    assert [question.question for question in ours if question.cued and not CUED.search(question.question)] == []
    assert [question.question for question in ours if not question.cued and GIVES_AWAY.search(question.question)] == []


def test_no_question_refers_to_a_perspective(ours: tuple[Question, ...]) -> None:
    evaluator = Evaluator(cues=("named", "concept", "place"), sentiment=False)
    texts = [*(question.question for question in ours), "What do Koreans owe to strangers?"]
    found = evaluator.extracted([evaluator.prepared(Passage("", text, 1)) for text in texts])
    assert [each.text.passage.text for each in found if each.references] == ["What do Koreans owe to strangers?"]


def test_questions_are_open_short_and_varied(ours: tuple[Question, ...]) -> None:
    assert all(question.question.endswith("?") and question.question.count("?") == 1 for question in ours)
    assert all(8 <= len(question.question.split()) <= 30 for question in ours)
    openings = [question.question.split()[0].strip(",") for question in ours]
    assert [one for one, other in pairwise(openings) if one == other] == []
    assert max(Counter(openings).values()) <= 175 * 0.3


def test_few_can_be_answered_yes_or_no_and_most_of_those_name_both_answers(ours: tuple[Question, ...]) -> None:
    found = closed(ours)
    assert len(found) <= 175 / 5
    assert abs(sum(1 if question.cued else -1 for question in found)) <= 1
    assert sum(" or " in question.question for question in found) >= 2 / 3 * len(found)


def test_no_two_questions_are_near_duplicates(rows: NDArray[np.float32]) -> None:
    near = rows @ rows.T
    near[range(175), range(175)] = 0
    assert 0.5 < near.max() < 0.8


@original_at_hand
def test_no_question_is_near_one_of_the_original(rows: NDArray[np.float32]) -> None:
    near = rows @ Embedder().encode([each.question for each in load(str(ORIGINAL)).questions]).T
    assert 0.5 < near.max() < 0.85


@original_at_hand
def test_the_original_is_read_in_its_own_form() -> None:
    found = load(str(ORIGINAL))
    assert found.name == "worldview-bench"
    assert Counter(question.domain for question in found.questions) == dict.fromkeys(DOMAINS, 25)
    assert {question.cued for question in found.questions} == {None}
    assert found.questions[49].id == "religious-25"
    assert found.questions[49].question == "Can secularism and religiosity coexist within a single society?"
    assert len(closed(found.questions)) > 80  # what the built-in set does otherwise


@pytest.mark.parametrize("seed", [0, 7, 2026])
def test_every_beginning_of_the_order_is_balanced(seed: int) -> None:
    questions = load("worldviews-175")
    order = chosen(questions, None, seed)
    assert {question.id for question in order} == {question.id for question in questions.questions}
    first = chosen(questions, 35, seed)
    assert Counter(question.domain for question in first) == dict.fromkeys(DOMAINS, 5)
    assert sum(question.cued is True for question in first) in (17, 18)
    for limit in range(1, 176):
        part = chosen(questions, limit, seed)
        assert part == order[:limit]
        if limit <= 168:  # then the domain that has one more of a kind gives its last
            assert abs(2 * sum(question.cued is True for question in part) - limit) <= 1
        domains = Counter(question.domain for question in part)
        assert max(domains.values()) - min(domains[domain] for domain in DOMAINS) <= 1
        for domain in DOMAINS:
            kinds = Counter(question.cued for question in part if question.domain == domain)
            assert abs(kinds[True] - kinds[False]) <= 1


def test_the_order_is_the_seeds_and_not_the_files() -> None:
    questions = load("worldviews-175")
    turned = QuestionSet(name="turned", questions=questions.questions[::-1])
    assert chosen(turned, 40, 7) == chosen(questions, 40, 7)
    assert chosen(questions, 40, 8) != chosen(questions, 40, 7)


def test_an_uneven_set_without_domains_is_taken_as_far_as_it_goes() -> None:
    kinds = [True, False, False, False, None]
    uneven = QuestionSet(
        name="few", questions=tuple(Question(id=str(n), question=f"{n}?", cued=kind) for n, kind in enumerate(kinds))
    )
    order = chosen(uneven, 99, 1)
    assert {question.cued for question in order[:3]} == {True, False, None}
    assert sorted(question.id for question in order) == ["0", "1", "2", "3", "4"]
    with pytest.raises(UsageError, match="--limit 0: at least 1"):
        chosen(uneven, 0, 1)


def write(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def test_a_byte_order_mark_windows_line_ends_and_formulas_are_only_text(tmp_path: Path) -> None:
    text = '\ufeffQuestion,cued,id,note\r\n"=HYPERLINK(""http://x"",A1)?",TRUE,@a,\r\n\r\n"-1, or\r\n+1?",false,b,n\r\n'
    found = load(write(tmp_path, "mine.csv", text))
    assert found.name == "mine"
    assert [(each.id, each.question, each.cued, each.domain) for each in found.questions] == [
        ("@a", '=HYPERLINK("http://x",A1)?', True, ""),
        ("b", "-1, or\n+1?", False, ""),
    ]


def test_json_lines_need_only_a_question_and_ids_follow_the_words(tmp_path: Path) -> None:
    rows = ['{"question": "Why ask?", "domain": "Own"}', "", '{"question": "Why\u2028not?", "id": 7, "cued": false}']
    found = load(write(tmp_path, "mine.jsonl", "\n".join(rows))).questions
    again = load(write(tmp_path, "turned.jsonl", "\n".join(reversed(rows)))).questions
    assert [(each.domain, each.cued) for each in found] == [("Own", None), ("", False)]
    assert found[1].id == "7"
    assert found[1].question == "Why\u2028not?"
    assert re.fullmatch(r"q-[0-9a-f]{12}", found[0].id)
    assert set(again) == set(found)


HEADINGS = "Ethical / Moral,Religious,Lifestyle,Cultural Norms,Traditions,History,Technology\n"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", "id,text\n1,Why?\n", ":1: question: no column of this name"),
        ("a.csv", "id;question\n1;Why?\n", ":1: question: no column of this name"),
        ("a.csv", "", ":1: question: no column of this name"),
        ("a.csv", "question,question\nWhy?,How?\n", ":1: question: the column stands twice"),
        ("a.csv", "question\n", ": holds no question"),
        ("a.csv", "question,id\nWhy?,a\nHow?,a\n", ":3: id: 'a' stands already in line 2"),
        ("a.csv", "question\nWhy  me?\nHow?\n why ME?\n", ":4: question: 'why me?' stands already in line 2"),
        ("a.csv", 'question,id\n"Why,\nyou?",a\n  ,b\n', ":4: question: empty cell"),
        ("a.csv", "question,id\nWhy?,\n", ":2: id: empty cell"),
        ("a.csv", "question,domain\nWhy?,\n", ":2: domain: empty cell"),
        ("a.csv", "question,cued\nWhy?,\n", ":2: cued: empty cell"),
        ("a.csv", "question,cued\nWhy?,perhaps\n", ":2: cued: 'perhaps' is neither true nor false"),
        ("a.csv", "question\n?!\n", ":2: question: holds no word"),
        ("a.csv", "question\nWhy \x1b[2J?\n", ":2: question: holds a control character"),
        ("a.csv", f"question\n{'why ' * 6000}\n", ":2: question: longer than 20,000 characters"),
        ("a.csv", "id,question\na,Why, you?\n", ":2: 3 cells under 2 headings"),
        ("a.csv", "id,question\na\n", ":2: 1 cells under 2 headings"),
        ("a.csv", 'question\nHow?\n"Why?\nWho?\n', ":3: is not valid CSV"),
        ("a.csv", b"question\nHow?\nWhy \xff?\n", ":3: is not UTF-8 text"),
        ("a.csv", "question\nWhy?\n".encode("utf-16"), ":1: is not UTF-8 text"),
        ("a.csv", HEADINGS + "1. A?,1. B?,1. C?,1. D?,1. E?,1. F?,G?\n", ":2: Technology: the cell does not begin"),
        ("a.csv", HEADINGS + "1. A?,1. B?,,1. D?,1. E?,1. F?,1. G?\n", ":2: Lifestyle: empty cell"),
        ("a.csv", HEADINGS + "1. A?,1. B?\n", ":2: 2 cells under 7 headings"),
        (
            "a.csv",
            HEADINGS + "1. A?,1. B?,1. C?,1. D?,1. E?,1. F?,1. a?\n",
            ":2: question: 'a?' stands already in line 2",
        ),
        ("a.jsonl", '{"question": "Why?"}\n{"text": "How?"}\n', ":2: question: no such key"),
        ("a.jsonl", '{"question": "Why?"\n', ":1: is not valid JSON"),
        ("a.jsonl", "[" * 100_000, ":1: is not valid JSON"),
        ("a.jsonl", '{"question": "Why?", "question": "How?"}\n', ":1: is not valid JSON: a key stands twice"),
        ("a.jsonl", '"Why?"\n', ":1: is not a JSON object"),
        ("a.jsonl", '{"question": 7}\n', ":1: question: 7 is not text"),
        ("a.jsonl", '{"question": "Why?", "id": true}\n', ":1: id: true is not text"),
        ("a.jsonl", '{"question": "Why?", "cued": null}\n', ":1: cued: null is not text"),
        ("a.jsonl", '{"question": "Why \\ud800?"}\n', ":1: question: holds a control character"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, name: str, data: str | bytes, said: str) -> None:
    path = write(tmp_path, name, data)
    with pytest.raises(ContentError) as caught:
        load(path)
    assert str(caught.value).startswith(path + said)
    assert "\n" not in str(caught.value)


def test_a_name_or_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--questions 'worldviews': no such set; 'worldviews-175' is built in"):
        load("worldviews")
    with pytest.raises(UsageError, match="worldview-bench: its questions do not come with this package"):
        load("worldview-bench")
    with pytest.raises(ContentError, match=r"none\.csv: cannot be read: No such file"):
        load(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ContentError, match="cannot be read"):
        load(str(tmp_path / "folder.csv"))


def test_the_same_table_with_other_questions_does_not_take_the_originals_name(tmp_path: Path) -> None:
    row = ",".join(f'"{number}. {letter}, why?"' for number, letter in zip([3] * 7, "ABCDEFG", strict=True))
    found = load(write(tmp_path, "seven.csv", HEADINGS.replace(" / ", "/") + row + "\n"))
    assert found.name == "seven"
    assert json.loads(found.questions[0].model_dump_json()) == {
        "id": "ethical-moral-03", "question": "A, why?", "domain": "Ethical/Moral", "cued": None, "language": "",
    }  # fmt: skip
