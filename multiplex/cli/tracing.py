"""What of a command's calls leaves this machine as traces: nothing, unless --trace is said."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated

import typer

LANGSMITH = ("LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING")
OTLP = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_held_back: dict[str, str] = {}


def hold_back() -> None:
    """Take LangSmith's variables, which may have been set for another program, out of this process' environment.

    LangChain reads them when it runs, and would send every question and answer to another machine.
    """
    _held_back.update({name: os.environ.pop(name) for name in LANGSMITH if name in os.environ})


def _trace(on: bool) -> None:
    """Send traces: to LangSmith where its variables ask for it, and as OpenTelemetry's spans.

    Raises:
        UsageError: there is nothing to send them with.
    """
    if not on:
        return
    os.environ.update(_held_back)
    langsmith = "true" in (_held_back.get(name) for name in LANGSMITH)
    if _has_exporter() and (not langsmith or any(os.environ.get(name) for name in OTLP)):
        _export_spans()
    elif not langsmith:
        from multiplex.errors import UsageError

        raise UsageError(
            "--trace: nothing here sends traces: pip install 'multiplex-worldviews[otel]', or set LANGSMITH_TRACING"
        )


TraceFlag = Annotated[
    bool,
    typer.Option(
        "--trace",
        callback=_trace,
        help="Send OpenTelemetry spans of every model call to OTEL_EXPORTER_OTLP_ENDPOINT, and traces to LangSmith if "
        "LANGSMITH_TRACING is true; else neither.",
    ),
]


def _has_exporter() -> bool:
    try:
        return all(find_spec(f"opentelemetry.{name}") for name in ("sdk", "exporter.otlp.proto.http"))
    except ModuleNotFoundError:  # of a parent package
        return False


def _export_spans() -> None:
    """Send spans in batches, and what is left when the process ends; a provider that is set already stays."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    name = os.environ.get("OTEL_SERVICE_NAME") or "multiplex"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
