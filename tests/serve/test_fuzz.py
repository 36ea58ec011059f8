"""Requests that nobody thought of, made by schemathesis from the server's own description of itself.

By hand for longer: `python -m tests.serve.test_fuzz SECONDS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from tests.backend import Backend, running
from tests.serve.luck import bugs, council, metric
from tests.serve.server import KEY, Served, serving

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,ignored_auth"
)
FLAGS = ("--per-minute", "1000000", "--memory")
QUESTIONS = {
    "type": "array",
    "minItems": 1,
    "maxItems": 4,
    "items": {
        "type": "object",
        "properties": {"role": {"enum": ["user", "assistant", "system", "user"]}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
    "contains": {"type": "object", "properties": {"role": {"const": "user"}, "content": {"minLength": 5}}},
}
METADATA = {
    "type": "object",
    "properties": {"measures": {"enum": [True, "true", False]}, "thread_id": {"enum": ["one", "two"]}},
}
ENV = {"MULTIPLEX_API_KEYS": KEY, "MULTIPLEX_RETRIES": "0"}


def fuzzed(served: Served, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis says of a server, given names that it knows and messages that hold a question."""
    described = httpx.get(f"{served.url}/openapi.json").json()
    fields = described["components"]["schemas"]["ChatRequest"]["properties"]
    fields["model"] = {"type": "string", "enum": ["multiplex", "contextual", "uniplex", "no-such"]}
    fields["messages"] = {"anyOf": [fields["messages"], QUESTIONS]}
    del fields["language"]  # a code is one of a list: made-up ones are refused, and no question would get through
    fields["metadata"] = {"anyOf": [fields["metadata"], METADATA]}
    schema = folder / "openapi.json"
    schema.write_text(json.dumps(described))
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", served.url, "--checks", CHECKS,
         "--header", f"Authorization:Bearer {KEY}", "--request-timeout", "60", "--no-color", *flags],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_no_request_makes_the_server_fail_or_break_its_word(backend: Backend, tmp_path: Path) -> None:
    backend.script = council
    with serving(backend, *FLAGS, str(tmp_path / "memory.sqlite"), env=ENV) as served:
        phases = ("--phases", "examples,coverage,fuzzing")
        done = fuzzed(served, tmp_path, *phases, "--max-examples", "25", "--seed", "7", "--generation-deterministic")
        assert done.returncode == 0, done.stdout + done.stderr
        assert metric(served, "multiplex_model_calls_total", KEY) > 0  # some questions got through
        assert metric(served, "multiplex_councils_under_way", KEY) == 0
        assert [line for line in bugs(served) if line["event"] != "Invalid HTTP request received."] == []
        assert not any(KEY in line for line in served.errors)


def main(seconds: int) -> None:
    """Fuzz for so long, and print what came of it."""
    with tempfile.TemporaryDirectory() as name, running() as backend:
        backend.script = council
        with serving(backend, *FLAGS, f"{name}/memory.sqlite", env=ENV) as served:
            done = fuzzed(served, Path(name), "--max-time", str(seconds), "--max-examples", "200", "--workers", "2")
            print(done.stdout, done.stderr)
            print("exit", done.returncode, "calls to the model", len(backend.requests), "bugs", bugs(served))


if __name__ == "__main__":
    main(int(sys.argv[1]))
