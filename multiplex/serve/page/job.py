"""One question under way: its strategies answer at once, and any number of readers follow, come back or leave.

A reader who leaves changes nothing: the question was asked, and its answer is kept. `cancel` ends what is not finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from multiplex.answering import Measured, make_result
from multiplex.content import storable
from multiplex.council.answer import Voice
from multiplex.council.events import (
    AnswerDelta,
    AnswerRestarted,
    Event,
    SynthesisChecked,
    SynthesisDelta,
    SynthesisDrafted,
    SynthesisRestarted,
    SynthesisStarted,
    VoiceDelta,
    VoiceFailed,
    VoiceFinished,
    VoiceStarted,
)
from multiplex.council.locales import ENGLISH, locale_of
from multiplex.council.order import Strategy
from multiplex.council.voice import whole_sentences
from multiplex.errors import MultiplexError
from multiplex.serve.conversation.in_flight import STOPPING
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.conversation.turn import Ended, happenings, with_stances
from multiplex.serve.openai import chunks
from multiplex.serve.openai.schema import a_bug, as_api_error
from multiplex.serve.openai.served_models import COUNCIL_STRATEGY
from multiplex.serve.page.exchanges import Exchange
from multiplex.serve.page.markdown_nodes import prose
from multiplex.serve.page.views import voice_view

if TYPE_CHECKING:
    from multiplex.serve.openai.served_models import ServedModel
    from multiplex.serve.page.exchanges import Answers
    from multiplex.serve.service import Caller, Service

CANCELLED = "cancelled before it was finished"
UNASKED = "the voices were not all asked which option they would choose"
LIVE_EVERY = 0.1  # seconds between two looks at what grows


@dataclass(frozen=True)
class PageRequest:
    """A question that can be asked: who asks, of whom, in which ways, and what stands before it.

    Attributes:
        council: the offer whose council is asked.
        thread: the ids of the exchanges before it.
        asked: by strategy, what goes to the models.
        stance: options between which each voice of the council is asked to choose, when it has spoken.
    """

    id: str
    caller: Caller
    question: str
    council: ServedModel
    model: str
    thread: tuple[str, ...]
    seed: int
    asked: Mapping[Strategy, TurnRequest]
    stance: tuple[str, ...] = ()


@dataclass
class _Live:
    """What changes many times a second and is told as it stands: tokens a voice, the unfinished paragraph an answer."""

    tokens: dict[str, int] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)
    changes: int = 0


class AnswerJob:
    """A question from the moment it is asked until its exchange is kept; `over` is called then."""

    def __init__(
        self, posed: PageRequest, service: Service, answers: Answers, place: ExitStack, over: Callable[[], object]
    ) -> None:
        self.posed = posed
        self._service, self._answers, self._place, self._over = service, answers, place, over
        self._events: list[dict[str, Any]] = []
        self._live = _Live()
        self._readers: set[asyncio.Event] = set()
        self._voices: list[Voice] = []
        self._ended: dict[Strategy, Ended] = {}
        self._failed: dict[Strategy, str] = {}
        self._done, self._began = False, perf_counter()
        self._parts = [asyncio.create_task(self._part(strategy)) for strategy in posed.asked]
        service.running.watch(asyncio.create_task(self._whole()), close=self.cancel)

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return perf_counter() - self._began

    def cancel(self) -> None:
        """End what is not finished; what is stays."""
        for part in self._parts:
            part.cancel()

    async def follow(self, after: int = 0) -> AsyncGenerator[bytes]:
        """Everything that happened from event number `after` on, and what happens until the end, as SSE."""
        news, seen = asyncio.Event(), -1
        self._readers.add(news)
        try:
            while True:
                news.clear()
                while after < len(self._events):
                    yield _sse(self._events[after], number=after + 1)
                    after += 1
                if self._done:
                    return
                if self._live.changes != seen:
                    seen = self._live.changes
                    yield _sse({"type": "live", "tokens": self._live.tokens, "tails": self._live.tails})
                try:
                    async with asyncio.timeout(chunks.ALIVE_EVERY):
                        await news.wait()
                except TimeoutError:
                    yield chunks.ALIVE
                if after == len(self._events) and not self._done:
                    await asyncio.sleep(LIVE_EVERY)
        finally:
            self._readers.discard(news)

    # --- answering

    async def _part(self, strategy: Strategy) -> None:
        """One strategy's answer, or why there is none."""
        service, asked = self._service, self.posed.asked[strategy]
        began, outcome = perf_counter(), "ok"
        try:
            async with aclosing(happenings(asked, service.memory, service.graphs)) as happening:
                async for event in happening:
                    if isinstance(event, Ended):
                        self._ended[strategy] = _to_its_last_sentence(event)
                    else:
                        self._hear(event)
            if strategy == COUNCIL_STRATEGY and self.posed.stance:
                await self._ask_stances(asked, self._ended[strategy])
        except asyncio.CancelledError:
            outcome = "server_stopping" if service.running.closing else "cancelled"
            self._fail(strategy, STOPPING if service.running.closing else CANCELLED)
        except MultiplexError as error:
            told = as_api_error(error).body.error
            outcome = told.code or told.type
            self._fail(strategy, told.message)
        except Exception as error:
            outcome = "bug"
            self._fail(strategy, a_bug(error, id=self.posed.id).body.error.message)
        else:
            self._draft(strategy, "\n\n")
            self._say({"type": "written", "strategy": strategy})
        self._count(strategy, outcome, perf_counter() - began)

    async def _ask_stances(self, asked: TurnRequest, end: Ended) -> None:
        """Ask the voices between which options they would choose; the answer stands whatever comes of it."""
        self._say({"type": "stances"})
        try:
            answer = await with_stances(asked, end, self.posed.stance)
        except asyncio.CancelledError:
            self._ended[COUNCIL_STRATEGY] = replace(end, notes=(*end.notes, UNASKED))
            raise
        except MultiplexError as error:
            self._ended[COUNCIL_STRATEGY] = replace(end, notes=(*end.notes, f"{UNASKED}: {error}"))
        else:
            self._ended[COUNCIL_STRATEGY] = replace(end, answer=answer)

    def _count(self, strategy: Strategy, outcome: str, seconds: float) -> None:
        end, asked = self._ended.get(strategy), self.posed.asked[strategy]
        answer = end.answer if end else None
        posed = self.posed
        self._service.answered(
            posed.caller, asked.offer.name, outcome, seconds, posed.question, answer, id=posed.id, page=True
        )

    async def _whole(self) -> None:
        """Wait for every strategy, measure, keep, and tell the readers."""
        warming = asyncio.create_task(asyncio.to_thread(self._service.evaluator.preload))
        warming.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is told by measuring
        note = None
        try:
            await asyncio.gather(*self._parts, return_exceptions=True)  # each has told its own end
            if self._ended:
                await asyncio.wait({warming})
            exchange = await self._exchange()
            try:
                await self._answers.keep(exchange)
            except MultiplexError as error:
                note = f"this answer is not kept: {error}"
        except Exception as error:
            note = a_bug(error, id=self.posed.id).body.error.message
        finally:
            self._place.close()
            self._over()
            self._done = True
            self._say({"type": "ended", "note": note})

    async def _exchange(self) -> Exchange:
        posed = self.posed
        council = self._ended.get("multiplex")
        alone = council.question if council else posed.question
        answers: dict[str, Measured] = {
            strategy: await self._measured(self._ended[strategy], alone)
            for strategy in posed.asked
            if strategy in self._ended
        }
        chats = {each.chat for each in posed.asked.values()}
        chats |= {chat for each in posed.asked.values() if each.offer.council for chat in each.voice_models.values()}
        failed: dict[str, str] = {
            name: self._failed.get(name, CANCELLED) for name in posed.asked if name not in self._ended
        }
        result = make_result(
            posed.question, posed.seed, answers, failed=failed, voices=self._voices, chats=chats,
            language=council.answer.language if council else ENGLISH,
        )  # fmt: skip
        return Exchange(
            id=posed.id,
            owner=posed.caller.space,
            council=posed.council.name,
            model=posed.model,
            strategies=tuple(posed.asked),
            thread=posed.thread,
            asked=alone,
            stance=posed.stance,
            voices=tuple(self._voices),
            silent=self._silent(),
            result=result,
        )

    def _silent(self) -> tuple[str, ...]:
        council = self.posed.council.council
        if council is None or COUNCIL_STRATEGY not in self.posed.asked:
            return ()
        came = {voice.perspective for voice in self._voices}
        return tuple(persona.title for persona in council.personas if persona.perspective not in came)

    async def _measured(self, end: Ended, question: str) -> Measured:
        answer = end.answer.model_copy(update={"notes": (*end.answer.notes, *end.notes)})
        return await self._service.measured(answer, question)

    # --- what readers are told

    def _hear(self, event: Event) -> None:
        match event:
            case VoiceStarted():
                self._say({"type": event.type, "perspective": event.perspective, "title": event.title})
            case VoiceDelta():
                self._live.tokens[event.perspective] = event.tokens
                self._change()
            case VoiceFinished(voice=voice) | VoiceFailed(voice=voice):
                self._arrive(voice)
            case SynthesisStarted():
                self._say({"type": event.type})
            case SynthesisDrafted():
                self._say({"type": "drafted", "words": event.words})
            case SynthesisChecked():
                self._say({"type": "checked", "found": event.open})
            case SynthesisDelta() | AnswerDelta():
                self._draft(event.strategy, event.text)
            case SynthesisRestarted() | AnswerRestarted():
                failed = isinstance(event, SynthesisRestarted) and event.failed
                void = {"type": "void", "strategy": event.strategy, "reason": storable(event.reason), "failed": failed}
                self._live.tails[event.strategy] = ""
                self._say(void)

    def _arrive(self, voice: Voice) -> None:
        """A voice came, or was lost."""
        council = self.posed.council.council
        personas = council.personas if council is not None else ()
        persona = next((each for each in personas if each.digest == voice.digest), None)
        self._voices.append(voice)
        self._live.tokens.pop(voice.perspective, None)
        self._say({"type": "voice", "voice": voice_view(voice, persona)})

    def _draft(self, strategy: str, text: str) -> None:
        """A piece of an answer: whole paragraphs are told once, for good; the rest as it stands."""
        whole, gap, tail = (self._live.tails.get(strategy, "") + text).rpartition("\n\n")
        self._live.tails[strategy] = tail
        if gap and whole.strip():
            self._say({"type": "draft", "strategy": strategy, "prose": prose(whole)})
        else:
            self._change()

    def _fail(self, strategy: Strategy, why: str) -> None:
        if strategy in self._ended:  # called off after its last word
            return
        self._failed[strategy] = why
        self._say({"type": "failed", "strategy": strategy, "error": why})

    def _say(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        self._change()

    def _change(self) -> None:
        self._live.changes += 1
        for reader in self._readers:
            reader.set()


def _to_its_last_sentence(end: Ended) -> Ended:
    """An answer of one call that its limit cut off, as `multiplex answer` shows it; any other as it is."""
    answer = end.answer
    if not answer.cut or answer.form is not None:  # an essay says so itself
        return end
    note = f"{answer.strategy}: {locale_of(answer.language).say('cut')}"
    shown = {"text": whole_sentences(answer.text) or answer.text, "notes": (*answer.notes, note)}
    return replace(end, answer=answer.model_copy(update=shown))


def _sse(event: Mapping[str, Any], number: int | None = None) -> bytes:
    """An event that is numbered is sent once; a reader that comes back names the last one it has."""
    return (b"" if number is None else b"id: %d\n" % number) + chunks.event(event)
