"""The tools that an MCP client calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from multiplex.answering import Result, ask, measured, unmeasured
from multiplex.content import storable
from multiplex.council.events import Done, Emit, Event, SynthesisChecked, VoiceFailed, VoiceFinished
from multiplex.council.locales import locale_of
from multiplex.council.order import Order, is_essay_checked
from multiplex.council.personas import Council, Persona, built_in
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import Evaluator, Measures
from multiplex.evaluation.languages.reading import UnreadError
from multiplex.llm.chat import Chat
from multiplex.present.depth import READING, shown
from multiplex.present.result import CONSTRUCTIONS, contract, reading_order, warnings
from multiplex.serve.mcp.schemas import (
    TEXT_LIMIT,
    AnswerArguments,
    Answered,
    NoArguments,
    PersonaGiven,
    Personas,
    ReferenceGiven,
    ScoreArguments,
    ScoredTexts,
    TextScore,
    TextUnread,
)

COUNCILS, LOCAL_COUNCILS = 8, 2  # questions under way at once, the second for the embedded model; others wait

Tell = Callable[[float, float, str], Awaitable[None]]
"""Takes how far a call is, of how much, and what just happened."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class ToolReply:
    """What a tool gives back: blocks of text for the model that called, and the same as data."""

    blocks: tuple[str, ...]
    data: BaseModel
    error: bool = False


class Tools:
    """The three tools over one model, one council and one evaluator, for the life of a server."""

    def __init__(self, chat: Chat, voice_models: Mapping[str, Chat], council: Council) -> None:
        """Takes the models, which stay open, and the council that speaks where a call names none.

        Raises:
            ContentError: a built-in persona's file is wrong.
        """
        self._chat, self._voice_models, self._council = chat, voice_models, council
        self._personas: dict[str, Persona] = {each.name: each for each in (*built_in(), *council.personas)}
        self._evaluator = Evaluator()
        self._places = asyncio.Semaphore(LOCAL_COUNCILS if chat.spec.local else COUNCILS)
        self._measuring = asyncio.Semaphore(1)  # the processor is one; threads that wait for it would hold up others
        self._warming: asyncio.Task[None] | None = None

    async def answer(self, asked: AnswerArguments, tell: Tell) -> ToolReply:
        """Ask the council, and tell of each voice as it ends.

        Raises:
            MultiplexError: nothing could be answered, and no voice had spoken.
        """
        if not asked.question.strip():
            raise UsageError("the question is empty")
        council = self._seated(asked.council)
        voice_models = {name: chat for name, chat in self._voice_models.items() if name in council.perspectives}
        order = Order.of(
            asked.question,
            strategies=asked.strategies,
            model=self._chat,
            voice_models=voice_models,
            council=council,
            seed=asked.seed,
        )
        self._warm_up()
        async with self._places, _telling(tell, order) as emit:
            result, error = await _once_cancelled(ask(order, emit))
        try:
            async with self._measuring:
                result = await asyncio.to_thread(measured, result, self._evaluator)
        except MultiplexError as fault:  # the answer was paid for
            result = unmeasured(result, fault)
        except Exception as fault:
            result = unmeasured(result, f"a bug in multiplex, please report it: {type(fault).__name__}: {fault}")
        return _answered(result, error)

    async def score(self, asked: ScoreArguments, tell: Tell) -> ToolReply:
        """Measure texts, whoever wrote them.

        Raises:
            UsageError: the texts are too long together, or one holds no word.
        """
        length = sum(map(len, asked.texts))
        if length > TEXT_LIMIT:
            raise UsageError(f"the texts have {length:,} characters together; a call takes at most {TEXT_LIMIT:,}")
        scores: list[TextScore | TextUnread] = []
        lines: list[str] = []
        for number, text in enumerate(asked.texts, 1):
            try:
                async with self._measuring:
                    found = await asyncio.to_thread(self._evaluator.measure, text, question=asked.question)
                scores.append(_score(found))
                lines.append(f"Text {number}: {_in_words(found)}")
            except UnreadError as error:
                reading = error.reading
                scores.append(TextUnread(language=reading.language or None, unread=dict(reading.why_not)))
                lines.append(f"Text {number}: not measured: {error}")
            except UsageError as error:
                raise UsageError(f"text {number}: {error}") from error
            await tell(number, len(asked.texts), f"text {number} is measured")
        data = ScoredTexts(frame=self._evaluator.frame, cues=self._evaluator.cues, scores=tuple(scores))
        return ToolReply(("\n".join(lines), READING), data)

    async def personas(self, _: NoArguments, __: Tell) -> ToolReply:
        """Who can speak."""
        seated = {persona.name for persona in self._council.personas}
        listed = [
            PersonaGiven(
                **persona.model_dump(include=set(PersonaGiven.model_fields)), in_council=persona.name in seated
            )
            for persona in self._personas.values()
        ]
        lines = [f"{each.name}: {each.title}; speaks for {'; '.join(each.speaks_for)}" for each in listed]
        return ToolReply(("\n".join(lines), CONSTRUCTIONS), Personas(personas=tuple(listed)))

    def _warm_up(self) -> None:
        """Load the evaluator while the first voices speak; the embedded model has better use for the processor."""

        async def load() -> None:
            async with self._measuring:
                await asyncio.to_thread(self._evaluator.preload)

        if self._warming is None and not self._chat.spec.local:
            self._warming = asyncio.create_task(load())
            self._warming.add_done_callback(lambda task: task.cancelled() or task.exception())  # measuring tells it

    def _seated(self, names: Sequence[str]) -> Council:
        """The council of these personas. A name is never a path: a client must not read this machine's files."""
        if unknown := [name for name in names if name not in self._personas]:
            raise UsageError(f"no persona {unknown[0][:80]!r}; there are {', '.join(self._personas)}")
        return Council(tuple(self._personas[name] for name in names)) if names else self._council


