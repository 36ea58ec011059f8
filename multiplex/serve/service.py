"""What one running server holds, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from multiplex.answering import Measured, measured_answer, noted
from multiplex.errors import MemoryLostError, MultiplexError
from multiplex.llm.chat import Chat
from multiplex.llm.limiter import adaptive
from multiplex.llm.pacing import Pacing
from multiplex.serve.conversation.graph_cache import Graphs
from multiplex.serve.conversation.in_flight import STOPPING, Running
from multiplex.serve.conversation.memory import Memory, memory
from multiplex.serve.http.connections import peer_name
from multiplex.serve.http.keys import Keys, Strangers, is_loopback
from multiplex.serve.http.limits import CouncilSlots, Rates
from multiplex.serve.http.logs import log
from multiplex.serve.http.metrics import Metrics
from multiplex.serve.http.readiness import unreachable
from multiplex.serve.openai.schema import ApiError, a_bug
from multiplex.serve.openai.served_models import ServedModel, offers
from multiplex.serve.options import ServeOptions

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from multiplex.council.answer import Answer
    from multiplex.evaluation import Evaluator
    from multiplex.llm.spec import ModelSpec
    from multiplex.serve.conversation.checkpointers import Lasting

HOUR = 3_600.0  # seconds
READY_FOR = 5.0  # seconds that an answer of /readyz stands


@dataclass(frozen=True)
class Caller:
    """Who asks: a name for logs, and a space of its own in the memory."""

    who: str
    space: str


@dataclass
class Service:
    """The models, the memory and the counters of one server; it belongs to one event loop."""

    options: ServeOptions
    keys: Keys
    chat: Chat
    voice_models: dict[str, Chat]
    memory: Memory
    pacing: Pacing
    started: float
    running: Running = field(default_factory=Running)

    def __post_init__(self) -> None:
        self.offers = offers(self.options.councils)
        self.places = CouncilSlots(self.options.limits.councils)
        self.rates = Rates(self.options.limits.per_minute if self.keys else None)
        self.graphs = Graphs(self.memory)
        self.metrics = Metrics(lambda: self.places.taken)
        self.strangers = Strangers(self.metrics.refuse_key)
        self._busy_threads: set[str] = set()
        self._measuring = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._readiness: tuple[float, str | None] | None = None

    def offer(self, name: str) -> ServedModel:
        """The offer of this name.

        Raises:
            ApiError: 404, there is none.
        """
        if (offer := self.offers.get(name)) is None:
            there = ", ".join(self.offers)
            raise ApiError(404, f"no such model here; there are: {there}", code="model_not_found", param="model")
        return offer

    async def admit(self, token: str | None, request: HTTPConnection) -> Caller:
        """Who asks with this key; a wrong one is counted, and refused later where its peer has sent many.

        Raises:
            ApiError: 401, the key is missing or wrong; 429, too many wrong ones of this peer wait already.
        """
        if (who := self.keys.authenticate(token)) is not None:
            return Caller(who, self.keys.space(token))
        if token is None:
            said = "this server needs a key: send it as `Authorization: Bearer KEY`"
            raise ApiError(401, said, kind="authentication_error", code="invalid_api_key")
        peer = peer_name(request.client.host if request.client is not None else "")
        if await self.strangers.delay(peer):
            raise ApiError(401, "wrong key", kind="authentication_error", code="invalid_api_key")
        said = "too many wrong keys from your address; try again later"
        raise ApiError(429, said, kind="rate_limit_error", code="too_many_wrong_keys", retry_after=60)

    @property
    def exposed(self) -> bool:
        """Whether those who reach this server without a key may be strangers."""
        return bool(self.keys) or not is_loopback(self.options.host)

    @contextmanager
    def place(self, caller: Caller, offer: ServedModel, thread: str | None) -> Iterator[None]:
        """A place among the councils under way, where it is one, alone in its thread, and counted for its caller.

        Raises:
            ApiError: 429 the server is full, or the caller has asked too often; 409 the thread is being answered; 503
                the server ends what is under way.
        """
        if self.running.closing:
            raise ApiError(503, STOPPING, kind="server_error", code="server_stopping", retry_after=5)
        with self.places.take() if offer.council is not None else nullcontext():
            if thread in self._busy_threads:
                raise ApiError(409, "this conversation is being answered; ask when it is", code="thread_busy")
            self.rates.count(caller.who)
            if thread is not None:
                self._busy_threads.add(thread)
            try:
                yield
            finally:
                self._busy_threads.discard(thread or "")

    def thread(self, caller: Caller, name: object, where: str = "thread_id") -> str:
        """Under which name the memory keeps this thread of the caller's; `where` it was named.

        Raises:
            ApiError: 400, it is no name, or this server keeps no conversations.
        """
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise ApiError(400, f"{where} is a name of 1 to 200 characters", param=where)
        if self.memory.checkpointer is None:
            said = "this server keeps no conversations; start it with --memory, or send the whole conversation"
            raise ApiError(400, said, param=where)
        return f"{caller.space}/{name}"

    async def delete_thread(self, caller: Caller, name: str) -> None:
        """Delete what this thread of the caller's holds, if it holds anything.

        Raises:
            ApiError: 400, as `thread`; 409, it is being answered.
            MemoryLostError: the database refuses.
        """
        thread = self.thread(caller, name)
        if thread in self._busy_threads:
            raise ApiError(409, "this conversation is being answered; delete it when it is", code="thread_busy")
        if self.memory.checkpointer is not None:
            await self.memory.checkpointer.adelete_thread(thread)

    @cached_property
    def evaluator(self) -> Evaluator:
        """The measures' extractor, loaded when the first question asks for measures."""
        from multiplex.evaluation import Evaluator

        return Evaluator()

    async def measured(self, answer: Answer, question: str) -> Measured:
        """The answer with its measures, made beside the event loop, one at a time.

        An answer is paid for: where measuring fails, for whatever reason, it stands with a note that says so.
        """
        async with self._measuring:
            try:
                return await asyncio.to_thread(
                    lambda: measured_answer(Measured(answer=answer), question, self.evaluator)
                )
            except MultiplexError as error:
                why = str(error)
            except Exception as error:
                why = a_bug(error).body.error.message
        return Measured(answer=noted(answer, why))

    def answered(
        self,
        caller: Caller,
        model: str,
        outcome: str,
        seconds: float,
        question: str,
        answer: Answer | None,
        **about: Any,
    ) -> None:
        """Count a question that is over, and write down how it ended; what was said only where that is asked for."""
        self.metrics.ended(model, outcome, seconds, answer)
        shown = self.options.log_content
        log(
            "question",
            caller=caller.who,
            model=model,
            outcome=outcome,
            seconds=round(seconds, 3),
            lost=list(answer.lost) if answer else None,
            usage=answer.usage.model_dump() if answer else None,
            question=question if shown else None,
            answer=answer.text if answer and shown else None,
            **about,
        )

    async def unready(self) -> str | None:
        """Why no question can be answered now; None where one can. It asks the endpoint at most every 5 seconds."""
        async with self._looking:  # who asks meanwhile is told the same
            before = self._readiness
            if before is None or monotonic() - before[0] > READY_FOR:
                why = await unreachable(self.options.spec)
                self._readiness = monotonic(), why
                if why is not None and (before is None or before[1] is None):
                    log("not ready", why=why)
            return self._readiness[1] if self._readiness is not None else None


