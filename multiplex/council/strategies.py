"""The ways to answer a question. Each takes a question and returns an Answer; what happens goes to `emit`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from multiplex.content import prompt
from multiplex.council.answer import Answer, Synthesis, Voice, last_words
from multiplex.council.events import Emit, Event, silent
from multiplex.council.personas import Council
from multiplex.council.planning import PlanMode
from multiplex.council.seeds import call_seed
from multiplex.council.speaking import whole_sentences
from multiplex.llm.chat import Call, Chat
from multiplex.llm.embedded import PLAIN_SLOT
from multiplex.llm.usage import total

if TYPE_CHECKING:
    from multiplex.council.checking import Judge
    from multiplex.council.state import CouncilState
    from multiplex.llm.chat import Model
    from multiplex.llm.spec import ModelSpec


SMALL = (
    "a small model speaks here: it mixes up who holds what; the sources, disagreements and contested practices "
    "listed in the answer are the personas' own, its sentences are not to be relied on"
)


async def uniplex(question: str, chat: Chat, seed: int, emit: Emit) -> Answer:
    """The question alone, with no system prompt: what the model says when it is simply asked.

    Raises:
        CallError: the call failed for good.
    """
    return await one_call("uniplex", question, "", chat, seed, emit)


async def contextual(question: str, chat: Chat, seed: int, emit: Emit) -> Answer:
    """One call whose system prompt states the principles of multiplexity (after Senturk).

    Raises:
        CallError: the call failed for good.
    """
    return await one_call("contextual", question, prompt("contextual"), chat, seed, emit)


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
) -> Answer:
    """The council's answer: every persona in parallel, then the synthesis and its check.

    Raises:
        UsageError: an argument does not fit the council.
        ModelError: no call could be made.
        VoicesLostError: fewer than `min_voices` voices spoke.
    """
    from langchain_core.messages import HumanMessage

    from multiplex.council.graph import build_graph

    started = perf_counter()
    graph = build_graph(
        council, chat, voice_models=voice_models, rounds=rounds, plan_mode=plan_mode, min_voices=min_voices, judge=judge
    )
    asked = {"messages": [HumanMessage(question)], "seed": seed}
    state: Any = None
    async for kind, data in graph.astream(asked, stream_mode=["values"] if emit is silent else ["custom", "values"]):
        if kind == "custom":
            emit(cast(Event, data))
        else:
            state = data
    answer = answer_of(state, council, chat.spec, perf_counter() - started)
    emit({"type": "done", "strategy": "multiplex", "text": answer.text})
    return answer


def answer_of(state: CouncilState, council: Council, spec: ModelSpec, seconds: float) -> Answer:
    """The answer that a council's finished graph holds."""
    voices = last_words(state["voices"], council.perspectives)
    synthesis, planning = state["synthesis"], state["planning"]
    return Answer(
        strategy="multiplex",
        text=synthesis.text,
        model=spec.name,
        prompt="\n\n".join(
            [*(persona.system_prompt(brief=spec.brief) for persona in council.personas), *planning.tasks.values()]
        ),
        voices=tuple(voices),
        rounds=tuple(state["voices"]),
        lost=tuple(voice.perspective for voice in voices if voice.error is not None),
        scaffold=synthesis.scaffold,
        usage=total([planning.usage, *(voice.usage for voice in state["voices"]), synthesis.usage]),
        seconds=seconds,
        cut=synthesis.cut,
        form=synthesis.form,
        check=synthesis.check,
        findings=synthesis.findings,
        harms=synthesis.harms,
        notes=(
            *([SMALL] if spec.brief else []),
            *planning.notes,
            *voice_notes(state["voices"]),
            *([synthesis.note] if synthesis.note else []),
        ),
    )


async def nulls(answer: Answer, question: str, council: Council, chat: Chat, seed: int) -> dict[str, Synthesis]:
    """For each voice that spoke, the synthesis made once more without it: one further synthesis a voice.

    None of them is checked. A synthesis whose model failed says nothing of that model; it is left out.
    """
    from multiplex.council.synthesis import synthesize

    personas = {persona.name: persona for persona in council.personas}
    spoken = [voice for voice in answer.voices if voice.error is None]

    async def without(left_out: Voice) -> Synthesis:
        others = [voice for voice in spoken if voice is not left_out]
        return await synthesize(question, others, personas, chat.adjusted(check="none"), seed, silent)

    made = await asyncio.gather(*map(without, spoken)) if len(spoken) > 1 else []
    return {voice.perspective: each for voice, each in zip(spoken, made, strict=bool(made)) if not each.failed}


def voice_notes(voices: Sequence[Voice]) -> list[str]:
    """A line for each voice that was lost, or has a flaw."""
    return [
        f"{voice.perspective}{f' (round {voice.round})' if voice.round > 1 else ''}: {voice.note or voice.error}"
        for voice in voices
        if voice.note or voice.error
    ]


async def one_call(
    strategy: str, question: str, system: str, chat: Chat, seed: int, emit: Emit, *, max_tokens: int | None = None
) -> Answer:
    """The answer of a single call; `max_tokens` replaces the limit of the model's spec.

    Raises:
        CallError: the call failed for good.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    messages = [*([SystemMessage(system)] if system else []), HumanMessage(question)]
    call = Call(
        max_tokens=max_tokens or chat.spec.answer_tokens,
        seed=call_seed(seed, strategy),
        slot=PLAIN_SLOT,
        tags=(f"multiplex:{strategy}",),
    )
    reply = await chat.complete(messages, call)
    text, notes = reply.text, tuple[str, ...]()
    if reply.cut:
        text = whole_sentences(reply.text) or reply.text
        notes = (f"{strategy}: cut off at the token limit; kept to its last full sentence",)
    emit({"type": "done", "strategy": strategy, "text": text})
    return Answer(
        strategy=strategy,
        text=text,
        model=chat.spec.name,
        prompt=system,
        usage=reply.usage,
        seconds=reply.seconds,
        notes=notes,
        cut=reply.cut,
    )
