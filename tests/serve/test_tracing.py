"""What a server tells LangSmith: nothing because of a forgotten variable, and everything with --trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.backend import Backend
from tests.serve.server import serving


@contextmanager
def langsmith() -> Iterator[tuple[dict[str, str], threading.Event]]:
    """The environment that sends traces to a server on loopback, and whether one came."""
    heard = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            heard.set()
            self._reply()

        def _reply(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        env = {"LANGSMITH_TRACING": "true", "LANGSMITH_API_KEY": "k"}
        yield {**env, "LANGSMITH_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}, heard
        server.shutdown()


def test_a_forgotten_variable_sends_nothing_to_langsmith(backend: Backend) -> None:
    with langsmith() as (env, heard):
        with serving(backend, env=env) as served:
            assert served.chat(model="multiplex").status_code == 200
            assert served.stop() == 0
        assert not heard.is_set()


def test_with_the_flag_a_collector_is_sent_spans(backend: Backend) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra [test] has it")
    with langsmith() as (env, heard):
        with serving(backend, "--trace", env={"OTEL_EXPORTER_OTLP_ENDPOINT": env["LANGSMITH_ENDPOINT"]}) as served:
            assert served.chat(model="uniplex").status_code == 200
            assert served.stop() == 0
        assert heard.is_set()


def test_with_the_flag_langsmith_is_told(backend: Backend) -> None:
    with langsmith() as (env, heard), serving(backend, "--trace", env=env) as served:
        assert served.chat(model="multiplex").status_code == 200
        assert heard.wait(30)
