from __future__ import annotations

import re

import pytest

from multiplex.content import read_yaml
from multiplex.council.answer import Synthesis, Voice
from multiplex.council.harms import load_harms
from multiplex.council.personas import Council, built_in
from multiplex.council.synthesis import finish, synthesize
from multiplex.council.touched_harms import find_harms
from multiplex.errors import ContentError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Say, asked

PERSONAS = built_in()
TERMS = [(harm, term) for harm in load_harms() for term in harm.terms]


@pytest.mark.parametrize(("harm", "term"), TERMS, ids=[term for _, term in TERMS])
def test_every_term_brings_every_persona_that_has_an_entry(harm, term) -> None:
    found = find_harms([f"They spoke of {term.upper()}, and of nothing else."], PERSONAS)
    told = {touched.description: touched for touched in found}
    expected = {p.perspective for p in PERSONAS for entry in p.harms if entry.harm == harm.id}
    assert {contest.perspective for contest in told[harm.description].contests} == expected


@pytest.mark.parametrize("text", ["The grape harvest", "the untortured mind", "An executive decision, a rapier"])
def test_a_term_counts_only_as_whole_words(text: str) -> None:
    assert find_harms([text], PERSONAS) == ()


def test_what_was_named_of_one_tradition_alone_is_now_named_of_all() -> None:
    """In 0.1.0 domestic violence brought a notice for one persona, slavery and homosexuality for another."""
    seven = Council.load().personas
    for word in (
        "domestic violence",
        "slavery",
        "homosexuality",
        "racism",
        "rape",
        "torture",
        "polygamy",
        "death penalty",
    ):
        (touched,) = find_harms([word], seven)
        assert len(touched.contests) >= 5, (word, [contest.title for contest in touched.contests])


def test_a_term_of_two_harms_is_refused(tmp_path) -> None:
    rows = read_yaml_rows()
    file = tmp_path / "harms.yaml"
    file.write_text("harms:\n" + rows + "  - {id: other, description: Other, terms: [SLAVERY]}\n", "utf-8")
    with pytest.raises(ContentError, match="'slavery' stands already under 'slavery'"):
        load_harms(file)


def read_yaml_rows() -> str:
    from multiplex.council.personas import agents

    assert read_yaml(agents() / "harms.yaml")["harms"][0]["id"] == "slavery"
    return "  - {id: slavery, description: Holding people, terms: [slavery]}\n"


async def test_the_question_brings_what_is_on_record_to_the_voice_and_the_reader(backend: Backend) -> None:
    backend.script = lambda body, n: Say("Some held people, and others freed them.")
    council = Council.load("western", "islamic", "african")
    from multiplex.council.strategies import multiplex

    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0, "check": "none"}))
    answer = await multiplex("What followed from slavery?", chat, 1, lambda event: None, council=council)
    await chat.aclose()
    by = {p.title: next(e.by for e in p.harms if e.harm == "slavery") for p in council.personas}
    *voices, essay = [asked(body) for body in backend.requests]
    for persona in council.personas:
        mine = next(text for text in voices if persona.speaker.split(".")[0] in text)
        assert by[persona.title] in mine
    assert not any(name in essay for name in by.values())  # it would be worked in for its own sake
    start, end = answer.scaffold[-1]
    assert all(f"{name} ({title})" in answer.text[start:end] for title, name in by.items())
    assert {contest.title: contest.source for harm in answer.harms for contest in harm.contests} == {
        p.title: next(str(e.source) for e in p.harms if e.harm == "slavery") for p in council.personas
    }
    assert not any(re.search(re.escape(by["Islamic"]), text) for text in voices if "Latin Christianity" in text)


async def test_a_harm_that_only_a_voice_touches_is_told_of_all(backend: Backend) -> None:
    council = Council.load("western", "islamic")
    voices = [
        Voice(persona=p.name, perspective=p.perspective, title=p.title, model="m", text=text)
        for p, text in zip(council.personas, ("It knew torture.", "It asks for mercy."), strict=True)
    ]
    backend.script = lambda body, n: Say("An essay.")
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0, "check": "none"}))
    personas = {p.name: p for p in council.personas}
    draft = await synthesize("What is owed to a prisoner?", voices, chat, 1, lambda event: None)
    made = await finish(draft, "What is owed to a prisoner?", voices, personas, chat, 1, lambda event: None)
    await chat.aclose()
    assert made.text == "An essay."  # it was touched in passing, and is no matter of the question
    assert {contest.title for harm in made.harms for contest in harm.contests} == {"Western", "Islamic"}


async def test_the_title_of_a_source_touches_no_harm() -> None:
    council = Council.load("western", "south_asian")
    said = "Marriage is an agreement of equals."
    source = " (Periyar; Why Were Women Enslaved? (1934)) [south_asian/marriage-as-free-contract]"
    voices = [
        Voice(persona=p.name, perspective=p.perspective, title=p.title, model="m", text=said + source,
              quoted=((0, len(said)),), scaffold=((len(said), len(said + source)),))
        for p in council.personas
    ]  # fmt: skip
    draft = Synthesis(text=voices[0].text, form="composed")
    chat = Chat(parse_spec("m", "http://127.0.0.1:9/v1"))
    personas = {p.name: p for p in council.personas}
    made = await finish(draft, "Whom may she marry?", voices, personas, chat, 1, lambda event: None)
    await chat.aclose()
    assert made.harms == ()
