"""One turn of a conversation: a question goes in, and the pieces of its answer come out as they are made."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from multiplex.answering import language_for
from multiplex.council.answer import Answer, Voice
from multiplex.council.events import (
    AnswerDelta,
    AnswerRestarted,
    EndState,
    Event,
    SynthesisChecked,
    SynthesisDelta,
    SynthesisDrafted,
    SynthesisRestarted,
    VoiceFailed,
    VoiceFinished,
    follow,
)
from multiplex.council.locales import Language, Locale, locale_of
from multiplex.council.stance import add_stances
from multiplex.council.strategies import answer_of, voice_notes
from multiplex.errors import CallError, MemoryLostError
from multiplex.llm.relay import Passed
from multiplex.llm.tracing import each_inside, trace_answer
from multiplex.serve.conversation.graph_cache import Graphs
from multiplex.serve.conversation.memory import Memory
from multiplex.serve.conversation.request import TurnRequest

if TYPE_CHECKING:
    from multiplex.council.state import CouncilState


@dataclass(frozen=True)
class Thought:
    """What a chat app folds away: the voices, each under its tradition's name."""

    text: str


@dataclass(frozen=True)
class Said:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The whole answer, and the question as it was put to the voices. Nothing comes after it.

    `notes` are what befell this turn beside its answer; `finish` is the reason that the endpoint gave for its end,
    where a request was passed on to it.
    """

    answer: Answer
    question: str
    notes: tuple[str, ...] = ()
    finish: str | None = None


Piece = Thought | Said | Passed | Ended


async def happenings(asked: TurnRequest, memory: Memory, graphs: Graphs) -> AsyncGenerator[Event | Ended]:
    """Everything that happens on the way to an answer (`council/events.py`), and last of all `Ended`.

    Raises:
        MultiplexError: there is no answer.
    """
    started = perf_counter()
    state: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()
    graph, keeper = graphs.of(asked), memory.for_turn() if asked.thread is not None else None
    if keeper is not None:
        graph = copy.copy(graph)
        graph.checkpointer = keeper
    try:
        with trace_answer((asked.offer.strategy,), asked.seed) as inside:
            following = each_inside(inside, follow(graph, await _input(asked), **_options(asked)))
            async with aclosing(following):
                async for event in following:
                    if isinstance(event, EndState):
                        state = event.values
                    else:
                        yield event
    except Exception as error:
        if (trouble := memory.trouble(error)) is None:
            raise
        raise trouble from error
    if keeper is not None:
        try:
            await keeper.save()
        except MemoryLostError as error:  # the answer is there, and paid for
            notes = (locale_of((await _language(asked)).code).say("not_remembered", error=error),)
    answer = await _answer(asked, state, perf_counter() - started)
    yield Ended(answer, state.get("question") or str(asked.messages[-1].text), notes)


async def with_stances(asked: TurnRequest, end: Ended, options: tuple[str, ...]) -> Answer:
    """A council's answer with each voice's choice between the options of its question.

    Raises:
        MultiplexError: they could not be asked.
    """
    if asked.offer.council is None:
        raise AssertionError("only a council has voices")
    return await add_stances(
        end.answer, options, question=end.question, council=asked.offer.council, chat=asked.chat,
        voice_models=asked.voice_models, seed=asked.seed,
    )  # fmt: skip


async def pieces(asked: TurnRequest, memory: Memory, graphs: Graphs) -> AsyncIterator[Piece]:
    """Everything that comes of a question, as it comes; the last piece is `Ended`.

    Raises:
        MultiplexError: there is no answer, or a model broke off in the middle of one.
    """
    council = asked.offer.council
    locale = locale_of((await _language(asked)).code)
    if council is not None:
        titles = locale.title_list(persona.title for persona in council.personas)
        told = locale.say("voices_asked", count=len(council.personas), voices=titles)
        yield Thought(f"{told} {locale.say('constructions')}\n\n")
    shown, broken = False, ""
    async with aclosing(happenings(asked, memory, graphs)) as happening:
        async for event in happening:
            match event:
                case Ended():
                    for said in _closing(asked, event, broken, locale):
                        yield said
                    yield event
                case VoiceFinished(voice=voice) | VoiceFailed(voice=voice):
                    yield Thought(_told(voice, locale))
                case SynthesisDrafted() | SynthesisChecked():
                    yield Thought(_progress(event, locale))
                case SynthesisRestarted(reason=reason, failed=True) if shown:
                    # what was said cannot be taken back, and the voices have been shown
                    raise CallError("server", f"the synthesis broke off: {reason}")
                case SynthesisRestarted(reason=reason) | AnswerRestarted(reason=reason) if shown:
                    broken = reason
                case SynthesisDelta(text=text) | AnswerDelta(text=text) if asked.streamed and not broken and text:
                    shown = True
                    yield Said(text)


def _closing(asked: TurnRequest, end: Ended, broken: str, locale: Locale) -> Iterator[Said]:
    """What is said once the answer is whole: the answer where its pieces were not, and what a reader should know."""
    answer = end.answer
    if not asked.streamed:
        yield Said(answer.text)
    elif broken:
        yield Said(f"\n\n---\n\n*{locale.say('broke_off', error=broken)}*\n\n{answer.text}")
    if answer.cut:
        return
    of_voices = voice_notes(answer.rounds, locale)
    notes = [*(note for note in answer.notes if note not in of_voices), *end.notes]
    if notes:
        yield Said("\n\n---\n\n" + "\n\n".join(f"*{note}*" for note in notes))


async def _language(asked: TurnRequest) -> Language:
    """The language of the answer: the one that was chosen, or that of the question."""
    return await language_for(str(asked.messages[-1].text), asked.language)


async def _input(asked: TurnRequest) -> dict[str, Any]:
    from langchain_core.messages import RemoveMessage
    from langgraph.graph.message import REMOVE_ALL_MESSAGES

    anew = [RemoveMessage(id=REMOVE_ALL_MESSAGES)] if asked.replaces and asked.thread is not None else []
    given = {"messages": [*anew, *asked.messages], "seed": asked.seed}
    if asked.offer.council is None:
        return given
    language = await _language(asked)
    return given | {"language": language.code, "language_chosen": language.chosen}


def _options(asked: TurnRequest) -> dict[str, Any]:
    if asked.thread is None:
        return {}
    # a turn is remembered once, when it is whole: one that fails leaves no trace of itself
    return {"config": {"configurable": {"thread_id": asked.thread}}, "durability": "exit"}


async def _answer(asked: TurnRequest, state: Mapping[str, Any], seconds: float) -> Answer:
    council = asked.offer.council
    if council is not None:
        return answer_of(cast("CouncilState", state), council, asked.chat.spec, seconds)
    answer: Answer = state["answer"]
    return answer.model_copy(update={"language": (await _language(asked)).code})


def _progress(event: SynthesisDrafted | SynthesisChecked, locale: Locale) -> str:
    """How far an essay is that is not shown before its check is over."""
    if isinstance(event, SynthesisDrafted):
        return f"*{locale.say('drafted', words=event.words)}*\n\n"
    return f"*{locale.say('revised', count=event.open) if event.open else locale.say('nothing_found')}*\n\n"


def _told(voice: Voice, locale: Locale) -> str:
    """A voice under its tradition's name, or that it was lost."""
    head = f"**{locale.title(voice.title)}** ({locale.say('seconds', count=f'{voice.seconds:.0f}')})"
    if voice.error is not None:
        return f"{head}\n\n{locale.say('lost', error=voice.error)}\n\n"
    note = f"\n\n*{voice.note}*" if voice.note else ""
    return f"{head}\n\n{voice.text}{note}\n\n"
