"""One chat model at one endpoint: calls with retries, a limit, and a count of what they cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from multiplex.content import sha256, storable
from multiplex.errors import CallError
from multiplex.llm.connection import Connection, endpoint, opened
from multiplex.llm.error_mapping import Failure, explain, refused_parameter
from multiplex.llm.limiter import Limiter
from multiplex.llm.pacing import Pacing
from multiplex.llm.reasoning import without_thinking
from multiplex.llm.spec import ModelSpec, resolve_model
from multiplex.llm.transport import Completion, OnDelta, Transport, observed, streamed, whole
from multiplex.llm.types import Call, Ledger, Reply
from multiplex.llm.usage import Usage
from multiplex.settings import Check, load_settings
from multiplex.text.marks import Marks, make_marks

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from tenacity import RetryCallState


class _AttemptError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.error))
        self.failure = failure


class Chat:
    """A chat model that is asked through `complete`.

    Connections, limiter and retries belong to the event loop that calls, so one Chat serves many loops; `aclose`
    gives the current loop's connections back. A `limiter` of the caller's serves one loop only; without it each loop
    has its own, fixed at the spec's limit. `transport` is the way a reply is heard: only `observed` shows its pieces to
    LangChain's callbacks, at six times the processor's time of `streamed` and twenty times that of `whole`, where
    `on_delta` hears a reply in one piece. With `pacing` one call begins in each round of the event loop, so that a
    server hears newcomers while hundreds of calls begin.

    A Chat made of another (`with_transport`, `adjusted`, `recorded`, `borrowed`) shares its connections, limiter and
    pacing, and what the endpoint has refused.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        limiter: Limiter | None = None,
        transport: Transport = "observed",
        pacing: Pacing | None = None,
    ) -> None:
        self.spec, self.transport = spec, transport
        self._limiter, self._pacing = limiter, pacing
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Connection] = WeakKeyDictionary()
        self._ledger: Ledger | None = None
        self._closes = True
        self.secret: str | None = None

    def with_transport(self, transport: Transport) -> Chat:
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
        transport: Transport | None = None,
        ledger: Ledger | None = None,
        secret: str | None = None,
        closes: bool = True,
    ) -> Chat:
        chat = Chat(
            spec or self.spec, limiter=self._limiter, transport=transport or self.transport, pacing=self._pacing
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
            return await self._retried(messages, call, on_delta, on_retry)
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
            reply = await self._retried(messages, call, on_delta, count, key)
        except CallError as error:
            await ledger.fail(key, error, perf_counter() - started, failed + 1)
            raise
        await ledger.keep(key, reply)
        return reply

    async def _retried(
        self,
        messages: Sequence[BaseMessage],
        call: Call,
        on_delta: OnDelta | None,
        on_retry: Callable[[CallError], None] | None,
        key: str = "",
    ) -> Reply:
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        line = await self._line()
        started = perf_counter()
        backoff = wait_random_exponential(multiplier=0.5, max=8)

        def wait(state: RetryCallState) -> float:
            failure = _failure(state)
            if on_retry is not None:
                on_retry(failure.error)
            return max(failure.wait or 0.0, backoff(state))

        def stop(state: RetryCallState) -> bool:
            attempts = _failure(state).attempts
            return stop_after_attempt(self.spec.retries + 1)(state) or (
                attempts is not None and state.attempt_number >= attempts
            )

        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_AttemptError), wait=wait, stop=stop, reraise=True
            ):
                with attempt:
                    text, usage, cut = await self._attempt(line, messages, call, on_delta, key)
                    return Reply(text, usage, perf_counter() - started, cut, attempt.retry_state.attempt_number)
        except _AttemptError as last:
            raise last.failure.error from last.__cause__
        raise AssertionError("tenacity returns or raises")

    @property
    def limiter(self) -> Limiter | None:
        """The limiter that was given, or that of the running event loop; None before the first call."""
        if self._limiter is not None:
            return self._limiter
        line = self._lines.get(asyncio.get_running_loop())
        return line.limiter if line is not None else None

    async def aclose(self) -> None:
        """Close the current event loop's connections; a later call opens new ones. One that is `lent` keeps them."""
        if not self._closes:
            return
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.clients.aclose()

    async def _attempt(
        self, line: Connection, messages: Sequence[BaseMessage], call: Call, on_delta: OnDelta | None, key: str
    ) -> tuple[str, Usage, bool]:
        while True:
            parameters, place = self._parameters(line, call), line.limiter.place()
            try:
                async with place:
                    if self._ledger is not None:
                        await self._ledger.admit(key)
                    if self._pacing is not None:
                        await self._pacing.take()
                    async with asyncio.timeout(self.spec.timeout):
                        said = await self._asked(line, messages, call, parameters, on_delta)
                return self._read(said)
            except CallError as error:
                # an empty reply: the model may do better once; cut off while thinking: it would not
                failure = Failure(error, {"cut_off": 1, "empty": 2}.get(error.kind))
                place.failed(failure)
                raise _AttemptError(failure) from error
            except Exception as error:
                refused = refused_parameter(error, set(parameters))
                if refused is None:
                    failure = explain(error, self.spec, line.secret)
                    place.failed(failure)
                    raise _AttemptError(failure) from error
                line.refused.add(refused)

    async def _asked(
        self,
        line: Connection,
        messages: Sequence[BaseMessage],
        call: Call,
        parameters: Mapping[str, Any],
        on_delta: OnDelta | None,
    ) -> Completion:
        spec, clients, at = self.spec, line.clients, self._at
        if self.transport == "observed":
            return await observed(line.client, messages, parameters, call.tags, on_delta, at)
        if self.transport == "streamed":
            return await streamed(clients, spec.model, messages, parameters, on_delta, at, line.secret)
        said = await whole(clients, spec.model, messages, parameters, at, line.secret)
        if on_delta is not None and (shown := without_thinking(said.text)):
            on_delta(shown)
        return said

    def _read(self, said: Completion) -> tuple[str, Usage, bool]:
        text, at = storable(without_thinking(said.text)), self._at
        if not text and said.finish == "length":
            raise CallError(
                "cut_off", f"{at}: the token limit was spent before the answer began; raise MULTIPLEX_VOICE_TOKENS"
            )
        if said.finish is None:
            raise CallError("server", f"{at}: the stream ended in the middle of the answer")
        if not text:
            raise CallError("empty", f"{at}: the reply is empty")
        return text, said.usage, said.finish == "length"

    @property
    def _at(self) -> str:
        return f"{self.spec.name} at {self.spec.place}"

    def _parameters(self, line: Connection, call: Call) -> dict[str, Any]:
        """Every optional parameter of the request that this endpoint has not refused."""
        limit = "max_completion_tokens" if self.spec.base_url is None and not self.spec.local else "max_tokens"
        wanted: dict[str, Any] = {
            "temperature": self.spec.temperature if call.temperature is None else call.temperature,
            "seed": call.seed,
            limit: call.max_tokens,
            "user": self.spec.user,
            "stream_options": True,
            "response_format": call.response_format,
        }
        if self.spec.local:
            wanted |= {"top_p": 0.9, "min_p": 0.05, "repeat_penalty": 1.1, "cache_prompt": True}
            wanted |= {"id_slot": call.slot, "grammar": call.grammar}
        return {name: value for name, value in wanted.items() if value is not None and name not in line.refused}

    async def _line(self) -> Connection:
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            base_url, secret = await endpoint(self.spec)
            if loop not in self._lines:  # another call may have come first while the server started
                self._lines[loop] = opened(self.spec, base_url, secret, self._limiter)
        return self._lines[loop]


Model = str | ModelSpec | Chat | None


def as_chat(model: Model) -> Chat:
    """A Chat for a model's name, its spec, or (None) the model that the settings name.

    Raises:
        UsageError: the name does not say where the model runs, or a setting is wrong.
    """
    if isinstance(model, Chat):
        return model
    return Chat(model if isinstance(model, ModelSpec) else resolve_model(load_settings(), model))


def request_key(spec: ModelSpec, messages: Sequence[BaseMessage], call: Call) -> str:
    """Hex SHA-256 of what decides a reply: the model, the messages and the parameters, as they are wanted."""
    wanted = {
        "model": spec.model,
        "place": spec.place,
        "messages": [(message.type, str(message.text)) for message in messages],
        "max_tokens": call.max_tokens,
        "seed": call.seed,
        "grammar": call.grammar if spec.local else None,
        "response_format": call.response_format,
        "temperature": spec.temperature if call.temperature is None else call.temperature,
    }
    return sha256(json.dumps(wanted, sort_keys=True))


def _failure(state: RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, _AttemptError):
        raise AssertionError("tenacity asks only after a failed attempt")
    return error.failure
