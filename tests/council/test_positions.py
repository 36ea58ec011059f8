"""The sourcebook: what is read and refused, what is near a question, and that nothing else is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from multiplex.content import read_yaml
from multiplex.council import similarity
from multiplex.council.answer import Answer
from multiplex.council.grammar import ASKS, LONGEST, asking_grammar
from multiplex.council.graph import build_graph
from multiplex.council.locales import ENGLISH, locale_of
from multiplex.council.personas import Council, Persona, agents, built_in, read_persona
from multiplex.council.planning import plan_near
from multiplex.council.positions import load_topics, read_sourcebook
from multiplex.council.quoting import attribution, read_question
from multiplex.council.strategies import contextual, multiplex
from multiplex.council.voice import read_marks
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.extraction.references import masked
from multiplex.llm.chat import Chat
from multiplex.llm.embeddings import Embedder
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Body, Say, asked

NOTHING = locale_of(ENGLISH).say("voice_nothing")

CARE = "How should families decide who cares for ageing parents?"
DEFAULT = Council.load()
EVERY = [persona for persona in built_in() if persona.sourcebook is not None]


def small(backend: Backend) -> Chat:
    """A small model behind an endpoint that has no grammar."""
    return Chat(parse_spec("m", backend.base_url).model_copy(update={"synthesis": "composed", "retries": 0}))


async def answered(backend: Backend, question: str = CARE, council: Council = DEFAULT) -> Answer:
    chat = small(backend)
    try:
        return await multiplex(question, chat, 1, lambda event: None, council=council)
    finally:
        await chat.aclose()


@pytest.mark.parametrize("persona", EVERY, ids=lambda persona: persona.name)
def test_a_sourcebook_has_what_a_reader_may_expect(persona: Persona) -> None:
    book = persona.sourcebook
    assert book is not None
    assert len(book.positions) >= 50
    pairs = {frozenset((p.id, o.id)) for p in book.positions for o in p.against}
    assert len(pairs) >= 12
    covered = {topic for position in book.positions for topic in position.covers}
    assert covered | set(book.nothing_on_record) == {topic.id for topic in load_topics()}
    assert len(book.nothing_on_record) <= 5
    for position in book.positions:
        assert 25 <= len(position.says.split()) <= 60, position.id
        assert position.says[-1] in ".?”’)", position.id


def test_the_shipped_embeddings_are_those_of_the_files() -> None:
    shipped = similarity._shipped()
    books = {
        f"{persona.name}, {what}": getattr(persona.sourcebook, what)
        for persona in EVERY
        for what in ("texts", "phrases")
    }
    for name, texts in {"topics": similarity.topic_names(), **books}.items():
        assert similarity.key_of(texts) in shipped, f"{name}: run `python benchmarks/embed_positions.py`"
        assert abs(Embedder().encode(texts[:3]) - shipped[similarity.key_of(texts)][:3]).max() < 0.01


FILE = """positions:
  - id: first
    covers: [elders]
    topics: [care of old parents, what children owe]
    says: Some hold that care is owed.
    whose: Some elders
    source: {author: A. Author, work: A Work, year: "1990"}
    era: 20th century
    against:
      - {id: second, about: whether it may be hired}
  - id: second
    topics: [hiring help, paid care]
    says: Others hold that care may be hired.
    whose: Others
    source: {author: B. Author, work: B Work, year: "1991"}
    era: 20th century
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("id: second\n    topics", "id: first\n    topics", 11, "'first' stands twice"),
        ("{id: second, about", "{id: third, about", 10, "no other position 'third'"),
        ("[elders]", "[eldest]", 3, "no topic 'eldest'"),
        ("whose: Others", "who: Others", 11, "whose"),
        ("era: 20th century\n    against", "era: [1\n    against", 9, "not valid YAML"),
        ("[hiring help, paid care]", "[hiring help]", 12, "at least 2"),
    ],
)
def test_a_fault_is_told_with_file_line_and_field(tmp_path: Path, old: str, new: str, line: int, why: str) -> None:
    assert old in FILE
    path = tmp_path / "own.yaml"
    path.write_text(FILE.replace(old, new, 1), "utf-8")
    with pytest.raises(ContentError, match=why) as error:
        read_sourcebook(path)
    assert str(error.value).startswith(f"{path}:{line}")


