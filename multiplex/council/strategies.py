"""The ways to answer a question. Each takes a question and returns an Answer; what happens goes to `emit`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from multiplex.content import prompt
from multiplex.council.answer import Answer, Synthesis, Voice, last_words
from multiplex.council.events import Done, Emit, EndState, follow, silent
from multiplex.council.locales import ENGLISH, IN_ENGLISH, Language, Locale, fallback_note, language_of
from multiplex.council.personas import Council
from multiplex.council.planning import PlanMode
from multiplex.council.quoting import seems_english
from multiplex.council.seeds import call_seed
from multiplex.council.voice import whole_sentences
from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.local.server import PLAIN_SLOT
from multiplex.llm.types import Call
from multiplex.llm.usage import total

if TYPE_CHECKING:
    from multiplex.council.checking import Judge
    from multiplex.council.planning import Plan
    from multiplex.council.state import CouncilState
    from multiplex.llm.model import Model
    from multiplex.llm.spec import ModelSpec


SMALL_MODEL_STRATEGIES = ("uniplex", "multiplex")
"""How a small model may answer: simply asked, or by quoting the sourcebooks; it states nothing of traditions."""


def system_prompt(strategy: str) -> str:
    """The system prompt of a strategy that makes one call; empty where the model is simply asked."""
    return prompt("contextual") if strategy == "contextual" else ""


async def uniplex(question: str, chat: Chat, seed: int, emit: Emit, language: Language = IN_ENGLISH) -> Answer:
    """The question alone, with no system prompt: what the model says when it is simply asked.

    Raises:
        CallError: the call failed for good.
    """
    return await one_call("uniplex", question, system_prompt("uniplex"), chat, seed, emit, language=language)


async def contextual(question: str, chat: Chat, seed: int, emit: Emit, language: Language = IN_ENGLISH) -> Answer:
    """One call whose system prompt states the principles of multiplexity (after Senturk).

    Raises:
        CallError: the call failed for good.
    """
    return await one_call("contextual", question, system_prompt("contextual"), chat, seed, emit, language=language)


async def multiplex(
    question: str,
    chat: Chat,
    seed: int,
    emit: Emit,
    *,
    council: Council,
    voice_models: Mapping[str, Model] | None = None,
    rounds: int = 1,
    plan_mode: PlanMode = "default",
    min_voices: int | None = None,
    judge: Judge | None = None,
    language: Language = IN_ENGLISH,
) -> Answer:
    """The council's answer: every persona in parallel, then the synthesis and its check.

    Raises:
        UsageError: an argument does not fit the council.
        ModelError: no call succeeded.
        VoicesLostError: fewer than `min_voices` voices spoke.
    """
    from langchain_core.messages import HumanMessage

    from multiplex.council.graph import build_graph

    started = perf_counter()
    graph = build_graph(
        council, chat, voice_models=voice_models, rounds=rounds, plan_mode=plan_mode, min_voices=min_voices, judge=judge
    )
    asked = {"messages": [HumanMessage(question)], "seed": seed, "language": language.code,
             "language_chosen": language.chosen}  # fmt: skip
    state: Mapping[str, Any] = {}
    async with aclosing(follow(graph, asked, events=emit is not silent)) as happening:
        async for event in happening:
            if isinstance(event, EndState):
                state = event.values
            else:
                emit(event)
    answer = answer_of(cast("CouncilState", state), council, chat.spec, perf_counter() - started)
    emit(Done(strategy="multiplex", text=answer.text))
    return answer


def answer_of(state: CouncilState, council: Council, spec: ModelSpec, seconds: float) -> Answer:
    """The answer that a council's finished graph holds."""
    voices = last_words(state["voices"], council.perspectives)
    synthesis, planning, language = state["synthesis"], state["planning"], language_of(state)
    fallback = fallback_note(language.code)
    return Answer(
        strategy="multiplex",
        text=synthesis.text,
        model=spec.name,
        language=language.code,
        prompt=_told(council, planning, voices),
        voices=tuple(voices),
        rounds=tuple(state["voices"]),
        lost=tuple(voice.perspective for voice in voices if voice.error is not None),
        scaffold=synthesis.scaffold,
        quoted=synthesis.quoted,
        usage=total([planning.usage, *(voice.usage for voice in state["voices"]), synthesis.usage]),
        seconds=seconds,
        cut=synthesis.cut,
        form=synthesis.form,
        check=synthesis.check,
        findings=synthesis.findings,
        harms=synthesis.harms,
        notes=(
            *([fallback] if fallback else []),
            *_quoting_notes(voices, planning.question, language),
            *planning.notes,
            *voice_notes(state["voices"], language.locale),
            *_harm_notes(synthesis, language.locale),
            *([synthesis.note] if synthesis.note else []),
        ),
    )


