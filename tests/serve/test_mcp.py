from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import psutil
import pytest

from multiplex.council.personas import Council
from multiplex.llm.spec import parse_spec
from multiplex.present.result import CONSTRUCTIONS
from tests.backend import Backend, Body, Say, asked
from tests.command import COMMAND, at, run

pytest.importorskip("mcp", reason="the extra [serve] is not installed")

import httpx2
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from multiplex.serve.mcp.schemas import TEXT_LIMIT
from multiplex.serve.mcp.server import McpOrder, build_mcp

QUESTION = "What do the young owe the old?"
SYNTHESIS = "In Japan elders are heard first. Ubuntu asks that kin share care."
MINE = "the-first-key-of-this-test"
OTHER = "the-second-key-of-this-test"
PERSONAS = Council.load().personas
TITLES = [persona.title for persona in PERSONAS]


def role(body: Body) -> str:
    """Which part of the council a request comes from: `synthesis`, or the persona's perspective, or `plain`."""
    if "You write one essay" in asked(body):
        return "synthesis"
    return next((p.name for p in PERSONAS if p.speaker.split(".")[0] in asked(body)), "plain")


def scripted(**failing: Say) -> Any:
    def script(body: Body, _: int) -> Say:
        who = role(body)
        return failing.get(who) or Say(SYNTHESIS if who == "synthesis" else f"This is what {who} says.")

    return script


def stdio(backend: Backend, **env: str) -> StdioServerParameters:
    """The command as a host of MCP servers starts it."""
    environment = {name: os.environ[name] for name in ("MULTIPLEX_CACHE", "XDG_CONFIG_HOME")}
    return StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "mcp", *at(backend)],
        env={**environment, "MULTIPLEX_RETRIES": "0", "MULTIPLEX_CHECK": "none", **env},
    )


