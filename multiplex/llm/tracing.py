"""OpenTelemetry spans around calls to a model, by the conventions for generative AI.

They go to the tracer provider that the process has set, and cost nothing where it has none. A span tells of the model,
the tokens, the kind of call and the persona; what was said stands in it only where the environment variable
OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is true.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call, Reply

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_KIND = "multiplex:"
_ROLES = {"human": "user", "ai": "assistant"}


@contextmanager
def trace_call(spec: ModelSpec, messages: Sequence[BaseMessage], call: Call) -> Iterator[Callable[[Reply], None]]:
    """A span for one call, its retries included; the block hands its reply to the function that it is given.

    The text of an error stays out of the span: an endpoint may quote what it was asked.
    """
    api: Any = sys.modules.get("opentelemetry.trace")  # who has set a provider has imported it
    if api is None:
        yield lambda _: None
        return
    content = os.environ.get(CONTENT, "").strip().lower() in ("true", "1")
    span = api.get_tracer("multiplex").start_span(
        f"chat {spec.model}", kind=api.SpanKind.CLIENT, attributes=_of_request(spec, messages, call, content=content)
    )
    try:
        yield lambda reply: span.set_attributes(_of_reply(reply, content=content))
    except BaseException as error:
        span.set_attribute("error.type", getattr(error, "kind", type(error).__name__))
        span.set_status(api.StatusCode.ERROR)
        raise
    finally:
        span.end()


def _of_request(spec: ModelSpec, messages: Sequence[BaseMessage], call: Call, *, content: bool) -> dict[str, Any]:
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
        said = [_message(_ROLES.get(each.type, each.type), str(each.text)) for each in messages]
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