def opened_chat(spec: ModelSpec, pacing: Pacing) -> Chat:
    """A model as a server calls it; its connections belong to the running event loop."""
    return Chat(spec, limiter=adaptive(spec), transport="streamed", pacing=pacing)


@asynccontextmanager
async def _forgetting(kept: Memory, days: float | None) -> AsyncIterator[None]:
    """Delete every hour what nobody went on with for so many days, as long as the block runs."""
    if kept.checkpointer is None or days is None:
        yield
        return

    async def forget(memory: Lasting, age: timedelta) -> None:
        while True:
            try:
                if count := await memory.forget_before(datetime.now(UTC) - age):
                    log("old conversations deleted", count=count)
            except MemoryLostError as error:
                log("old conversations not deleted", why=str(error))
            await asyncio.sleep(HOUR)

    task = asyncio.create_task(forget(kept.checkpointer, timedelta(days=days)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def opened(options: ServeOptions, keys: Keys) -> AsyncIterator[Service]:
    """The service, with its memory open and its models' connections ready to be made.

    Raises:
        MemoryLostError: the conversation memory cannot be reached.
    """
    async with memory(options.memory) as kept, _forgetting(kept, options.keep_days):
        pacing = Pacing()
        chat = opened_chat(options.spec, pacing)
        others = {name: opened_chat(spec, pacing) for name, spec in options.voice_models.items()}
        try:
            yield Service(options, keys, chat, others, kept, pacing, time())
        finally:
            await asyncio.gather(*(each.aclose() for each in (chat, *others.values())))
