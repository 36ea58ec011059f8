"""The controls of a benchmark: what the council's parts do alone, so that its answer can be told from their effect.

`checklist` is told to mention every perspective, `solo_council` plays all personas in one call, `uniplex_long` is as
long as the multiplex answer; `echo_council` is an ensemble of one persona, `blank_council` one of none.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from multiplex.content import prompt
from multiplex.council.answer import Answer
from multiplex.council.essay import essay_words
from multiplex.council.events import Emit
from multiplex.council.locales import IN_ENGLISH, Language
from multiplex.council.personas import Council, Persona
from multiplex.council.planning import NEAR_POSITIONS
from multiplex.council.similarity import nearest_positions
from multiplex.council.strategies import check_strategy, multiplex, one_call
from multiplex.council.voice import on_record
from multiplex.llm.chat import Chat
from multiplex.text.marks import as_data

ECHOED = (
    "western"  # the perspective a plain answer stands nearest to; another council's first persona where it lacks it
)
TOKENS_A_WORD = 1.8  # generous for English; a reply that reaches the limit is cut to full sentences


async def checklist(
    question: str, chat: Chat, seed: int, emit: Emit, *, council: Council, words: int, language: Language = IN_ENGLISH
) -> Answer:
    """One call, told to mention every perspective of the council in about this many words.

    Raises:
        CallError: the call failed for good.
    """
    titles = ", ".join(as_data(persona.title) for persona in council.personas)
    system = prompt("checklist", perspectives=titles, words=str(words))
    return await one_call(
        "checklist", question, system, chat, seed, emit, max_tokens=_tokens(words, chat), language=language
    )


async def uniplex_long(
    question: str, chat: Chat, seed: int, emit: Emit, *, words: int, language: Language = IN_ENGLISH
) -> Answer:
    """The question alone, with the length that is wanted.

    Raises:
        CallError: the call failed for good.
    """
    asked = prompt("uniplex_long", question=question, words=str(words))
    return await one_call(
        "uniplex-long", asked, "", chat, seed, emit, max_tokens=_tokens(words, chat), language=language
    )


async def solo_council(
    question: str, chat: Chat, seed: int, emit: Emit, *, council: Council, language: Language = IN_ENGLISH
) -> Answer:
    """One call that plays every persona, with the same positions near the question, and writes the essay.

    Raises:
        CallError: the call failed for good.
    """
    near = await asyncio.to_thread(nearest_positions, question, council.personas, NEAR_POSITIONS)
    parts = [
        f"## {as_data(persona.title)}\n\n{persona.system_prompt}\n"
        f"{on_record(persona, near.get(persona.name, ()), mark=False)}"
        for persona in council.personas
    ]
    low, high = map(str, essay_words(chat))
    system = prompt(
        "solo_council",
        personas="\n\n".join(parts),
        essay=prompt("essay", low=low, high=high, language=language.asked_for),
    )
    marks = chat.marks(seed, question)
    asked = f"{marks.enclose('question', question)}\n\n{prompt('marks', nonce=marks.nonce)}"
    return await one_call("solo-council", asked, system, chat, seed, emit, language=language)


async def echo_council(
    question: str, chat: Chat, seed: int, emit: Emit, *, council: Council, language: Language = IN_ENGLISH
) -> Answer:
    """One persona as often as the council has voices, through the same synthesizer: what an ensemble alone does.

    Raises:
        ModelError: no call succeeded.
        VoicesLostError: too few voices spoke.
    """
    check_strategy("echo-council", chat.spec)
    answer = await multiplex(question, chat, seed, emit, council=echo(council), language=language)
    return answer.model_copy(update={"strategy": "echo-council"})


async def blank_council(
    question: str, chat: Chat, seed: int, emit: Emit, *, council: Council, language: Language = IN_ENGLISH
) -> Answer:
    """As many voices as the council has, without a persona, through the same synthesizer: what compute alone does.

    Raises:
        ModelError: no call succeeded.
        VoicesLostError: too few voices spoke.
    """
    check_strategy("blank-council", chat.spec)
    answer = await multiplex(question, chat, seed, emit, council=blank(council), language=language)
    return answer.model_copy(update={"strategy": "blank-council"})


def echo(council: Council) -> Council:
    """The council with one persona in every place: the Western one, or its first where it has none."""
    chosen = next((persona for persona in council.personas if persona.perspective == ECHOED), council.personas[0])
    return Council(
        tuple(
            chosen.model_copy(
                update={
                    "name": f"{chosen.name}_{i}",
                    "perspective": f"{chosen.perspective}_{i}",
                    "title": f"{chosen.title} {i}",
                }
            )
            for i in range(1, len(council.personas) + 1)
        )
    )


class Blank(Persona):
    """A voice without a persona: nothing is said to it but the question and the length."""

    @cached_property
    def digest(self) -> str:
        """Of no content."""
        return ""

    @cached_property
    def system_prompt(self) -> str:
        """Nothing."""
        return ""

    @property
    def turn_prompt(self) -> str:
        """The template of the question, which speaks of no tradition."""
        return "voice_blank"


def blank(council: Council) -> Council:
    """As many voices without a persona as the council has."""
    return Council(tuple(_blank(i) for i in range(1, len(council.personas) + 1)))


def _blank(i: int) -> Blank:
    nothing: dict[str, Any] = dict.fromkeys(Blank.model_fields, ())
    return Blank.model_construct(
        **nothing | {"name": f"voice_{i}", "perspective": f"voice_{i}", "title": f"Voice {i}", "sourcebook": None}
    )


def _tokens(words: int, chat: Chat) -> int | None:
    """Most tokens of a reply of so many words; None for a model that is not limited."""
    return None if chat.spec.answer_tokens is None else int(words * TOKENS_A_WORD)