@contextmanager
def http(backend: Backend, *flags: str, **env: str) -> Iterator[str]:
    """The command over HTTP on a free port: its URL."""
    process = subprocess.Popen(
        [*COMMAND, "mcp", *at(backend), "--http", "--port", "0", *flags],
        env={**os.environ, "MULTIPLEX_CHECK": "none", **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("multiplex mcp: test-model at http://"), line + process.stderr.read()
        yield line.split()[-1]
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert not any(hidden in rest for hidden in (MINE, OTHER, QUESTION, "Traceback")), rest


@asynccontextmanager
async def calling(url: str, key: str | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as through,
        Client(streamable_http_client(url, http_client=through), mode=mode) as client,
    ):
        yield client


@pytest.fixture
def order(backend: Backend) -> McpOrder:
    spec = parse_spec("test-model", backend.base_url).model_copy(update={"check": "none"})
    return McpOrder(spec.model_copy(update={"retries": 0}))


def text_of(result: Any) -> list[str]:
    return [block.text for block in result.content]


async def test_over_stdio_the_council_answers_and_tells_of_each_voice(backend: Backend) -> None:
    backend.script = scripted(african=Say(status=400))
    told: list[tuple[float, float | None, str | None]] = []

    async def hear(*step: Any) -> None:
        told.append(step)

    async with Client(stdio(backend)) as client:
        listed = (await client.list_tools()).tools
        result = await client.call_tool(
            "multiplex_answer",
            {"question": QUESTION, "strategies": ["multiplex", "uniplex"], "seed": 5},
            progress_callback=hear,
        )
    assert [tool.name for tool in listed] == ["multiplex_answer", "multiplex_score", "list_personas"]
    assert [step for step, _, _ in told] == list(range(1, 10))
    assert {total for _, total, _ in told} == {9}
    lines = [line or "" for _, _, line in told]
    assert sorted(line for line in lines if line.endswith("voice spoke")) == sorted(
        f"the {title} voice spoke" for title in TITLES if title != "African"
    )
    assert len([line for line in lines if line.startswith("the African voice was lost: test-model at ")]) == 1
    assert "the uniplex answer is there" in lines
    assert lines[-1] == "the multiplex answer is there"

    assert not result.is_error
    first, second, about = text_of(result)
    assert first == f"{SYNTHESIS}\n\n*Missing from this answer: African, whose voice was lost.*"
    assert second == "The uniplex answer of the same model:\n\nThis is what plain says."
    assert "multiplex: the African voice was lost: test-model at " in about
    assert about.endswith(f"Seed 5. {CONSTRUCTIONS}")
    given = result.structured_content["answers"]["multiplex"]
    assert (given["lost"], given["form"], given["check"]) == (["african"], "essay", "none")
    assert any(note.startswith("African: ") for note in given["notes"])
    assert given["usage"]["calls"] == 7
    assert given["measures"]["reference_count"] == given["measures"]["references"] == 2
    assert given["measures"]["shares"]["east_asian"] == given["measures"]["shares"]["african"] == 0.5
    assert result.structured_content["answers"]["uniplex"]["measures"]["entropy"] is None
    assert any("African voice was lost" in note for note in result.structured_content["notes"])


async def test_an_answer_that_cannot_be_measured_is_given(
    order: McpOrder, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.script = scripted()
    monkeypatch.setattr("multiplex.serve.mcp.tools.measured", None)
    async with Client(build_mcp(order)) as client:
        result = await client.call_tool("multiplex_answer", {"question": QUESTION})
    assert (result.is_error, text_of(result)[0]) == (False, SYNTHESIS)
    assert "multiplex: not measured: a bug in multiplex, please report it: TypeError" in text_of(result)[-1]


async def test_what_a_model_may_know_before_it_calls(order: McpOrder) -> None:
    async with Client(build_mcp(order)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        personas = await client.call_tool("list_personas", {})
        assert CONSTRUCTIONS in (client.instructions or "")
    assert CONSTRUCTIONS in (tools["multiplex_answer"].description or "")
    assert all(tool.annotations and tool.annotations.read_only_hint and tool.title for tool in tools.values())
    assert [tool.annotations and tool.annotations.open_world_hint for tool in tools.values()] == [True, False, False]
    takes = tools["multiplex_answer"].input_schema
    assert takes["required"] == ["question"]
    assert takes["properties"]["question"]["maxLength"] == 20_000
    assert [each["title"] for each in personas.structured_content["personas"]] == [
        *TITLES,
        "Eastern European",
        "Southeast Asian",
    ]
    assert [each["in_council"] for each in personas.structured_content["personas"]] == [True] * 7 + [False] * 2
    assert personas.structured_content["personas_are"] == CONSTRUCTIONS


async def test_texts_are_measured_without_any_call(order: McpOrder, backend: Backend) -> None:
    async with Client(build_mcp(order)) as client:
        scored = await client.call_tool(
            "multiplex_score", {"texts": json.dumps([SYNTHESIS, "It rained."]), "question": "What is ubuntu?"}
        )
    assert not scored.is_error, text_of(scored)
    first, second = scored.structured_content["scores"]
    assert first["references"] == 1  # the other repeats the question
    assert [(each["perspective"], each["echo"]) for each in first["found"]] == [
        ("east_asian", False),
        ("african", True),
    ]
    assert [SYNTHESIS[each["start"] : each["end"]] for each in first["found"]] == ["Japan", "Ubuntu"]
    assert first["entropy"] == 0.0
    assert second["entropy"] is None
    assert sum(second["sentiment"].values()) == pytest.approx(1)
    assert text_of(scored)[0].startswith("Text 1: references: 1, to 1 of 7 perspectives; east_asian 100%; entropy 0.0%")
    assert not backend.requests


WRONG = [
    ("multiplex_answer", {}, "question: Field required"),
    ("multiplex_answer", {"question": " \n"}, "the question is empty"),
    (
        "multiplex_answer",
        {"question": "x" * 20_001},
        "the question has 20,001 characters; a question has at most 20,000",
    ),
    ("multiplex_answer", {"question": QUESTION, "strategies": ["best"]}, "strategies.0: Input should be 'uniplex'"),
    (
        "multiplex_answer",
        {"question": QUESTION, "council": ["agents/african.yaml"]},
        "no persona 'agents/african.yaml'",
    ),
    ("multiplex_answer", {"question": QUESTION, "council": ["islamic"] * 2}, "persona 'islamic' more than once"),
    ("multiplex_answer", {"question": QUESTION, "seed": 2**31}, "seed: Input should be less than"),
    ("multiplex_answer", {"question": QUESTION, "model": "x"}, "model: Extra inputs are not permitted"),
    ("multiplex_score", {"texts": []}, "texts: Value should have at least 1 item"),
    ("multiplex_score", {"texts": ["x"] * 21}, "texts: Value should have at most 20 items"),
    ("multiplex_score", {"texts": ["x" * TEXT_LIMIT, "y"]}, "the texts have 100,001 characters together"),
    ("multiplex_score", {"texts": ["A word.", "..."]}, "text 2: nothing to measure"),
]


@pytest.mark.parametrize(("tool", "arguments", "line"), WRONG)
async def test_what_is_wrong_is_told_in_one_line(
    order: McpOrder, backend: Backend, tool: str, arguments: dict[str, Any], line: str
) -> None:
    async with Client(build_mcp(order)) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    (told,) = text_of(result)
    assert line in told
    assert "\n" not in told
    assert not backend.requests


def kept_open(backend: Backend) -> int:
    """How many connections to the backend this process holds."""
    port = urlsplit(backend.url).port
    return sum(
        bool(each.raddr) and each.raddr.port == port and each.status == psutil.CONN_ESTABLISHED
        for each in psutil.Process().net_connections("tcp")
    )


async def test_connections_to_the_model_are_kept_and_end_with_the_server(order: McpOrder, backend: Backend) -> None:
    open_at_essay = []  # at once after the voices: a connection that nobody uses is closed after seconds

    def script(body: Body, number: int) -> Say:
        if role(body) == "synthesis":
            open_at_essay.append(kept_open(backend))
        return scripted()(body, number)

    backend.script = script
    asked = {"question": "half \ud800 of a character", "council": '["islamic", "african"]'}
    async with Client(build_mcp(order)) as client:
        for _ in range(2):
            result = await client.call_tool("multiplex_answer", asked)
            assert not result.is_error, text_of(result)
    assert open_at_essay == [2, 2]  # the essay goes over one of the two voices'
    assert kept_open(backend) == 0
    assert sorted(map(role, backend.requests)) == sorted(["islamic", "african", "synthesis"] * 2)


async def test_an_unknown_tool_is_an_error_of_the_protocol(order: McpOrder) -> None:
    async with Client(build_mcp(order)) as client:
        with pytest.raises(MCPError, match="no tool 'multiplex'; there are multiplex_answer,"):
            await client.call_tool("multiplex", {})


async def test_a_council_that_lost_too_many_voices_gives_what_was_said(order: McpOrder, backend: Backend) -> None:
    backend.script = scripted(**{name: Say(status=400) for name in ("african", "islamic", "indigenous")})
    async with Client(build_mcp(order)) as client:
        result = await client.call_tool("multiplex_answer", {"question": QUESTION})
    assert result.is_error
    line, *spoken, last = text_of(result)
    assert line.startswith("3 of 7 voices lost, 5 must speak: ")
    assert "\n" not in line
    assert "The western voice said:\n\nThis is what western says." in spoken
    assert last == CONSTRUCTIONS
    assert len(result.structured_content["spoken"]) == len(spoken) == 4
    assert result.structured_content["answers"] == {}


async def test_a_model_that_is_not_there_is_told_in_one_line(order: McpOrder) -> None:
    nowhere = McpOrder(order.spec.model_copy(update={"base_url": "http://127.0.0.1:9/v1"}))
    async with Client(build_mcp(nowhere)) as client:
        unsaid = {"strategies": None, "council": None, "seed": None}  # null is an argument left out
        result = await client.call_tool("multiplex_answer", {"question": QUESTION, **unsaid})
    assert result.is_error
    (told,) = text_of(result)
    assert told.startswith("no call succeeded: test-model at http://127.0.0.1:9/v1")


async def cancelled_call(client: Client, backend: Backend) -> list[str]:
    """Cancels a council with two of its calls out, asks a plain question after it: who asked the backend, in order."""
    go_on = threading.Event()

    def script(body: Body, number: int) -> Say:
        if number < 2:
            go_on.wait(60)
        return scripted()(body, number)

    backend.script = script
    async with asyncio.timeout(60):
        call = asyncio.create_task(client.call_tool("multiplex_answer", {"question": QUESTION}))
        while len(backend.requests) < 2:
            await anyio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        answered = await client.call_tool("multiplex_answer", {"question": QUESTION, "strategies": ["uniplex"]})
    assert text_of(answered)[0] == "This is what plain says."
    go_on.set()
    return [role(body) for body in backend.requests]


async def test_a_call_that_the_client_cancels_cancels_the_calls_still_out(backend: Backend) -> None:
    """Two places, both taken: the plain question only gets one because the cancelled council gave them back."""
    async with Client(stdio(backend, MULTIPLEX_LIMIT="2")) as client:
        *voices, last = await cancelled_call(client, backend)
    assert len(voices) == 2
    assert last == "plain"


async def test_nothing_but_the_protocol_comes_out_of_stdout(backend: Backend) -> None:
    parameters = stdio(backend)
    process = await asyncio.create_subprocess_exec(
        parameters.command, *parameters.args, env={**os.environ, **(parameters.env or {})},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    asked = {"question": QUESTION, "council": ["western", "african"]}
    call = {"name": "multiplex_answer", "arguments": asked, "_meta": {"progressToken": "t"}}
    messages = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ]
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"no JSON at all\n\xff\xfe\n")
    for message in messages:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    first, *told, last = [json.loads(await asyncio.wait_for(process.stdout.readline(), 60)) for _ in range(5)]
    process.stdin.close()
    rest, errors = await asyncio.wait_for(process.communicate(), 60)
    assert first["result"]["serverInfo"]["name"] == "multiplex"
    assert [(each["method"], each["params"]["progress"], each["params"]["total"]) for each in told] == [
        ("notifications/progress", step, 3) for step in (1, 2, 3)
    ]
    assert (last["id"], last["result"]["isError"]) == (2, False)
    assert rest == errors == b""
    assert process.returncode == 0


async def test_over_http_only_keys_come_in_and_sessions_are_their_own(backend: Backend) -> None:
    backend.script = scripted()
    with http(backend, MULTIPLEX_API_KEYS=f"{MINE}, {OTHER}", MULTIPLEX_LIMIT="2") as url:
        for key in (None, "wrong", MINE[:-1]):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            refused = httpx.post(url, json={}, headers=headers)
            assert refused.status_code == 401
            assert "invalid_token" in refused.headers["www-authenticate"]
        told: list[str | None] = []

        async def hear(_: float, __: float | None, line: str | None) -> None:
            told.append(line)

        async with calling(url, MINE) as client:
            result = await client.call_tool("multiplex_answer", {"question": QUESTION}, progress_callback=hear)
            assert text_of(result)[0] == SYNTHESIS
            assert len(told) == len(backend.requests) == 8
        for mode in ("auto", "legacy"):
            async with calling(url, OTHER, mode) as client:
                backend.requests.clear()
                *voices, last = await cancelled_call(client, backend)
                assert (len(voices), last) == (2, "plain"), mode

        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        accept = {"Accept": "application/json, text/event-stream"}
        opened = httpx.post(
            url,
            json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
            headers={**accept, "Authorization": f"Bearer {MINE}"},
        )
        session = {**accept, "Mcp-Session-Id": opened.headers["mcp-session-id"]}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        codes = [
            httpx.post(url, json=ping, headers={**session, "Authorization": f"Bearer {key}"}).status_code
            for key in (OTHER, MINE)
        ]
        assert codes == [404, 200]


def test_over_http_no_page_of_another_origin_and_no_rebound_name_comes_in(backend: Backend) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2026-07-28"}
    with http(backend) as url:
        assert httpx.post(url, json=ping, headers={**accept, "Host": "evil.example:8000"}).status_code == 421
        assert httpx.post(url, json=ping, headers={**accept, "Origin": "http://evil.example"}).status_code == 403
        assert httpx.post(url, content=b"{" * 1_000_001, headers=accept).status_code == 413
        assert httpx.post(url, content=b"{", headers={**accept, "Content-Type": "application/json"}).status_code == 400
    with http(backend, "--host", "0.0.0.0", "--insecure") as url:
        url = url.replace("0.0.0.0", "127.0.0.1")
        headers = {**accept, "Host": "any.example"}
        assert httpx.post(url, json=ping, headers={**headers, "Origin": "http://any.example"}).status_code == 403
        assert httpx.post(url, json=ping, headers=headers).status_code not in (401, 403, 421)


def test_a_server_that_must_not_or_cannot_listen_says_why(backend: Backend) -> None:
    open_to_all = run("mcp", *at(backend), "--http", "--host", "0.0.0.0")
    assert open_to_all.returncode == 2
    assert "MULTIPLEX_API_KEYS" in open_to_all.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        in_use = run("mcp", *at(backend), "--http", "--port", port)
    assert in_use.returncode == 2
    assert port in in_use.stderr
    no_weights = run("mcp")
    assert no_weights.returncode == 3
    for done in (open_to_all, in_use, no_weights):
        assert done.stdout == ""
        assert done.stderr.startswith("multiplex: ")
        assert done.stderr.count("\n") == 1


def test_an_interruption_ends_a_server_that_waits_for_its_host(backend: Backend) -> None:
    parameters = stdio(backend)
    process = subprocess.Popen(
        [parameters.command, *parameters.args],
        env={**os.environ, **(parameters.env or {})},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == 1
    process.send_signal(2)
    assert process.wait(30) == 130
    process.communicate()