def _answered(result: Result, error: MultiplexError | None) -> ToolReply:
    """The council's answer first, then the others, then what a reader must know."""
    data = Answered(**contract(result), notes=tuple(warnings(result)))
    if error is not None and not result.answers:
        spoken = tuple(f"The {voice.perspective} voice said:\n\n{voice.text}" for voice in result.spoken)
        return ToolReply((str(error), *spoken, CONSTRUCTIONS), data, error=True)
    texts: list[str] = []
    for strategy in reading_order(result):
        text = result.answers[strategy].answer.text
        texts.append(f"The {strategy} answer of the same model:\n\n{text}" if texts else text)
    lines = [f"{name}: {_in_words(each.measures)}" for name, each in result.answers.items() if each.measures]
    say = locale_of(result.language).say
    about = "\n".join([*data.notes, *lines, f"{say('seed', seed=result.seed)} {say('constructions')}"])
    return ToolReply((*texts, about), data)


def _in_words(found: Measures) -> str:
    """The figures of one text in a line."""
    invoked = sum(map(bool, found.counts.values()))
    parts = [f"references: {found.n}, to {invoked} of {len(found.frame)} perspectives"]
    if found.n:
        shares = sorted(found.shares.items(), key=lambda each: -each[1])
        parts.append(", ".join(f"{name} {share:.0%}" for name, share in shares if share))
    if found.entropy is not None:
        parts.append(f"entropy {found.entropy:.1f}%, depth {shown(found.depth, 'depth')}")
    if (tone := found.sentiment) is not None:
        parts.append(f"positive / neutral / negative {tone.positive:.2f} / {tone.neutral:.2f} / {tone.negative:.2f}")
    return "; ".join(parts) + "."


def _score(found: Measures) -> TextScore:
    references = tuple(
        ReferenceGiven(**{name: getattr(each, name) for name in ReferenceGiven.model_fields})
        for each in found.references
    )
    return TextScore(**found.summary(), found=references)


@asynccontextmanager
async def _telling(tell: Tell, order: Order) -> AsyncIterator[Emit]:
    """An `Emit` that tells of every voice, check and strategy that ends, in order; all is told when the block ends."""
    total = len(order.strategies)
    if "multiplex" in order.strategies:
        total += len(order.council.personas) + is_essay_checked(order.model.spec, order.council)
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def pass_on() -> None:
        step = 0
        while (line := await lines.get()) is not None:
            step += 1
            await tell(step, total, storable(line))

    def emit(event: Event) -> None:
        match event:
            case VoiceFinished(voice=voice):
                lines.put_nowait(f"the {voice.title} voice spoke")
            case VoiceFailed(voice=voice):
                lines.put_nowait(f"the {voice.title} voice was lost: {voice.error}")
            case SynthesisChecked():
                lines.put_nowait(f"the essay was read against the voices; findings: {event.open}")
            case Done():
                lines.put_nowait(f"the {event.strategy} answer is there")

    passing = asyncio.create_task(pass_on())
    try:
        yield emit
        lines.put_nowait(None)
        await passing
    finally:
        passing.cancel()


async def _once_cancelled(work: Coroutine[Any, Any, Made]) -> Made:
    """The outcome of `work`; where the caller is cancelled, so is the work, once, and it is waited for.

    AnyIO cancels again at every await until a scope is left, which would break connections off while they close.
    """
    import anyio

    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.gather(task, return_exceptions=True)
        raise
