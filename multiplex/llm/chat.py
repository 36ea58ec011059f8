"""One chat model at one endpoint: calls with retries, a limit, and a count of what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from multiplex.content import storable
from multiplex.errors import CallError
from multiplex.llm.adaptation import LIMITS, Adapted
from multiplex.llm.attempts import Attempts
from multiplex.llm.connection import Connection, endpoint, opened
from multiplex.llm.langchain_model import ask_own
from multiplex.llm.limiter import Limiter, steady
from multiplex.llm.logprobs import write_alternatives
from multiplex.llm.outcome import note_rest, read_answer
from multiplex.llm.pacing import Pacing
from multiplex.llm.reading import Completion, ReplyReader
from multiplex.llm.reasoning import without_thinking
from multiplex.llm.request_key import request_key
from multiplex.llm.spec import ModelSpec, limit_name, room_advice
from multiplex.llm.tracing import trace_call
from multiplex.llm.transport import Deferred, OnDelta, Request, Transport, deferred, observed, streamed, whole
from multiplex.llm.types import Call, Ledger, Reply
from multiplex.settings import Check
from multiplex.text.marks import Marks, make_marks

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage


_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class Chat:
    """A chat model that is asked through `complete`.

    Connections, limiter and retries belong to the event loop that calls, so one Chat serves many loops; `aclose` gives
    the current loop's connections back. A `limiter` of the caller's serves one loop only; without it each loop has its
    own, which begins at the spec's limit and never lets in more. `transport` is the way a reply is heard: only
    `observed` shows its pieces to LangChain's callbacks, for more of the processor's time than `streamed` and `whole`,
    where `on_delta` hears a reply in one piece. With `pacing` one call begins in each round of the event loop, so that
    a server hears newcomers while hundreds of calls begin. `client` is a chat model of LangChain that makes the calls,
    always `observed` and with parameters of its own: none of ours are sent.

    A Chat made of another (`with_transport`, `adjusted`, `recorded`, `borrowed`) shares its connections, limiter and
    pacing, and what the endpoint has refused.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        limiter: Limiter | None = None,
        transport: Transport | Deferred = "observed",
        pacing: Pacing | None = None,
        client: BaseChatModel | None = None,
    ) -> None:
        self.spec, self.transport, self._client = spec, transport, client
        self._limiter, self._pacing = limiter, pacing
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Connection] = WeakKeyDictionary()
        self._ledger: Ledger | None = None
        self._closes = True
        self.secret: str | None = None

    def with_transport(self, transport: Transport | Deferred) -> Chat:
        """A copy that uses another transport; connections are shared."""
        return self._made(transport=transport)

    def adjusted(
        self,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        user: str | None = None,
        check: Check | None = None,
    ) -> Chat:
        """A copy with other settings; what is None stays as it is.

        `max_tokens` bounds an answer of one call and a synthesis, and never raises a limit of the spec.
        """
        spec, changes = self.spec, dict[str, Any]()
        if temperature is not None:
            changes["temperature"] = temperature
        if max_tokens is not None:
            changes["answer_tokens"] = min(max_tokens, spec.answer_tokens or max_tokens)
            changes["synthesis_tokens"] = min(max_tokens, spec.synthesis_tokens or max_tokens)
        if user is not None:
            changes["user"] = user
        if check is not None:
            changes["check"] = check
        return self._made(spec=spec.model_copy(update=changes))

    def recorded(self, ledger: Ledger, secret: str | None = None) -> Chat:
        """A copy that writes each reply to `ledger` before it is used.

        A reply that stands there already is given without a call. `secret` goes into the marks of prompts: it must be
        the same when a ledger is used again, or no request is known to it.
        """
        return self._made(ledger=ledger, secret=secret)

    def marks(self, seed: int, *data: str) -> Marks:
        """The marks of a prompt to this model that holds this material."""
        return make_marks(self.secret, seed, *data)

    def borrowed(self) -> Chat:
        """A copy whose `aclose` leaves the shared connections open."""
        return self._made(closes=False)

    def _made(
        self,
        *,
        spec: ModelSpec | None = None,
        transport: Transport | Deferred | None = None,
        ledger: Ledger | None = None,
        secret: str | None = None,
        closes: bool = True,
    ) -> Chat:
        chat = Chat(
            spec or self.spec,
            limiter=self._limiter,
            transport=transport or self.transport,
            pacing=self._pacing,
            client=self._client,
        )
        chat._lines, chat._ledger = self._lines, ledger or self._ledger
        chat._closes = closes and self._closes
        chat.secret = secret or self.secret
        return chat

    async def complete(
        self,
        messages: Sequence[BaseMessage],
        call: Call | None = None,
        *,
        on_delta: OnDelta | None = None,
        on_retry: Callable[[CallError], None] | None = None,
    ) -> Reply:
        """The model's reply to these messages, streamed to `on_delta` as it comes.

        `on_retry` is told of an attempt that failed: what `on_delta` saw of it is void.

        Raises:
            CallError: the call failed for good; its `kind` says how.
            UsageError: the key's environment variable is not set.
            WeightsError: the embedded model cannot be had.
        """
        call = call or Call()
        ledger = self._ledger
        if ledger is None:
            return await self._traced(messages, call, on_delta, on_retry)
        key = request_key(self.spec, messages, call)
        if (kept := await ledger.begin(key)) is not None:
            if on_delta is not None:
                on_delta(kept.text)
            return kept
        started, failed = perf_counter(), 0

        def count(error: CallError) -> None:
            nonlocal failed
            failed += 1
            if on_retry is not None:
                on_retry(error)

        try:
            reply = await self._traced(messages, call, on_delta, count, key)
        except CallError as error:
            await ledger.fail(key, error, perf_counter() - started, failed + 1)
            raise
        await ledger.keep(key, reply)
        return reply

    async def _traced(
        self,
        messages: Sequence[BaseMessage],
        call: Call,
        on_delta: OnDelta | None,
        on_retry: Callable[[CallError], None] | None,
        key: str = "",
    ) -> Reply:
        with trace_call(self.spec, ((each.type, str(each.text)) for each in messages), call) as end:
            reply = await self._retried(messages, call, on_delta, on_retry, key)
            end(reply)
        return reply

    async def _retried(
        self,
        messages: Sequence[BaseMessage],
        call: Call,
        on_delta: OnDelta | None,
        on_retry: Callable[[CallError], None] | None,
        key: str = "",
    ) -> Reply:
        line, started = await self.connection(), perf_counter()
        wanted = self._parameters(call) if line.client is not None else {}
        attempts = Attempts(line, self.spec, wanted, [_message(message) for message in messages], on_retry=on_retry)
        for attempt in attempts:
            limit = next((attempt.sent.parameters[name] for name in LIMITS if name in attempt.sent.parameters), None)
            reader = ReplyReader(limit, line.manner)
            attempt.spent = partial(getattr, reader, "spent")
            async with attempt:
                if self._ledger is not None:
                    await self._ledger.admit(key)
                if self._pacing is not None:
                    await self._pacing.take()
                said = await self._ask(line, messages, call, attempt.sent, reader, on_delta, key)
                text = read_answer(said, self._at, room_advice(self.spec, call))
                if call.top_logprobs is not None:
                    text = write_alternatives(said, self._at)
                notes = attempt.sent.notes + ((note_rest(self._at),) if said.too_long else ())
                return Reply(
                    text, attempts.lost + said.usage, perf_counter() - started, said.ending == "cut", attempts.number,
                    notes, said.message_id,
                )  # fmt: skip
        raise AssertionError("an attempt that fails is followed by another, or raises")

    @property
    def limiter(self) -> Limiter | None:
        """The limiter that was given, or that of the running event loop; None before the first call."""
        if self._limiter is not None:
            return self._limiter
        line = self._lines.get(asyncio.get_running_loop())
        return line.limiter if line is not None else None

    async def aclose(self) -> None:
        """Close the current event loop's connections; a later call opens new ones. A borrowed copy keeps them."""
        if not self._closes:
            return
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None and line.client is not None:
            await line.client.close()

    async def _ask(
        self,
        line: Connection,
        messages: Sequence[BaseMessage],
        call: Call,
        adapted: Adapted,
        reader: ReplyReader,
        on_delta: OnDelta | None,
        key: str,
    ) -> Completion:
        spec = self.spec
        if self._client is not None:
            return await ask_own(self._client, messages, call.tags, on_delta, self._at)
        if line.client is None:
            raise AssertionError("only a caller's own chat model has no client of ours")
        request = Request(spec.model, adapted.messages, adapted.parameters, spec.timeout, self._at, line.secret, key)
        if not isinstance(self.transport, str):
            return await deferred(self.transport, request, reader)
        if self.transport == "observed":
            return await observed(line.client, request, reader, on_delta, messages, call.tags)
        if self.transport == "streamed":
            return await streamed(line.client, request, reader, on_delta)
        completion = await whole(line.client, request, reader)
        if on_delta is not None and not completion.unclosed and (shown := without_thinking(completion.text)):
            on_delta(shown)
        return completion

    @property
    def _at(self) -> str:
        return f"{self.spec.name} at {self.spec.place}"

    def _parameters(self, call: Call) -> dict[str, Any]:
        """Every optional parameter of the request."""
        wanted: dict[str, Any] = {
            "temperature": self.spec.temperature if call.temperature is None else call.temperature,
            "seed": call.seed,
            limit_name(self.spec): call.max_tokens,
            "user": self.spec.user,
            "stream": True if self.transport != "whole" else None,
            "stream_options": True if self.transport != "whole" else None,
            "response_format": call.response_format,
            "logprobs": True if call.top_logprobs is not None else None,
            "top_logprobs": call.top_logprobs,
        }
        if self.spec.local:
            wanted |= {"top_p": 0.9, "min_p": 0.05, "repeat_penalty": 1.1, "cache_prompt": True}
            wanted |= {"id_slot": call.slot, "grammar": call.grammar}
        return {name: value for name, value in wanted.items() if value is not None}

    async def connection(self) -> Connection:
        """The running event loop's connection to the endpoint, opened where there is none yet.

        Raises:
            UsageError: the key's environment variable is not set.
            WeightsError: the embedded model cannot be had.
        """
        loop = asyncio.get_running_loop()
        if self._client is not None and loop not in self._lines:
            self._lines[loop] = Connection(None, self._limiter or steady(self.spec), "")
        if loop not in self._lines:
            base_url, secret = await endpoint(self.spec)
            if loop not in self._lines:  # another call may have come first while the server started
                self._lines[loop] = opened(self.spec, base_url, secret, self._limiter)
        return self._lines[loop]


def _message(message: BaseMessage) -> dict[str, Any]:
    return {"role": _ROLES[message.type], "content": storable(str(message.text))}