def _quoting_notes(voices: Sequence[Voice], question: str, language: Language) -> list[str]:
    """What a small model's voices are; they are named where others spoke in their own words."""
    locale, spoken = language.locale, [voice for voice in voices if voice.error is None]
    quoting = [voice.title for voice in spoken if voice.quotes]
    if not quoting:
        return []
    whose = "" if len(quoting) == len(spoken) else f"{locale.title_list(quoting)}: "
    foreign = language.code != ENGLISH or not seems_english(question)
    return [f"{whose}{locale.say('small')}", *([f"{whose}{locale.say('english_only')}"] if foreign else [])]


def _told(council: Council, planning: Plan, voices: Sequence[Voice]) -> str:
    """Everything our code put before the models but the question; one that quotes is shown statements alone."""
    quoting = {voice.perspective for voice in voices if voice.quotes}
    near = [persona.position(name) for persona in council.personas for name in planning.near.get(persona.name, ())]
    statements = list(map(str, near))
    writing = [persona for persona in council.personas if persona.perspective not in quoting]
    prompts = [persona.system_prompt for persona in writing]
    tasks = [planning.tasks[persona.perspective] for persona in writing]
    return "\n\n".join([*prompts, *tasks, *statements])


def _harm_notes(synthesis: Synthesis, locale: Locale) -> list[str]:
    """A line on harms that the answer's own text does not list."""
    ours = "".join(synthesis.text[start:end] for start, end in synthesis.scaffold)
    passing = [harm.description for harm in synthesis.harms if harm.description not in ours]
    if not passing:
        return []
    return [locale.say("passing_harms", harms="; ".join(passing))]


async def synthesize_without_each(
    answer: Answer, question: str, chat: Chat, seed: int, language: Language = IN_ENGLISH
) -> dict[str, Synthesis]:
    """For each voice that said something, the synthesis made once more without it: one further synthesis a voice.

    None of them is checked. A synthesis whose model failed says nothing of that model; it is left out.
    """
    from multiplex.council.synthesis import synthesize

    spoken = [voice for voice in answer.voices if voice.states]

    async def without(left_out: Voice) -> Synthesis:
        others = [voice for voice in spoken if voice is not left_out]
        return await synthesize(question, others, chat.adjusted(check="none"), seed, silent, language)

    wanted = len(spoken) > 1 and answer.form != "composed"  # which is made of the voices, word for word
    made = await asyncio.gather(*map(without, spoken)) if wanted else []
    return {voice.perspective: each for voice, each in zip(spoken, made, strict=wanted) if not each.failed}


def voice_notes(voices: Sequence[Voice], locale: Locale) -> list[str]:
    """A line for each voice that was lost, and for each flaw with those that have it."""
    flaws: dict[tuple[str, str], list[str]] = {}
    for voice in voices:
        if told := voice.note or voice.error:
            title = locale.title(voice.title)
            who = locale.say("in_round", voice=title, round=voice.round) if voice.round > 1 else title
            flaws.setdefault((told, "" if voice.note else who), []).append(who)
    return [f"{locale.separator.join(those)}: {told}" for (told, _), those in flaws.items()]


def check_strategy(strategy: str, spec: ModelSpec) -> None:
    """Whether a model may answer in this way.

    Raises:
        UsageError: it is small, and would state in its own words what traditions hold.
    """
    if spec.small and strategy not in SMALL_MODEL_STRATEGIES:
        raise UsageError(
            f"{strategy}: {spec.name} is a small model, which says false things of traditions; it answers as "
            f"{' and '.join(SMALL_MODEL_STRATEGIES)} only; take another model for {strategy}"
        )


async def one_call(
    strategy: str, question: str, system: str, chat: Chat, seed: int, emit: Emit, *, max_tokens: int | None = None,
    language: Language = IN_ENGLISH,
) -> Answer:  # fmt: skip
    """The answer of a single call; `max_tokens` replaces the limit of the model's spec.

    Raises:
        CallError: the call failed for good.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    check_strategy(strategy, chat.spec)
    messages = [*([SystemMessage(system)] if system else []), HumanMessage(question)]
    call = Call(
        max_tokens=max_tokens or chat.spec.answer_tokens,
        seed=call_seed(seed, strategy),
        slot=PLAIN_SLOT,
        tags=(f"multiplex:{strategy}",),
    )
    reply = await chat.complete(messages, call)
    text, notes = reply.text, reply.notes
    if reply.cut:
        text = whole_sentences(reply.text) or reply.text
        notes += (f"{strategy}: {language.locale.say('cut')}",)
    emit(Done(strategy=strategy, text=text))
    return Answer(
        strategy=strategy,
        text=text,
        model=chat.spec.name,
        language=language.code,
        prompt=system,
        usage=reply.usage,
        seconds=reply.seconds,
        notes=notes,
        cut=reply.cut,
    )
