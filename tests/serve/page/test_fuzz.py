"""Requests behind the page that nobody thought of, some of them with names that are there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.backend import Backend
from tests.bench import synthetic
from tests.serve.luck import bugs, council, metric
from tests.serve.page.visit import Page, opened
from tests.serve.server import Served

CHECKS = (
    "not_a_server_error,status_code_conformance,response_headers_conformance,negative_data_rejection,unsupported_method"
)
MADE_UP = ("--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "7", "--generation-deterministic")


def described(served: Served, answer: str, unit: str) -> dict[str, Any]:
    """What the server says of the page's paths, given names that are there and some that are not."""
    schema: dict[str, Any] = httpx.get(f"{served.url}/openapi.json").json()
    schema["paths"] = {path: ways for path, ways in schema["paths"].items() if path.startswith(("/page/", "/reports/"))}
    for path, ways in schema["paths"].items():
        run = path.startswith(("/page/runs", "/reports"))
        known = {
            "name": ["a run" if run else answer, "no-such"],
            "unit": [unit, "0" * 16],
            "form": ["md", "html", "json", "x"],
        }
        for way in ways.values():
            for parameter in way.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    fields = schema["components"]["schemas"]["PageQuestion"]["properties"]
    fields["after"] = {"anyOf": [fields["after"], {"enum": [answer]}]}
    del fields["once"]  # what it was given before is not asked again
    fields["council"] = {"type": "string", "enum": ["multiplex", "uniplex", "no-such"]}
    fields["model"] = {"enum": ["test-model", None, "no-such"]}
    return schema


def test_no_request_makes_the_page_fail_or_break_its_word(backend: Backend, tmp_path: Path) -> None:
    backend.script = council
    synthetic.stored(tmp_path / "runs" / "a run", synthetic.records())
    flags = ("--memory", str(tmp_path / "memory.sqlite"), "--runs", str(tmp_path / "runs"))
    with opened(backend, *flags) as served:
        page = Page(served)
        answer, unit = page.answered()["id"], page.get("/page/runs/a%20run/units")["units"][0]["id"]
        backend.requests.clear()
        schema = tmp_path / "openapi.json"
        schema.write_text(json.dumps(described(served, answer, unit)))
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", served.url, "--checks", CHECKS,
             "--request-timeout", "60", "--no-color", *MADE_UP],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert backend.requests  # some questions got through
        assert page.answered()["failed"] == {}
        assert metric(served, "multiplex_councils_under_way") == 0
        assert [line for line in bugs(served) if line["event"] != "Invalid HTTP request received."] == []