def test_a_users_persona_brings_its_own_positions_and_one_without_is_refused_on_a_small_model(
    tmp_path: Path, backend: Backend
) -> None:
    path = tmp_path / "african.yaml"
    path.write_text((agents() / "african.yaml").read_text("utf-8"), "utf-8")
    assert read_persona(path).sourcebook is None
    with pytest.raises(UsageError, match="persona african has no sourcebook"):
        build_graph(Council.load(path), small(backend))
    (tmp_path / "positions").mkdir()
    (tmp_path / "positions" / "african.yaml").write_text(FILE, "utf-8")
    persona = read_persona(path)
    assert persona.position("second").whose == "Others"
    assert persona.digest != read_persona(agents() / "african.yaml").digest


def test_opposition_holds_for_both_wherever_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(FILE, "utf-8")
    book = read_sourcebook(path)
    first, second = book.positions
    assert book.opponents(first) == [(second, "whether it may be hired")]
    assert book.opponents(second) == [(first, "whether it may be hired")]


def asks(body: Body, n: int) -> Say:
    return Say("Would you ask a brother to share the nights?")


async def test_every_word_under_a_tradition_is_its_files(backend: Backend) -> None:
    refusal = Say(status=400, error={"message": "temperature is not supported", "param": "temperature"})
    backend.script = lambda body, n: refusal if "temperature" in body else asks(body, n)
    answer = await answered(backend)
    assert answer.form == "composed"
    for voice in answer.voices:
        persona = next(p for p in DEFAULT.personas if p.name == voice.persona)
        assert voice.positions
        for (start, end), cited in zip(voice.quoted, voice.positions, strict=True):
            assert voice.text[start:end] == persona.position(cited.id).says == cited.says
            assert f"[{persona.name}/{cited.id}]" in voice.text
        left = masked(voice.text, [*voice.quoted, *voice.scaffold]).strip()
        assert left == voice.asks == "Would you ask a brother to share the nights?"
    assert any(note.endswith(" refuses temperature 0.2; it was left out") for note in answer.notes)
    said = masked(answer.text, answer.scaffold)
    for start, end in answer.quoted:
        said = said[:start] + " " * (end - start) + said[end:]
    left = re.sub(r"\s+", " ", said).replace("Would you ask a brother to share the nights?", "").strip()
    assert left == ""
    assert {answer.text[start:end] for start, end in answer.quoted} == {
        cited.says for voice in answer.voices for cited in voice.positions
    }


async def test_the_nearest_position_stands_with_its_opponent_and_calls_are_one_a_voice(backend: Backend) -> None:
    backend.script = asks
    answer = await answered(backend)
    assert len(backend.requests) == len(DEFAULT.personas)
    near = similarity.nearest_positions(CARE, DEFAULT.personas, 1)
    for voice in answer.voices:
        persona = next(p for p in DEFAULT.personas if p.name == voice.persona)
        (nearest,) = near[voice.persona]
        opponents = [other.id for other, _ in persona.sourcebook.opponents(nearest)][:1]  # type: ignore[union-attr]
        assert [cited.id for cited in voice.positions] == [nearest.id, *opponents]
    assert not any("represent" in asked(body) for body in backend.requests)


def test_an_author_is_left_out_only_where_the_holders_name_has_the_whole_of_the_last_name() -> None:
    book = {position.id: position for persona in EVERY for position in persona.sourcebook.positions}  # type: ignore[union-attr]
    for name, author in (
        ("wealth-weakens-heirs", "Ban Gu"),
        ("slow-meals", "Folco Portinari"),
        ("the-dish-he-liked", "Zahara Gómez Lucini"),
        ("embroidering-the-drowned-village", "Adriane Canan"),
        ("secrets-kept-from-scholars", "Elizabeth Burgos"),
    ):
        assert author in attribution(book[name])
    assert attribution(book["dialogue-opens-the-door"]).count("Skorka") == 1


