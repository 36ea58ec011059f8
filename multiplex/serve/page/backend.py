"""What the page needs beside the service: further models, prices, the questions under way and the answers kept."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from multiplex.content import storable
from multiplex.council.order import DEFAULT_STRATEGIES, Strategy
from multiplex.council.quoting import check_speaker
from multiplex.council.stance import MOST, read_options
from multiplex.council.strategies import check_strategy
from multiplex.errors import MemoryLostError, UsageError
from multiplex.evaluation.extraction.gazetteer import shipped_gazetteer
from multiplex.llm.prices import Prices
from multiplex.llm.usage import Usage, total
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.openai.messages import check_question
from multiplex.serve.openai.schema import ApiError
from multiplex.serve.openai.served_models import COUNCIL_STRATEGY
from multiplex.serve.page.cost_estimate import CostEstimate, estimated
from multiplex.serve.page.exchanges import HELD, Answers, Exchange, answers
from multiplex.serve.page.job import AnswerJob, PageRequest
from multiplex.serve.page.views import answer_view, stance_view, voice_view
from multiplex.serve.service import Caller, Service, opened_chat

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from multiplex.council.answer import Answer
    from multiplex.llm.chat import Chat
    from multiplex.serve.options import Ui

REMEMBERED = 1000  # questions that are known again by their `once`
STANCE = 1000  # characters of the options between which voices choose
_TYPICAL = "How should a family decide who cares for a parent who grows old?"  # for an estimate before one is asked


class PageQuestion(BaseModel):
    """What the page sends: a question, whom to ask in which ways, and the exchange that it follows.

    `stance` are options between which each voice is asked to choose too, with `|` between them; empty for none. A
    question that comes again with the same `once`, since its client never heard the answer, is not asked again.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    question: str = ""
    council: str = COUNCIL_STRATEGY
    model: str | None = None
    strategies: Annotated[list[Strategy], Field(min_length=1)] = list(DEFAULT_STRATEGIES)
    after: str | None = None
    stance: Annotated[str, Field(max_length=STANCE)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    once: Annotated[str, Field(min_length=1, max_length=40)] | None = None


class Page:
    """Everything behind the page of one running server."""

    def __init__(self, service: Service, ui: Ui, kept: Answers, chats: dict[str, Chat]) -> None:
        self.service, self.ui, self.answers, self.chats = service, ui, kept, chats
        self._speaking: dict[str, AnswerJob] = {}
        self._once: OrderedDict[tuple[str, str], str] = OrderedDict()

    # --- asking

    async def ask(self, caller: Caller, question: PageQuestion) -> str:
        """Ask; the id under which its voices can be followed and its answer is kept.

        Raises:
            ApiError: it cannot be asked, or it is too much now.
        """
        posed = await self._posed(caller, question)
        key = None if question.once is None else (caller.space, question.once)
        if key is not None and key in self._once:
            return self._once[key]
        with ExitStack() as taken:
            offer = posed.council if COUNCIL_STRATEGY in posed.asked else next(iter(posed.asked.values())).offer
            taken.enter_context(self.service.place(caller, offer, None))
            place = taken.pop_all()
        self._speaking[posed.id] = AnswerJob(
            posed, self.service, self.answers, place, over=lambda: self._speaking.pop(posed.id)
        )
        if key is not None:
            self._once[key] = posed.id
            while len(self._once) > REMEMBERED:
                self._once.popitem(last=False)
        return posed.id

    async def estimate(self, caller: Caller, question: PageQuestion) -> CostEstimate:
        """What this question would take; one that is not written yet counts as one of middling length.

        Raises:
            ApiError: it cannot be asked.
        """
        if not question.question.strip():
            question = question.model_copy(update={"question": _TYPICAL})
        posed = await self._posed(caller, question)
        return await estimated(posed.asked.values(), self.ui.prices, posed.stance)

    def speaking(self, name: str) -> AnswerJob:
        """A question under way.

        Raises:
            ApiError: 404, it is over or was never asked.
        """
        if (found := self._speaking.get(name)) is None:
            raise ApiError(404, "no such question is under way here", code="not_under_way")
        return found

    async def _posed(self, caller: Caller, question: PageQuestion) -> PageRequest:
        service = self.service
        council = service.offers.get(question.council)
        if council is None or council.council is None:
            there = ", ".join(name for name, offer in service.offers.items() if offer.council is not None)
            said = f"no council {question.council!r} here; there are: {there}"
            raise ApiError(404, said, code="council_not_found", param="council")
        chat = self._chat(question.model)
        earlier = await self._thread(caller, question.after)
        seed = random.randrange(2**31) if question.seed is None else question.seed
        text = storable(question.question)
        check_question(text, chat.spec, service.options.limits.question, where="question")
        asked = {
            strategy: TurnRequest(
                offer=council if strategy == COUNCIL_STRATEGY else service.offer(strategy),
                messages=_messages(earlier, strategy, text),
                chat=chat,
                voice_models=service.voice_models if strategy == COUNCIL_STRATEGY else {},
                seed=seed,
                watched=True,
            )
            for strategy in dict.fromkeys(question.strategies)
        }
        for each in asked.values():
            _check_speakers(each)
        return PageRequest(
            id=secrets.token_urlsafe(12),
            caller=caller,
            question=text.strip(),
            council=council,
            model=chat.spec.name,
            thread=tuple(each.id for each in earlier),
            seed=seed,
            asked=asked,
            stance=_stance(question, asked.get(COUNCIL_STRATEGY)),
        )

    def _chat(self, name: str | None) -> Chat:
        if name is None:
            return self.service.chat
        if (chat := self.chats.get(name)) is None:
            said = f"this page offers no such model; it has {', '.join(self.chats)}"
            raise ApiError(404, said, code="model_not_found", param="model")
        return chat

    async def _thread(self, caller: Caller, after: str | None) -> list[Exchange]:
        """The exchanges before a question, the first first; those that are gone are left out."""
        if after is None:
            return []
        if after in self._speaking:
            raise ApiError(409, "the answer before this question is not finished; ask when it is", code="thread_busy")
        last = await self.exchange(after)
        if last.owner != caller.space:
            raise ApiError(403, "only those who began this conversation can go on with it", code="not_yours")
        before = [await self.answers.get(name) for name in last.thread]
        return [*(each for each in before if each is not None), last]

    # --- what is kept

    async def exchange(self, name: str) -> Exchange:
        """An exchange.

        Raises:
            ApiError: 404, it is not here.
            MemoryLostError: the memory cannot be reached.
        """
        if (found := await self.answers.get(name)) is None:
            held = f" (this server keeps its last {HELD} answers until it stops; --memory keeps them all)"
            gone = "" if self.answers.lasting else held
            raise ApiError(404, f"this answer is not here{gone}", code="answer_not_found")
        return found

    async def delete(self, caller: Caller, name: str) -> None:
        """Delete an exchange of the caller's.

        Raises:
            ApiError: 404, it is not here; 403, another asked it; 409, it is under way.
            MemoryLostError: the memory cannot be reached.
        """
        if name in self._speaking:
            raise ApiError(409, "this question is under way; cancel it, or delete it when it is over", code="busy")
        if (await self.exchange(name)).owner != caller.space:
            raise ApiError(403, "only the one who asked can delete a question", code="not_yours")
        await self.answers.delete(name)

    async def shown(self, caller: Caller, name: str) -> dict[str, Any]:
        """What the page shows of a question: that it is under way, or all that came of it; `mine`: the caller asked it.

        Raises:
            ApiError: 404, it is not here.
            MemoryLostError: the memory cannot be reached.
        """
        if name in self._speaking:
            job = self._speaking[name]
            posed = job.posed
            head = self._head(posed.id, posed.question, posed.council.name, posed.model)
            return {"state": "speaking", "seconds": job.seconds, **head, "mine": posed.caller.space == caller.space,
                    "strategies": list(posed.asked), "thread": await self._titles(posed.thread)}  # fmt: skip
        exchange = await self.exchange(name)
        view = await asyncio.to_thread(self._ended, exchange)
        return {"thread": await self._titles(exchange.thread), "mine": exchange.owner == caller.space, **view}

    def _ended(self, exchange: Exchange) -> dict[str, Any]:
        result = exchange.result
        entities = shipped_gazetteer().entities
        council = self.service.offers.get(exchange.council)
        personas = {each.digest: each for each in council.council.personas} if council and council.council else {}
        views = {
            strategy: {**answer_view(each, entities), "usd": cost(each.answer, self.ui.prices)}
            for strategy, each in result.answers.items()
        }
        return {
            "state": "ended",
            **self._head(exchange.id, result.question, exchange.council, exchange.model),
            "strategies": list(exchange.strategies),
            "asked": exchange.asked,
            "seed": result.seed,
            "created": result.created,
            "version": result.version,
            "frame": list(result.frame),
            "answers": views,
            "failed": result.failed,
            "stance": stance_view(exchange.stance, result.answers.get(COUNCIL_STRATEGY)),
            "silent": list(exchange.silent),
            "voices": [voice_view(voice, personas.get(voice.digest)) for voice in exchange.voices],
        }

    def _head(self, name: str, question: str, council: str, model: str) -> dict[str, Any]:
        lasts = self.answers.lasts(name)
        return {"id": name, "question": question, "council": council, "model": model, "lasting": lasts}

    async def _titles(self, thread: Sequence[str]) -> list[dict[str, str | None]]:
        """The questions before one that are still here; None for one that cannot be read now."""
        found: list[dict[str, str | None]] = []
        for name in thread:
            try:
                if (each := await self.answers.get(name)) is not None:
                    found.append({"id": name, "question": each.result.question})
            except MemoryLostError:  # the answer that follows it is here all the same
                found.append({"id": name, "question": None})
        return found


def _check_speakers(asked: TurnRequest) -> None:
    """Whether the models may answer so, as far as that is known before they are asked.

    Raises:
        UsageError: a small model would state something in its own words, or has no sourcebook to speak from.
    """
    if asked.offer.council is None:
        check_strategy(asked.offer.strategy, asked.chat.spec)
        return
    for persona in asked.offer.council.personas:
        check_speaker(persona, asked.voice_models.get(persona.perspective, asked.chat).spec)


def _stance(question: PageQuestion, council: TurnRequest | None) -> tuple[str, ...]:
    """The options that the voices are to choose between.

    Raises:
        ApiError: 400, they cannot be asked so.
    """
    if not question.stance.strip():
        return ()
    if council is None:
        raise ApiError(400, "options are put to the voices of a council: ask multiplex too", param="stance")
    if any(chat.spec.small for chat in (council.chat, *council.voice_models.values())):
        raise ApiError(400, "a small model states nothing, so its voices choose no option", param="stance")
    try:
        return read_options(storable(question.stance))
    except UsageError:
        said = f"options: from two to {MOST} different ones, with | between them, such as agree|disagree"
        raise ApiError(400, said, param="stance") from None


def cost(answer: Answer, prices: Prices) -> float | None:
    """USD that an answer's calls took; None where a price or a count of tokens is not known."""
    spent: dict[str, Usage] = {}
    for voice in answer.rounds:
        spent[voice.model] = spent.get(voice.model, Usage()) + voice.usage
    voices = total(voice.usage for voice in answer.rounds)
    if answer.usage.input_tokens is None or answer.usage.output_tokens is None:
        return None
    rest = Usage(
        calls=answer.usage.calls - voices.calls,
        input_tokens=answer.usage.input_tokens - (voices.input_tokens or 0),
        output_tokens=answer.usage.output_tokens - (voices.output_tokens or 0),
    )
    spent[answer.model] = spent.get(answer.model, Usage()) + rest
    return prices.total(spent)


def _messages(earlier: Sequence[Exchange], strategy: Strategy, question: str) -> tuple[BaseMessage, ...]:
    """The conversation so far as this strategy saw it (where it was not asked, as another answered), and the question.

    A question that nobody answered is left out: some endpoints refuse two of a user in a row.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    turns: list[BaseMessage] = []
    for exchange in earlier:
        answers = exchange.result.answers
        if (answer := answers.get(strategy) or next(iter(answers.values()), None)) is not None:
            turns += [HumanMessage(exchange.result.question), AIMessage(answer.answer.text)]
    return (*turns, HumanMessage(question))


@asynccontextmanager
async def opened_page(service: Service, ui: Ui) -> AsyncIterator[Page]:
    """The page of an open service.

    Raises:
        MemoryLostError: the conversation memory cannot be reached.
    """
    chats = {service.chat.spec.name: service.chat}
    others = {spec.name: opened_chat(spec, service.pacing) for spec in ui.models if spec.name not in chats}
    try:
        async with answers(service.memory) as kept:
            yield Page(service, ui, kept, {**chats, **others})
    finally:
        await asyncio.gather(*(chat.aclose() for chat in others.values()))
