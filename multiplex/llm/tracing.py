"""OpenTelemetry spans of questions and, in them, of calls to a model, by the conventions for generative AI.

They go to the tracer provider that the process has set, and cost nothing where it has none. A span tells of the model,
the tokens, the kind of call and the persona; what was said stands in it only where the environment variable
OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is true.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import Any, TypeVar
from urllib.parse import urlsplit

from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call, Reply

Said = tuple[str, str]
Inside = Callable[[], AbstractContextManager[Any]]
Piece = TypeVar("Piece")
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


class _End:
    pass


_END = _End()
_KIND = "multiplex:"
_ROLES = {"human": "user", "ai": "assistant"}


@contextmanager
def trace_answer(strategies: Sequence[str], seed: int) -> Iterator[Inside]:
    """A span for one question, however many calls its answers take.

    The block is given a function that makes context managers: calls begun within one are children of the span. A
    generator that yields leaves it before, since its caller's own spans are none of the question's (`each_inside`).
    """
    api = _api()
    if api is None:
        yield nullcontext
        return
    attributes = {"multiplex.strategies": list(strategies), "multiplex.seed": seed}
    with _ended(api, api.get_tracer("multiplex").start_span("multiplex answer", attributes=attributes)) as span:
        yield lambda: api.use_span(span, record_exception=False, set_status_on_exception=False)


async def each_inside(inside: Inside, stream: AsyncGenerator[Piece]) -> AsyncGenerator[Piece]:
    """The pieces of a stream, each made within what `trace_answer` gave; the stream is closed at the end."""
    async with aclosing(stream):
        while True:
            with inside():
                piece = await anext(stream, _END)
            if isinstance(piece, _End):
                return
            yield piece


@contextmanager
def trace_call(spec: ModelSpec, messages: Iterable[Said], call: Call) -> Iterator[Callable[[Reply], None]]:
    """A span for one call, its retries included; the block hands its reply to the function that it is given.

    `messages` are pairs of a role and a text, read only where content stands in spans. The text of an error stays out
    of the span: an endpoint may quote what it was asked.
    """
    api = _api()
    if api is None:
        yield lambda _: None
        return
    content = os.environ.get(CONTENT, "").strip().lower() in ("true", "1")
    span = api.get_tracer("multiplex").start_span(
        f"chat {spec.model}", kind=api.SpanKind.CLIENT, attributes=_of_request(spec, messages, call, content=content)
    )
    with _ended(api, span):
        yield lambda reply: span.set_attributes(_of_reply(reply, content=content))


def _api() -> Any:
    """OpenTelemetry's interface, where anybody uses it: who has set a provider has imported it."""
    return sys.modules.get("opentelemetry.trace")


@contextmanager
def _ended(api: Any, span: Any) -> Iterator[Any]:
    """The span, over with the block, and marked where that failed."""
    try:
        yield span
    except BaseException as error:
        span.set_attribute("error.type", getattr(error, "kind", type(error).__name__))
        span.set_status(api.StatusCode.ERROR)
        raise
    finally:
        span.end()


def _of_request(spec: ModelSpec, messages: Iterable[Said], call: Call, *, content: bool) -> dict[str, Any]:
    kinds = [tag.removeprefix(_KIND) for tag in call.tags if tag.startswith(_KIND)]
    at = urlsplit(spec.base_url or "")
    told: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(spec),
        "gen_ai.request.model": spec.model,
        "server.address": at.hostname,
        "server.port": at.port,
        "multiplex.call": kinds[0] if kinds else None,
        "multiplex.persona": call.persona,
    }
    if content:
        said = [_message(_ROLES.get(role, role), text) for role, text in messages]
        told["gen_ai.input.messages"] = json.dumps(said, ensure_ascii=False)
    return {name: value for name, value in told.items() if value is not None}


def _of_reply(reply: Reply, *, content: bool) -> dict[str, Any]:
    finish = "length" if reply.cut else "stop"
    told: dict[str, Any] = {
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.usage.input_tokens": reply.usage.input_tokens,
        "gen_ai.usage.output_tokens": reply.usage.output_tokens,
        "multiplex.attempts": reply.attempts,
    }
    if content:
        said = [{**_message("assistant", reply.text), "finish_reason": finish}]
        told["gen_ai.output.messages"] = json.dumps(said, ensure_ascii=False)
    return {name: value for name, value in told.items() if value is not None}


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _provider(spec: ModelSpec) -> str:
    if spec.local:
        return "multiplex"
    return "openai" if spec.base_url is None and spec.wrapped is None else "openai_compatible"