async def test_a_model_that_fails_costs_the_questions_and_nothing_else(backend: Backend) -> None:
    backend.script = lambda body, n: Say(status=500)
    answer = await answered(backend)
    near = similarity.nearest_positions(CARE, DEFAULT.personas, 1)
    assert not answer.lost
    for voice in answer.voices:
        assert voice.positions[0].id == near[voice.persona][0].id
        assert voice.asks is None
    (note,) = [note for note in answer.notes if "no question to the reader" in note]
    assert note.startswith("Western, Islamic, ")


async def test_a_question_about_nothing_gets_no_position_and_is_told_so(backend: Backend) -> None:
    answer = await answered(backend, "What is 17 times 23?")
    assert "a council adds nothing here" in answer.text
    assert not answer.quoted
    assert backend.requests == []
    assert {voice.text for voice in answer.voices} == {NOTHING}


@pytest.mark.parametrize("quoting", ["islamic alone", "all but islamic"])
async def test_a_small_models_voice_beside_others_is_given_what_is_near_enough_for_it_or_said_to_have_nothing(
    quoting: str, backend: Backend
) -> None:
    question, council = "Is graffiti art?", Council.load("western", "islamic", "african")
    given, shown = plan_near(question, council), plan_near(question, council, council.perspectives)
    assert given["islamic"]
    assert not shown["islamic"]
    backend.script = lambda body, n: Say(
        "Would you say so yourself?" if "A reader asks:" in asked(body) else "Walls are owned [1]."
    )
    big = Chat(parse_spec("big", backend.base_url).model_copy(update={"retries": 0, "check": "none"}))
    main, islamic = (big, small(backend)) if quoting == "islamic alone" else (small(backend), big)
    answer = await multiplex(question, main, 1, lambda event: None, council=council, voice_models={"islamic": islamic})
    for chat in (main, islamic):
        await chat.aclose()
    voices = {voice.perspective: voice for voice in answer.voices}
    (note,) = [note for note in answer.notes if "a small model answers here" in note]
    ours = "".join(answer.text[start:end] for start, end in answer.scaffold)
    if quoting == "islamic alone":
        assert note.startswith("Islamic: ")
        assert (answer.form, voices["islamic"].text) == ("essay", NOTHING)
        assert [cited.id for cited in voices["western"].positions] == [given["western"][0]]
        assert not any(NOTHING in asked(body) or 'tradition="Islamic"' in asked(body) for body in backend.requests)
        assert "Nothing near this question in the sourcebook of: Islamic." in ours
        assert council.personas[1].system_prompt not in answer.prompt
        assert council.personas[0].system_prompt in answer.prompt
    else:
        assert note.startswith("Western, African: ")
        assert (answer.form, voices["western"].text) == ("composed", NOTHING)
        assert [cited.id for cited in voices["islamic"].positions] == [given["islamic"][0]]
        assert voices["african"].positions[0].id == shown["african"][0]
        assert "Nothing near this question in the sourcebook of: Western." in ours
        assert "Walls are owned." not in ours
        assert council.personas[1].system_prompt in answer.prompt


async def test_where_no_voice_has_anything_on_record_a_capable_model_is_not_asked_for_an_essay(
    backend: Backend,
) -> None:
    big = Chat(parse_spec("big", backend.base_url))
    council = Council.load("western", "african")
    quoting = dict.fromkeys(council.perspectives, small(backend))
    answer = await multiplex("What is 17 times 23?", big, 1, lambda event: None, council=council, voice_models=quoting)
    assert "a council adds nothing here" in answer.text
    assert backend.requests == []


