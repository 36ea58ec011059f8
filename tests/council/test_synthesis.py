from __future__ import annotations

import re

from multiplex.council.answer import Voice
from multiplex.council.grammar import OPENER, connecting_grammar, voice_grammar
from multiplex.council.personas import Council
from multiplex.council.synthesis import synthesize
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Say, asked

SAID = {
    "western": "Kant grounds duty in reason.\nConsider the autonomy of each parent.",
    "african": "Ubuntu makes care everyone's work.\nConsider who belongs.",
    "south_asian": "Seva is owed to parents, and untouchability wrongs the carers.\nConsider dharma.",
}


def voices() -> list[Voice]:
    personas = Council.load(*SAID).personas
    return [
        Voice(persona=p.name, perspective=p.perspective, title=p.title, model="m", text=SAID[p.name]) for p in personas
    ]


async def composed(backend: Backend, reply: str = "nothing") -> tuple[str, list[tuple[int, int]]]:
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"synthesis": "composed", "retries": 0}))
    backend.script = lambda body, n: Say(reply)
    personas = {p.name: p for p in Council.load(*SAID).personas}
    synthesis = await synthesize("Who cares for parents?", voices(), personas, chat, 1, lambda event: None)
    await chat.aclose()
    return synthesis.text, list(synthesis.scaffold)


def outside(text: str, scaffold: list[tuple[int, int]]) -> str:
    """What is left when the scaffold is taken away."""
    for start, end in sorted(scaffold, reverse=True):
        text = text[:start] + "\n" + text[end:]
    return " ".join(text.split())


async def test_only_the_models_words_are_outside_the_scaffold(backend: Backend) -> None:
    text, scaffold = await composed(backend, "One speaks of duty.")
    left = outside(text, scaffold)
    for said in ("Kant grounds duty in reason.", "the autonomy of each parent.", "who belongs.", "One speaks of duty."):
        assert said in left
    for ours in ("##", "**", OPENER.strip(), "Western", "African", "(19", "Contested"):
        assert ours not in left


async def test_every_tradition_has_its_sourced_inner_disagreement(backend: Backend) -> None:
    text, _ = await composed(backend)
    part = text.split("## Who disagrees inside each tradition")[1].split("##")[0]
    assert len(re.findall(r"\*\*(Western|African|South Asian):\*\* .+ \*\(.+\(.+\)\)\*", part)) == 3


async def test_a_harmful_practice_a_voice_speaks_of_is_shown_with_those_who_contest_it(backend: Backend) -> None:
    text, _ = await composed(backend)
    part = text.split("## Contested inside the traditions")[1].split("##")[0]
    entries = {p.title: e for p in Council.load(*SAID).personas for e in p.harms if e.harm == "caste_exclusion"}
    assert "South Asian" in entries
    for title, entry in entries.items():
        assert f"**{title}:**" in part
        assert entry.by in part


async def test_the_voices_compared_are_not_chosen_by_the_model(backend: Backend) -> None:
    await composed(backend)
    first = asked(backend.requests[-1])
    await composed(backend, "something else")
    assert asked(backend.requests[-1]) == first
    assert "Closest to each other in meaning are the" in first


def test_the_grammar_is_ascii_only_where_the_question_is() -> None:
    assert "“" not in voice_grammar("Who?")
    assert '"Consider "' in voice_grammar("Who?")
    assert '"Consider "' not in voice_grammar("من؟")
    assert '\\"' in connecting_grammar("Who?", ['the "X" voice speaks of '])
