"""The synthesizer: one answer made of the voices, with every lost one named.

Two ways, by the model's spec. `written`: a capable model writes an essay by the points on which the voices part, which
is read against them before it is shown. `composed`: positions of the sourcebooks are arranged, word for word.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from multiplex.council.answer import Synthesis, Voice
from multiplex.council.checking import Judge, check_essay
from multiplex.council.composed import Draft, compose, lead, name_silent
from multiplex.council.essay import Material, NoEssayError, write_essay
from multiplex.council.events import Emit, SynthesisDelta, SynthesisRestarted, SynthesisStarted
from multiplex.council.locales import IN_ENGLISH, Language, Locale
from multiplex.council.messages import show_piece
from multiplex.council.personas import Persona
from multiplex.council.quoting import outside
from multiplex.council.touched_harms import Touched, find_harms
from multiplex.errors import MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.usage import Usage, spent_on


async def synthesize(
    question: str, voices: Sequence[Voice], chat: Chat, seed: int, emit: Emit, language: Language = IN_ENGLISH
) -> Synthesis:
    """The draft of the answer, made of the voices that spoke.

    A synthesizer that fails loses nothing: the voices then stand side by side, and `note` says why. Where one voice
    alone said something it is the answer, and where none did the answer says so; no call is made for either.
    """
    emit(SynthesisStarted())
    material = gather_material(question, voices, seed, chat.secret, language)
    written = chat.spec.synthesis == "written"
    if written and len(material.voices) == 1:
        return _stand_alone(material.voices[0], emit, language.locale)
    try:
        if written and material.voices:
            return await write_essay(material, chat, seed, emit)
        return await compose([voice for voice in voices if voice.error is None], emit, language.locale)
    except MultiplexError as error:
        emit(SynthesisRestarted(reason=str(error), failed=True))
        note = language.locale.say("synthesis_failed", error=error)
        usage = error.usage if isinstance(error, NoEssayError) else spent_on(error)
        return _stand_beside(material.voices, emit, usage, note, language.locale)


async def finish(
    draft: Synthesis, question: str, voices: Sequence[Voice], personas: Mapping[str, Persona], chat: Chat, seed: int,
    emit: Emit, judge: Judge | None = None, language: Language = IN_ENGLISH,
) -> Synthesis:  # fmt: skip
    """The answer: a draft essay checked and revised, then what is on record of harms, and who is missing.

    Harms that the question or a voice touches are kept with everyone in the council on record against them. Those of
    the question are told under the answer; of those that only a voice touches, which may be in passing, a note speaks.
    """
    material = gather_material(question, voices, seed, chat.secret, language)
    if draft.form == "essay" and not draft.failed:
        if chat.spec.check == "none":
            draft = draft.model_copy(update={"check": "none"})
        else:
            draft = await check_essay(draft, material, _terms(personas.values()), chat, seed, emit, judge)
    harms = find_harms([question, *map(_own_words, material.voices)], list(personas.values()))
    draft = draft.model_copy(update={"harms": harms})
    asked = {harm.description for harm in find_harms([question], list(personas.values()))}
    if told := [harm for harm in harms if harm.description in asked]:
        draft = _append(draft, "\n\n---\n\n" + _name_contesters(told, language.locale), emit)
    silent = [voice for voice in voices if voice.error is None and not voice.states]
    if silent and draft.form != "composed":  # which names them itself
        draft = _append(draft, name_silent(silent, language.locale), emit)
    if lost := [voice.title for voice in voices if voice.error is not None]:
        missing = language.locale.say("missing", voices=language.locale.title_list(lost))
        draft = _append(draft, f"\n\n*{missing}*", emit)
    return draft


def gather_material(
    question: str, voices: Sequence[Voice], seed: int, secret: str | None = None, language: Language = IN_ENGLISH
) -> Material:
    """The voices that said something, in an order that the seed fixes; `secret` as in `make_marks`."""
    said = [voice for voice in voices if voice.states]
    random.Random(f"{seed} order").shuffle(said)
    return Material(question, tuple(said), seed, secret, language)


def _own_words(voice: Voice) -> str:
    """The voice without what our code wrote round a statement: the title of a source is not about a practice."""
    return "\n".join(voice.text[start:end] for start, end in outside(voice.scaffold, len(voice.text)))


def _name_contesters(harms: Sequence[Touched], locale: Locale) -> str:
    """Every tradition on record against each harm, in a line; the sources are in the record."""
    lines = [
        f"- {harm.description}: "
        + "; ".join(f"{contest.by} ({locale.title(contest.title)})" for contest in harm.contests)
        + "."
        for harm in harms
    ]
    return f"*{locale.say('contested')}*\n\n" + "\n".join(lines)


def _terms(personas: Collection[Persona]) -> list[str]:
    """The words that the personas explain: a voice is met where one of its own stands in the essay."""
    return [word.word for persona in personas for word in persona.words] + [
        idea.name for persona in personas for idea in persona.ideas
    ]


def _stand_alone(voice: Voice, emit: Emit, locale: Locale) -> Synthesis:
    draft = Draft(emit)
    draft.write_voice(voice)
    draft.write(f"\n\n*{locale.say('alone', voice=locale.title(voice.title))}*", scaffold=True)
    return draft.finish("voices", Usage(), locale.say("one_voice"))


def _stand_beside(voices: Sequence[Voice], emit: Emit, usage: Usage, note: str, locale: Locale) -> Synthesis:
    draft = Draft(emit)
    for i, voice in enumerate(voices):
        gap = "\n\n" if i else ""
        draft.write(f"{gap}{lead(voice, locale)} ", scaffold=True)
        draft.write_voice(voice)
    return draft.finish("voices", usage, note).model_copy(update={"failed": True})


def _append(draft: Synthesis, text: str, emit: Emit) -> Synthesis:
    """The answer with a further piece that our code wrote."""
    emit(SynthesisDelta(text=text))
    if draft.message_id is not None:
        show_piece(text, draft.message_id)
    end = len(draft.text)
    return draft.model_copy(update={"text": draft.text + text, "scaffold": (*draft.scaffold, (end, end + len(text)))})