async def test_a_later_round_is_shown_no_positions_and_marks_none(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Care is owed [1].")
    big = Chat(parse_spec("big", backend.base_url).model_copy(update={"retries": 0, "check": "none"}))
    answer = await multiplex(CARE, big, 1, lambda event: None, council=Council.load("western", "african"), rounds=2)
    await big.aclose()
    assert {(voice.round, len(voice.positions)) for voice in answer.rounds} == {(1, 1), (2, 0)}


def test_a_question_that_names_what_nobody_named_is_dropped() -> None:
    position = EVERY[0].sourcebook.positions[0]  # type: ignore[union-attr]
    assert read_question("Would you hide it from your mother?", position, CARE) == "Would you hide it from your mother?"
    assert read_question("Would you ask the yoruba to pay for it?", position, CARE) is None
    assert read_question("The old are a burden.", position, CARE) is None
    assert read_question("Would you hide it, even if you are different from ?", position, CARE) is None
    assert read_question(f"Would you {'a' * LONGEST}?", position, CARE) is None


async def test_the_reader_is_asked_about_what_the_two_positions_dispute(backend: Backend) -> None:
    answer = await answered(backend)
    told = [body["messages"][-1]["content"] for body in backend.requests]
    for voice, persona in zip(answer.voices, DEFAULT.personas, strict=True):
        book = persona.sourcebook
        assert book is not None
        position = book.by_id[voice.positions[0].id]
        about = [about for _, about in book.opponents(position)[:1]] or [position.topics[0]]
        assert f"Disputed: {about[0]}\nReader: {CARE}" in told


def test_the_grammar_lets_no_name_and_no_statement_through() -> None:
    grammar = asking_grammar()
    assert "[a-z ,'-]" in grammar
    assert all(opener.strip().split()[-1] in ("you", "do", "of") or "you" in opener for opener in ASKS)


async def test_a_small_model_answers_in_no_other_way(backend: Backend) -> None:
    chat = small(backend)
    with pytest.raises(UsageError, match="contextual: m is a small model"):
        await contextual(CARE, chat, 1, lambda event: None)
    await chat.aclose()
    assert backend.requests == []


def test_marks_are_taken_out_of_a_voice_and_lead_to_their_positions() -> None:
    near = EVERY[0].sourcebook.positions[:3]  # type: ignore[union-attr]
    text, cited = read_marks("Care is owed [2]. It may be hired [1, 3]. None [9].", near)
    assert text == "Care is owed. It may be hired. None."
    assert [(c.id, c.places) for c in cited] == [
        (near[1].id, (len("Care is owed"),)),
        (near[0].id, (len("Care is owed. It may be hired"),)),
        (near[2].id, (len("Care is owed. It may be hired"),)),
    ]


@pytest.mark.parametrize("marked", ["[1-3]", "[1–2, 3]", " [2, 1 - 3]"])
def test_a_mark_may_be_a_range(marked: str) -> None:
    near = EVERY[0].sourcebook.positions[:3]  # type: ignore[union-attr]
    text, cited = read_marks(f"Guests come first{marked}.", near)
    assert text == "Guests come first."
    assert {c.id for c in cited} == {position.id for position in near}


@pytest.mark.parametrize("marked", ["客人优先【1】。", "客人优先［1］。", "客人优先[1；2]。", "客人优先[1、2]。"])
def test_a_mark_in_chinese_brackets_is_read_too(marked: str) -> None:
    near = EVERY[0].sourcebook.positions[:2]  # type: ignore[union-attr]
    text, cited = read_marks(marked, near)
    assert text == "客人优先。"
    assert cited[0].id == near[0].id


async def test_a_question_in_another_language_is_answered_with_a_note(backend: Backend) -> None:
    answer = await answered(backend, "Wie sollen Familien über die Pflege alter Eltern entscheiden?")
    assert any("does not seem to be in English" in note for note in answer.notes)
    answer = await answered(backend, CARE)
    assert not any("does not seem to be in English" in note for note in answer.notes)


def test_topics_are_listed_once_and_named() -> None:
    assert len(load_topics()) >= 50
    assert read_yaml(agents() / "topics.yaml")["topics"][0]["id"] == "family"
