"""Calls as OpenTelemetry spans, heard by a provider of the test's own; and what LangSmith is sent: nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from multiplex.answering import ask
from multiplex.council.events import follow
from multiplex.council.graph import build_graph
from multiplex.council.order import Order
from multiplex.council.personas import Council
from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from multiplex.llm.tracing import CONTENT, each_inside, trace_answer
from multiplex.llm.transport import Transport
from multiplex.llm.types import Call
from tests.backend import Backend, Say, asked

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed: the extra [test] has it")
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

VOICE = Call(tags=("multiplex:voice", "nostream"), persona="african")


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """One for the module: a process sets its provider once."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


async def spans_of(backend: Backend, exporter: InMemorySpanExporter, transport: Transport) -> tuple[ReadableSpan, ...]:
    exporter.clear()
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0}), transport=transport)
    try:
        await chat.complete([HumanMessage("A secret question?")], VOICE)
    finally:
        await chat.aclose()
    return exporter.get_finished_spans()


@pytest.mark.parametrize("transport", ["observed", "streamed", "whole"])
async def test_a_call_is_a_span_on_every_transport(
    backend: Backend, exporter: InMemorySpanExporter, transport: Transport
) -> None:
    backend.script = lambda body, n: Say("Two words.")
    (span,) = await spans_of(backend, exporter, transport)
    told: Any = span.attributes
    assert (span.name, span.kind) == ("chat m", trace.SpanKind.CLIENT)
    assert (told["gen_ai.request.model"], told["multiplex.call"], told["multiplex.persona"]) == (
        "m",
        "voice",
        "african",
    )
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (3, 2)
    assert (told["server.address"], told["gen_ai.response.finish_reasons"]) == ("127.0.0.1", ("stop",))
    assert "secret" not in span.to_json()
    assert "Two words" not in span.to_json()


async def test_a_failed_call_tells_its_kind_and_not_its_text(backend: Backend, exporter: InMemorySpanExporter) -> None:
    backend.script = lambda body, n: Say(status=500, error={"message": "you asked a secret question"})
    with pytest.raises(CallError):
        await spans_of(backend, exporter, "streamed")
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "server"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "secret" not in span.to_json()


async def test_what_was_said_stands_in_a_span_only_where_that_is_asked_for(
    backend: Backend, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONTENT, "true")
    (span,) = await spans_of(backend, exporter, "whole")
    told: Any = span.attributes
    assert json.loads(told["gen_ai.input.messages"])[0]["parts"][0]["content"] == "A secret question?"
    assert json.loads(told["gen_ai.output.messages"])[0]["parts"][0]["content"] == Say().text


def council(body: Any, n: int) -> Say:
    """An essay for whoever writes one, and no finding for whoever checks it; else a voice."""
    text = asked(body)
    if "You check an essay" in text:
        return Say('{"findings": []}')
    return Say("Much turns on care, which elders and kin share." if "You write one essay" in text else "Kin care.")


def children(spans: Sequence[ReadableSpan]) -> list[str]:
    """The calls of the one question among the spans, each of which is its child."""
    (question,) = [span for span in spans if span.name == "multiplex answer"]
    calls = [span for span in spans if span is not question]
    assert all(span.parent is not None and span.parent == question.context for span in calls)
    return sorted(str((span.attributes or {})["multiplex.call"]) for span in calls)


async def test_the_calls_of_a_question_are_children_of_one_span(
    backend: Backend, exporter: InMemorySpanExporter
) -> None:
    backend.script = council
    spec = parse_spec("m", backend.base_url).model_copy(update={"retries": 0})
    exporter.clear()
    await ask(Order.of("Why care?", model=Chat(spec), council=Council.load("western", "african"), seed=3))
    assert children(exporter.get_finished_spans()) == ["check", "synthesis", "uniplex", "voice", "voice"]

    exporter.clear()
    graph = build_graph(Council.load("western", "african"), Chat(spec))
    with trace_answer(("multiplex",), 3) as inside:
        async for _ in each_inside(inside, follow(graph, {"messages": [("user", "Why care?")]})):
            assert not trace.get_current_span().get_span_context().is_valid, "the reader's spans are not the question's"
    assert children(exporter.get_finished_spans()) == ["check", "synthesis", "voice", "voice"]
