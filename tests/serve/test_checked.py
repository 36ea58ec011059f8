"""An essay that is read against its voices before anyone sees it: over the chat API, over MCP, and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client

from multiplex.council.personas import Council
from multiplex.llm.spec import parse_spec
from multiplex.serve.mcp.server import McpOrder, build_mcp
from multiplex.serve.page.exchanges import Exchange
from multiplex.serve.page.views import answer_view
from tests.backend import Backend, Body, Say, asked, running
from tests.serve.luck import events
from tests.serve.server import Served, serving

DRAFT = "Much turns on kin. Koreans greet elders first, and Michel Foucault wrote of it in 1975."
MENDED = "Much turns on kin. Koreans greet elders first, and others ask why they should."
FOUND = {"kind": "sharpened", "quote": "Much turns on kin", "tradition": "", "why": "Only some say so."}


def script(body: Body, _: int) -> Say:
    text = asked(body)
    if text.startswith("You check an essay"):
        return Say(json.dumps({"findings": [FOUND]}))
    if "Your essay was read against the voices" in text:
        return Say(MENDED)
    return Say(DRAFT if "You write one essay" in text else "Koreans greet elders first.")


@pytest.fixture(scope="module")
def checked() -> Iterator[tuple[Backend, Served]]:
    with running() as backend, serving(backend, "--check", "model") as served:
        backend.script = script
        yield backend, served


def test_no_draft_leaves_before_its_check_and_the_reader_is_told_how_far_it_is(checked: tuple[Backend, Served]) -> None:
    _, served = checked
    reply = served.chat(stream=True)
    pieces = [e["choices"][0]["delta"] for e in events(reply.text) if e != "[DONE]" and e["choices"]]
    content = "".join(piece.get("content") or "" for piece in pieces)
    thought = "".join(piece.get("reasoning_content") or "" for piece in pieces)
    assert content.startswith(MENDED)
    assert "Foucault" not in content + thought
    assert {each["state"] for each in told(pieces)["findings"]} == {"revised", "remains"}
    assert "An essay of 16 words is drafted; it is read against the voices." in thought
    assert "3 findings; it is revised." in thought
    assert "**African**" in thought


def told(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands beside the answer in the last piece that has it."""
    found: dict[str, Any] = next(piece["multiplex"] for piece in reversed(pieces) if "multiplex" in piece)
    return found


def test_a_whole_reply_has_the_findings_and_what_became_of_them(checked: tuple[Backend, Served]) -> None:
    backend, served = checked
    backend.requests.clear()
    message = served.chat().json()["choices"][0]["message"]
    about = message["multiplex"]
    assert (about["form"], about["check"]) == ("essay", "model")
    assert {(each["kind"], each["quote"]): each["state"] for each in about["findings"]} == {
        ("name", "Michel Foucault"): "revised",
        ("number", "1975"): "revised",
        ("sharpened", "Much turns on kin"): "remains",
    }
    assert "1 of 3 findings of the check remain in the essay" in message["content"]
    assert len(backend.requests) == 10


def test_a_plain_answer_has_no_check(checked: tuple[Backend, Served]) -> None:
    _, served = checked
    body = {"model": "uniplex", "messages": [{"role": "user", "content": "Why?"}]}
    about = httpx.post(f"{served.base_url}/chat/completions", json=body, timeout=60).json()
    assert "findings" not in about["choices"][0]["message"]["multiplex"]


async def test_over_mcp_the_findings_are_data_and_the_check_is_progress(backend: Backend) -> None:
    backend.script = script
    order = McpOrder(
        spec=parse_spec("m", backend.base_url), voice_models={}, council=Council.load("western", "african"),
        http=False, host="127.0.0.1", port=0, insecure=False,
    )  # fmt: skip
    lines: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        lines.append(f"{progress:.0f} of {total:.0f}: {message}")

    async with Client(build_mcp(order)) as client:
        result = await client.call_tool("multiplex_answer", {"question": "Why?"}, progress_callback=hear)
    answer = result.structured_content["answers"]["multiplex"]
    assert answer["text"] == MENDED
    assert {each["state"] for each in answer["findings"]} == {"revised", "remains"}
    assert any("the essay was read against the voices; findings: 3" in line for line in lines)
    assert lines[-1].startswith("4 of 4")


def test_an_exchange_that_version_0_1_0_kept_still_opens() -> None:
    """Its answer has neither a form nor findings."""
    voice = {"persona": "western", "perspective": "western", "title": "Western", "model": "m", "text": "Kant."}
    answer = {"strategy": "multiplex", "text": "Kant asks.", "model": "m", "voices": [voice], "rounds": [voice]}
    kept = {
        "id": "a", "owner": "anyone", "council": "multiplex", "model": "m", "strategies": ["multiplex"],
        "asked": "Why?",
        "voices": [voice],
        "result": {"question": "Why?", "seed": 1, "frame": ["western"], "answers": {"multiplex": {"answer": answer}}},
    }  # fmt: skip
    exchange = Exchange.model_validate_json(json.dumps(kept))
    view = answer_view(exchange.result.answers["multiplex"], {})
    assert (view["form"], view["findings"], view["names"]) == (None, [], [])


def test_the_flags_are_checked_before_the_server_starts(tmp_path: Path) -> None:
    from tests.command import run

    for flags, why in ((["--check", "maybe"], "check"), (["--words", "950"], "--words '950'")):
        done = run("serve", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", *flags)
        assert done.returncode == 2
        assert why in done.stderr
        assert len(re.findall(r"\n", done.stderr)) == 1
