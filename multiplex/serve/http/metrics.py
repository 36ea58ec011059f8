"""Counts of what a server does, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from multiplex.council.answer import Answer

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """The counters of one server; labels hold names that it offers, never anything a caller wrote."""

    def __init__(self, under_way: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "multiplex_requests", "Chat completions by how they ended.", ["model", "outcome"], registry=self._registry
        )
        self.seconds = Histogram(
            "multiplex_request_seconds", "From the request to the last piece of its answer.", ["model"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._voices = Counter(
            "multiplex_voices", "Voices by perspective and outcome.", ["perspective", "outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._calls = Counter("multiplex_model_calls", "Answered calls to models.", registry=self._registry)
        self._tokens = Counter(
            "multiplex_tokens", "Tokens that the models' endpoints reported.", ["direction"], registry=self._registry
        )
        gauge = Gauge("multiplex_councils_under_way", "Councils that are speaking.", registry=self._registry)
        gauge.set_function(under_way)

        self._refused = Counter(
            "multiplex_connections_refused", "Connections refused or cut, by reason.", ["reason"],
            registry=self._registry,
        )  # fmt: skip
        self._wrong_keys = Counter("multiplex_wrong_keys", "Requests with a wrong key.", registry=self._registry)
        self._connections = Gauge("multiplex_connections", "Open connections.", registry=self._registry)

    def watch_connections(self, count: Callable[[], float]) -> None:
        """Where the number of open connections is found."""
        self._connections.set_function(count)

    def refuse_connection(self, reason: str) -> None:
        """Count a connection that was refused or cut."""
        self._refused.labels(reason).inc()

    def refuse_key(self, _: str) -> None:
        """Count a wrong key."""
        self._wrong_keys.inc()

    def ended(self, model: str, outcome: str, seconds: float, answer: Answer | None) -> None:
        """Count a chat completion; `outcome` is ok, left, or the code of an error."""
        self.requests.labels(model, outcome).inc()
        self.seconds.labels(model).observe(seconds)
        if answer is None:
            return
        for voice in answer.rounds:
            self._voices.labels(voice.perspective, "lost" if voice.error is not None else "spoke").inc()
        self._calls.inc(answer.usage.calls)
        self._tokens.labels("input").inc(answer.usage.input_tokens or 0)
        self._tokens.labels("output").inc(answer.usage.output_tokens or 0)

    def text(self) -> bytes:
        """Everything, in Prometheus' text form."""
        return generate_latest(self._registry)
