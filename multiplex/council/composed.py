"""The composed answer: the voices' own sentences, with connecting sentences that a small model writes between them.

Disagreements inside each tradition are taken from the persona's sources, since a small model makes them up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from multiplex.content import as_data, prompt
from multiplex.council.answer import Span, Synthesis, Voice
from multiplex.council.events import Emit
from multiplex.council.grammar import OPENER, connecting_grammar
from multiplex.council.harms import find_harms
from multiplex.council.nearness import closest_and_furthest, ideas_in, nearest_schools
from multiplex.council.personas import Persona
from multiplex.council.seeds import call_seed
from multiplex.council.speaking import whole_sentences
from multiplex.llm.chat import Call, Chat
from multiplex.llm.embedded import SYNTHESIS_SLOT
from multiplex.llm.usage import Usage

TAGS = ("multiplex:synthesis",)


class Draft:
    """A text as it grows, which remembers what in it is scaffold and streams every piece."""

    def __init__(self, emit: Emit) -> None:
        self.text = ""
        self.scaffold: list[Span] = []
        self._emit = emit

    def write(self, piece: str, *, scaffold: bool = False) -> None:
        """Append a piece; `scaffold` marks it as written by our code."""
        if scaffold and piece:
            self.scaffold.append((len(self.text), len(self.text) + len(piece)))
        self.text += piece
        self._emit({"type": "synthesis.delta", "text": piece})

    def finish(self, form: Literal["composed", "voices"], usage: Usage, note: str | None = None) -> Synthesis:
        """The synthesis, whole."""
        return Synthesis(text=self.text, form=form, scaffold=tuple(self.scaffold), usage=usage, note=note)


async def compose(
    question: str, spoken: Sequence[Voice], personas: Mapping[str, Persona], chat: Chat, seed: int, emit: Emit
) -> Synthesis:
    """The voices' own sentences, with connecting sentences by the model between them.

    Raises:
        CallError: the call for the connecting sentences failed for good.
    """
    draft = Draft(emit)
    await asyncio.to_thread(_write_voices, draft, question, spoken, personas)
    if len(spoken) < 2:
        return draft.finish("composed", Usage())
    from langchain_core.messages import HumanMessage

    draft.write("\n\n## Where they stand close and where far apart\n\n", scaffold=True)
    leads = await asyncio.to_thread(_leads, spoken)
    excerpts = "\n".join(
        f"{voice.title}: {first_sentence(voice.text)}" for voice in spoken if voice.title in "".join(leads)
    )
    reply = await chat.complete(
        [HumanMessage(prompt("connect", voices=as_data(excerpts), form="...".join(leads)))],
        Call(
            max_tokens=chat.spec.synthesis_tokens,
            seed=call_seed(seed, "synthesis"),
            slot=SYNTHESIS_SLOT,
            grammar=connecting_grammar(question, leads) if chat.spec.local else None,
            temperature=0.2,  # it retells; nothing new is wanted here
            tags=TAGS,
        ),
    )
    _write_connecting(draft, whole_sentences(reply.text) if reply.cut else reply.text, leads)
    return draft.finish("composed", reply.usage)


def _leads(spoken: Sequence[Voice]) -> list[str]:
    """The beginnings of the connecting sentences: which voices are compared is told by embeddings, not by the model.

    Close and far are relative, and each phrase is put to one voice: the form never asserts an agreement.
    """
    (a, b), (c, d) = closest_and_furthest([_parts(voice.text)[0] for voice in spoken])
    titles = [voice.title for voice in spoken]
    return [
        f"Closest to each other in meaning are the {titles[a]} and {titles[b]} voices: {titles[a]} speaks of ",
        f"; {titles[b]} speaks of ",
        f". Furthest apart are the {titles[c]} and {titles[d]} voices: {titles[c]} speaks of ",
        f"; {titles[d]} speaks of ",
    ]


def _write_voices(draft: Draft, question: str, spoken: Sequence[Voice], personas: Mapping[str, Persona]) -> None:
    draft.write("## How each voice answers", scaffold=True)
    for voice in spoken:
        draft.write(f"\n\n**{voice.title}.** ", scaffold=True)
        draft.write(_parts(voice.text)[0])
    considered = [(voice, asked) for voice in spoken if (asked := _parts(voice.text)[1])]
    if considered:
        draft.write("\n\n## What each asks you to consider\n", scaffold=True)
    for voice, asked in considered:
        draft.write(f"\n- **{voice.title}:** {OPENER}", scaffold=True)
        draft.write(asked.removeprefix(OPENER))
    named = [(voice, idea) for voice in spoken for idea in ideas_in(voice.text, personas[voice.persona])]
    if named:
        draft.write("\n\n## Where to read about these ideas\n", scaffold=True)
    for voice, idea in named:
        draft.write(f"\n- **{voice.title}:** {idea.name}: *{idea.source}*", scaffold=True)
    divided = [(voice, personas[voice.persona]) for voice in spoken if personas[voice.persona].schools]
    if divided:
        draft.write("\n\n## Who disagrees inside each tradition\n", scaffold=True)
    for voice, persona in divided:
        school = nearest_schools(question, persona)
        draft.write(
            f"\n- **{voice.title}:** {' and '.join(school.between)}. {school.over} *({school.source})*", scaffold=True
        )
    harms = find_harms([question, *(voice.text for voice in spoken)], list(personas.values()))
    if harms:
        draft.write("\n\n## Contested inside the traditions\n", scaffold=True)
    for harm in harms:
        for contest in harm.contests:
            source = f" *({contest.source})*" if contest.source else ""
            draft.write(
                f"\n- **{contest.title}:** {harm.description}. Contested by {contest.by}.{source}", scaffold=True
            )


def _write_connecting(draft: Draft, text: str, leads: Sequence[str]) -> None:
    """The connecting sentences; the leads in them are scaffold."""
    rest = text
    for lead in leads:
        before, found, after = rest.partition(lead.strip())
        if found:
            draft.write(before)
            draft.write(found, scaffold=True)
            rest = after
    draft.write(rest)


def _parts(text: str) -> tuple[str, str]:
    """A voice's answer, and what it asks the reader to consider (empty where it does not say so on its last line)."""
    body, _, last = text.rpartition("\n")
    return (body.strip(), last.strip()) if body.strip() and last.startswith(OPENER) else (text.strip(), "")


def first_sentence(text: str) -> str:
    """Enough of a voice to tell what it speaks of, and little for a small model to read."""
    return re.split(r"(?<=[.!?。！？؟।])\s", text, maxsplit=1)[0]
