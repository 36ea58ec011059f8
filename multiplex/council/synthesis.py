"""The synthesizer: one answer made of the voices, which keeps their differences and names every lost one.

Two ways, by the model's spec. `written`: a capable model writes the whole from the voices. `composed`: the
answer is built around the voices' own sentences and a small model writes only the sentences that connect them;
disagreements inside each tradition are then taken from the persona's sources, since a small model makes them up.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from multiplex.content import as_data, prompt
from multiplex.council.answer import Span, Synthesis, Voice
from multiplex.council.events import Emit
from multiplex.council.grammar import OPENER, connecting_grammar
from multiplex.council.nearness import closest_and_furthest, ideas_in, nearest_schools
from multiplex.council.personas import Contested, Persona
from multiplex.council.seeds import call_seed
from multiplex.council.speaking import whole_sentences
from multiplex.errors import MultiplexError
from multiplex.llm.chat import Call, Chat
from multiplex.llm.embedded import SYNTHESIS_SLOT
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

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

    def finish(self, usage: Usage, note: str | None = None) -> Synthesis:
        """The synthesis, whole."""
        return Synthesis(text=self.text, scaffold=tuple(self.scaffold), usage=usage, note=note)


async def synthesize(
    question: str, voices: Sequence[Voice], personas: Mapping[str, Persona], chat: Chat, seed: int, emit: Emit
) -> Synthesis:
    """The multiplex answer made of the voices that spoke; lost ones are named at its end.

    A synthesizer that fails loses nothing: the voices then stand side by side, and `note` says why.
    """
    emit({"type": "synthesis.started"})
    spoken = [voice for voice in voices if voice.error is None]
    random.Random(f"{seed} order").shuffle(spoken)
    way = written if chat.spec.synthesis == "written" else composed
    try:
        synthesis = await way(question, spoken, personas, chat, seed, emit)
    except MultiplexError as error:
        emit({"type": "synthesis.restarted", "reason": str(error), "failed": True})
        draft = Draft(emit)
        await asyncio.to_thread(_write_voices, draft, question, spoken, personas)
        note = f"the synthesizer failed ({error}); the voices stand unconnected"
        synthesis = draft.finish(Usage(), note).model_copy(update={"failed": True})
    lost = [voice.title for voice in voices if voice.error is not None]
    if not lost:
        return synthesis
    notice = f"\n\n*Missing from this answer: {', '.join(lost)}, whose voice was lost.*"
    emit({"type": "synthesis.delta", "text": notice})
    end = len(synthesis.text)
    return synthesis.model_copy(
        update={"text": synthesis.text + notice, "scaffold": (*synthesis.scaffold, (end, end + len(notice)))}
    )


async def written(
    question: str, spoken: Sequence[Voice], personas: Mapping[str, Persona], chat: Chat, seed: int, emit: Emit
) -> Synthesis:
    """The whole answer by the model. Its attributions are its own words, so nothing here is scaffold.

    Raises:
        CallError: the call failed for good.
    """
    reply = await chat.complete(
        written_messages(question, spoken, personas),
        Call(max_tokens=chat.spec.synthesis_tokens, seed=call_seed(seed, "synthesis"), tags=TAGS),
        on_delta=lambda piece: emit({"type": "synthesis.delta", "text": piece}),
        on_retry=lambda error: emit({"type": "synthesis.restarted", "reason": str(error)}),
    )
    note = "the synthesis was cut off at its token limit" if reply.cut else None
    return Synthesis(text=reply.text, usage=reply.usage, note=note, cut=reply.cut)


def written_messages(question: str, spoken: Sequence[Voice], personas: Mapping[str, Persona]) -> list[BaseMessage]:
    """The synthesizer's prompt: rules as system message, question and voices as data."""
    from langchain_core.messages import HumanMessage, SystemMessage

    voices = "\n\n".join(f'<voice tradition="{voice.title}">\n{as_data(voice.text)}\n</voice>' for voice in spoken)
    contested = [
        f"- {voice.title}, on {item.practice}: {item.by}"
        for voice in spoken
        for item in contested_in(voice.text, personas[voice.persona])
    ]
    reported = "\n".join(contested) or "(the voices report none of those on record)"
    return [
        SystemMessage(prompt("synthesize")),
        HumanMessage(prompt("synthesize_voices", question=as_data(question), voices=voices, contested=reported)),
    ]


async def composed(
    question: str, spoken: Sequence[Voice], personas: Mapping[str, Persona], chat: Chat, seed: int, emit: Emit
) -> Synthesis:
    """The voices' own sentences, with connecting sentences by the model between them.

    Raises:
        CallError: the call for the connecting sentences failed for good.
    """
    draft = Draft(emit)
    await asyncio.to_thread(_write_voices, draft, question, spoken, personas)
    if len(spoken) < 2:
        return draft.finish(Usage())
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
    return draft.finish(reply.usage)


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
    contested = [(voice, item) for voice in spoken for item in contested_in(voice.text, personas[voice.persona])]
    if contested:
        draft.write("\n\n## Contested inside the tradition\n", scaffold=True)
    for voice, item in contested:
        draft.write(f"\n- **{voice.title}:** {item.practice}. {item.by}", scaffold=True)


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


def contested_in(text: str, persona: Persona) -> list[Contested]:
    """The harmful practices on record for this tradition that a text speaks of."""
    folded = text.casefold()  # most terms are nowhere in it, which this tells at a tenth of the cost
    return [
        item
        for item in persona.contested
        if any(
            term.casefold() in folded and re.search(rf"\b{re.escape(term)}\b", text, re.IGNORECASE)
            for term in item.terms
        )
    ]
