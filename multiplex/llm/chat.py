"""One chat model at one endpoint: calls with retries, a limit, and a count of what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from multiplex.errors import CallError
from multiplex.llm.failures import Failure, explain, is_broken_connection, refused_parameter
from multiplex.llm.limiter import Limiter
from multiplex.llm.spec import ModelSpec, api_key, resolve_model
from multiplex.llm.thinking import ThinkingFilter, without_thinking
from multiplex.llm.usage import Usage
from multiplex.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_openai import ChatOpenAI
    from tenacity import RetryCallState

OnDelta = Callable[[str], None]


@dataclass(frozen=True)
class Reply:
    """What a model said: `text` without thinking, `cut` where the token limit ended it, `seconds` with retries."""

    text: str
    usage: Usage
    seconds: float
    cut: bool = False


@dataclass(frozen=True)
class Call:
    """How one call differs from another to the same model.

    `slot` pins a call to a place of the embedded server, whose cache then knows the prompt's beginning; `grammar`
    is GBNF. Both go to the embedded server only. `response_format` is OpenAI's (a JSON schema); where the endpoint
    refuses it the call goes on without, so the prompt must ask for the form too. `temperature` replaces the spec's.
    `tags` mark the call in LangChain's and LangGraph's streams.
    """

    max_tokens: int | None = None
    seed: int | None = None
    slot: int | None = None
    grammar: str | None = None
    response_format: Mapping[str, Any] | None = None
    temperature: float | None = None
    tags: tuple[str, ...] = ()


@dataclass
class _Line:
    """What one event loop holds of an endpoint: the client, its limiter, and parameters it has refused."""

    client: ChatOpenAI
    limiter: Limiter
    secret: str
    refused: set[str] = field(default_factory=set)


class _AttemptError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.error))
        self.failure = failure


class Chat:
    """A chat model that is asked through `complete`.

    Connections, limiter and retries belong to the event loop that calls, so one Chat serves many loops; `aclose`
    gives the current loop's connections back.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

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
        from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        call = call or Call()
        line = await self._line()
        started = perf_counter()
        backoff = wait_random_exponential(multiplier=0.5, max=8)

        def wait(state: RetryCallState) -> float:
            failure = _failure(state)
            if failure.wait is not None:
                line.limiter.hold(failure.wait)
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
                    text, usage, cut = await self._attempt(line, messages, call, on_delta)
                    return Reply(text, usage, perf_counter() - started, cut)
        except _AttemptError as last:
            raise last.failure.error from last.__cause__
        raise AssertionError("tenacity returns or raises")

    async def aclose(self) -> None:
        """Close the current event loop's connections; a later call opens new ones."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line.client.root_async_client.close()

    async def _attempt(
        self, line: _Line, messages: Sequence[BaseMessage], call: Call, on_delta: OnDelta | None
    ) -> tuple[str, Usage, bool]:
        while True:
            parameters = self._parameters(line, call)
            try:
                async with line.limiter, asyncio.timeout(self.spec.timeout):
                    chunk = await self._stream(line, messages, call, parameters, on_delta)
                return self._read(chunk)
            except CallError as error:
                # an empty reply: the model may do better once; cut off while thinking: it would not
                raise _AttemptError(Failure(error, {"cut_off": 1, "empty": 2}.get(error.kind))) from error
            except Exception as error:
                refused = refused_parameter(error, set(parameters))
                if refused is None:
                    raise _AttemptError(explain(error, self.spec, line.secret)) from error
                line.refused.add(refused)

    async def _stream(
        self,
        line: _Line,
        messages: Sequence[BaseMessage],
        call: Call,
        parameters: Mapping[str, Any],
        on_delta: OnDelta | None,
    ) -> AIMessageChunk:
        visible = ThinkingFilter()
        whole: AIMessageChunk | None = None
        options = dict(parameters)
        usage = options.pop("stream_options", None) is not None
        known = {name: options.pop(name) for name in ("temperature", "seed", "top_p") if name in options}
        pieces = line.client.astream(
            list(messages), config={"tags": list(call.tags)}, stream_usage=usage, extra_body=options or None, **known
        )
        try:
            async for chunk in pieces:
                whole = chunk if whole is None else whole + chunk
                if on_delta is not None and (shown := visible.feed(str(chunk.text))):
                    on_delta(shown)
        except Exception as error:
            if whole is not None and is_broken_connection(error):
                raise CallError("server", f"{self._at}: the connection broke in the middle of the answer") from error
            raise
        if on_delta is not None and (shown := visible.feed("", last=True)):
            on_delta(shown)
        if whole is None:
            raise ValueError("the stream held nothing")
        return whole

    def _read(self, chunk: AIMessageChunk) -> tuple[str, Usage, bool]:
        spent = chunk.usage_metadata
        usage = Usage(
            calls=1,
            input_tokens=spent["input_tokens"] if spent else None,
            output_tokens=spent["output_tokens"] if spent else None,
        )
        text = without_thinking(str(chunk.text))
        finish = chunk.response_metadata.get("finish_reason")
        at = self._at
        if not text and finish == "length":
            raise CallError(
                "cut_off", f"{at}: the token limit was spent before the answer began; raise MULTIPLEX_VOICE_TOKENS"
            )
        if finish is None:
            raise CallError("server", f"{at}: the stream ended in the middle of the answer")
        if not text:
            raise CallError("empty", f"{at}: the reply is empty")
        return text, usage, finish == "length"

    @property
    def _at(self) -> str:
        return f"{self.spec.name} at {self.spec.place}"

    def _parameters(self, line: _Line, call: Call) -> dict[str, Any]:
        """Every optional parameter of the request that this endpoint has not refused."""
        limit = "max_completion_tokens" if self.spec.base_url is None and not self.spec.local else "max_tokens"
        wanted: dict[str, Any] = {
            "temperature": self.spec.temperature if call.temperature is None else call.temperature,
            "seed": call.seed,
            limit: call.max_tokens,
            "stream_options": True,
            "response_format": call.response_format,
        }
        if self.spec.local:
            wanted |= {"top_p": 0.9, "min_p": 0.05, "repeat_penalty": 1.1, "cache_prompt": True}
            wanted |= {"id_slot": call.slot, "grammar": call.grammar}
        return {name: value for name, value in wanted.items() if value is not None and name not in line.refused}

    async def _line(self) -> _Line:
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            base_url, secret = await self._endpoint()
            if loop not in self._lines:  # another call may have come first while the server started
                self._lines[loop] = _open(self.spec, base_url, secret)
        return self._lines[loop]

    async def _endpoint(self) -> tuple[str | None, str]:
        if self.spec.local:
            from multiplex.llm.embedded import embedded_server
            from multiplex.llm.fetch import ensure

            path = await asyncio.to_thread(ensure, self.spec.gguf)
            server = await asyncio.to_thread(embedded_server, path)
            return server.base_url, server.key.get_secret_value()
        key = api_key(self.spec)
        return self.spec.base_url, key.get_secret_value() if key else ""


Model = str | ModelSpec | Chat | None


def as_chat(model: Model) -> Chat:
    """A Chat for a model's name, its spec, or (None) the model that the settings name.

    Raises:
        UsageError: the name does not say where the model runs, or a setting is wrong.
    """
    if isinstance(model, Chat):
        return model
    return Chat(model if isinstance(model, ModelSpec) else resolve_model(load_settings(), model))


def _failure(state: RetryCallState) -> Failure:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, _AttemptError):
        raise AssertionError("tenacity asks only after a failed attempt")
    return error.failure


def _open(spec: ModelSpec, base_url: str | None, secret: str) -> _Line:
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient
    from pydantic import SecretStr

    client = ChatOpenAI(
        model=spec.model,
        base_url=base_url,
        api_key=SecretStr(secret or "none"),  # the client wants one even where the endpoint does not
        max_retries=0,
        timeout=spec.timeout,
        stream_chunk_timeout=None,
        http_async_client=DefaultAsyncHttpxClient(timeout=spec.timeout),
    )
    return _Line(client, Limiter(spec.limit), secret)
