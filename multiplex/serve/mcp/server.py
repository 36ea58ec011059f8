"""The council as tools of the Model Context Protocol, over standard input and output or streamable HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from multiplex.council.personas import Council
from multiplex.errors import MultiplexError, UsageError, WeightsError, first_invalid
from multiplex.llm.spec import ModelSpec, api_key
from multiplex.serve.http.keys import Keys, check_host

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, Tool
    from pydantic import BaseModel

    from multiplex.serve.mcp.tools import Tell, ToolReply, Tools

INTERRUPTED = 130  # as Typer has it
INSTRUCTIONS = (
    "A council of personas answers a question, each from one cultural tradition; multiplex_answer gives one answer "
    "that keeps their differences, multiplex_score measures how widely any text spreads over cultural perspectives, "
    "list_personas says who can speak. "
)


@dataclass(frozen=True)
class McpOrder:
    """What `multiplex mcp` was asked for. `http`: streamable HTTP at host and port, else standard input and output."""

    spec: ModelSpec
    voice_models: Mapping[str, ModelSpec] = field(default_factory=dict)
    council: Council = field(default_factory=Council.load)
    http: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    insecure: bool = False


def carry_out(order: McpOrder) -> int:
    """Serve until the client leaves or a signal comes; the exit code.

    Raises:
        UsageError: an argument is wrong, a key or the extra is missing, or the address cannot be had.
        WeightsError: the embedded model is meant and is not here.
    """
    keys = Keys.from_environment() if order.http else Keys()
    if order.http:
        check_host(order.host, keys, order.insecure)
    order.council.check(order.voice_models)
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise UsageError("multiplex mcp needs an extra: pip install 'multiplex-worldviews[serve]'") from error
    for spec in (order.spec, *order.voice_models.values()):
        _check_here(spec)
    if not order.http:
        return run_stdio(order)
    from multiplex.serve.http.sockets import prepare
    from multiplex.serve.mcp.http import serve_http

    for spec in {order.spec, *order.voice_models.values()}:
        prepare(spec)
    return serve_http(build_mcp(order), keys, order.host, order.port, order.spec.name)


def _check_here(spec: ModelSpec) -> None:
    """Refuse to start without a key, or on weights that are not here: no client waits while a gigabyte is fetched."""
    if not spec.local:
        api_key(spec)
    else:
        from multiplex.llm.local.weights import locate

        if locate(spec.gguf) is None:
            raise WeightsError(
                "the embedded model is not here; `multiplex models pull` fetches it, or name another with --model"
            )


def run_stdio(order: McpOrder) -> int:
    """Serve the process that started this one; its standard output belongs to the protocol alone.

    The exit code is 1 where that process closed our output before our input.
    """
    from mcp.server.stdio import stdio_server

    code = 0

    async def serve() -> None:
        server = build_mcp(order)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # the thread that reads would wait for a line
    try:
        asyncio.run(serve())
    except* BrokenPipeError:
        code = 1
    return code


@dataclass(frozen=True)
class _Entry:
    """A tool as it is listed, the shape of its arguments, and what carries it out."""

    listed: Tool
    takes: type[BaseModel]
    call: Callable[[Any, Tell], Awaitable[ToolReply]]


def build_mcp(order: McpOrder) -> Server[dict[str, Any]]:
    """The MCP server of the three tools; its models' connections live as long as it runs.

    Raises:
        ContentError: a built-in persona's file is wrong.
    """
    from importlib.metadata import version

    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError
    from mcp_types import INVALID_PARAMS, CallToolRequestParams, ListToolsResult

    from multiplex.llm.chat import Chat
    from multiplex.present.result import CONSTRUCTIONS
    from multiplex.serve.mcp.tools import Tools

    chat = Chat(order.spec, transport="streamed")
    voice_models = {perspective: Chat(spec, transport="streamed") for perspective, spec in order.voice_models.items()}
    entries = {entry.listed.name: entry for entry in _entries(Tools(chat, voice_models, order.council))}

    async def list_tools(_: Any, __: Any) -> ListToolsResult:
        return ListToolsResult(tools=[entry.listed for entry in entries.values()])

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        entry = entries.get(params.name)
        if entry is None:
            raise MCPError(code=INVALID_PARAMS, message=f"no tool {params.name[:80]!r}; there are {', '.join(entries)}")
        return await _called(entry, params.arguments or {}, context.session.report_progress)

    @asynccontextmanager
    async def living(_: Any) -> AsyncIterator[dict[str, Any]]:
        try:
            yield {}
        finally:
            await asyncio.gather(*(each.aclose() for each in (chat, *voice_models.values())))

    return Server(
        "multiplex",
        version=version("multiplex-worldviews"),
        title="Multiplex: a council of worldviews",
        instructions=INSTRUCTIONS + CONSTRUCTIONS,
        lifespan=living,
        get_tool_input_schema=lambda name: entries[name].listed.input_schema if name in entries else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _called(entry: _Entry, arguments: Mapping[str, Any], tell: Tell) -> CallToolResult:
    """The tool's result; what goes wrong is a tool error of one line, which the model that called can read."""
    from mcp_types import CallToolResult, TextContent
    from pydantic import ValidationError

    from multiplex.content import storable

    def failed(line: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(text=storable(line))], is_error=True)

    try:
        reply = await entry.call(entry.takes.model_validate(arguments), tell)
    except ValidationError as error:
        place, problem = first_invalid(error)
        return failed(f"{'.'.join(str(part)[:80] for part in place) or 'arguments'}: {problem}")
    except MultiplexError as error:
        return failed(str(error))
    except Exception as error:
        print(f"multiplex mcp: {entry.listed.name} failed: {type(error).__name__}", file=sys.stderr)
        return failed(f"a bug in multiplex, please report it: {type(error).__name__}: {error}")
    return CallToolResult(
        content=[TextContent(text=storable(block)) for block in reply.blocks],
        structured_content=json.loads(storable(json.dumps(reply.data.model_dump(), ensure_ascii=False))),
        is_error=reply.error,
    )


def _entries(tools: Tools) -> list[_Entry]:
    from multiplex.present.result import CONSTRUCTIONS
    from multiplex.serve.mcp import schemas as shapes

    return [
        _entry(
            "multiplex_answer",
            "Ask the council",
            "Answer a question through a council of personas, each of which speaks from one cultural tradition; their "
            "voices are joined in one answer that keeps the differences, and measured. It takes a model call for each "
            f"persona and one more, so it is slow and costs that much. {CONSTRUCTIONS}",
            shapes.AnswerArguments,
            shapes.Answered,
            tools.answer,
            outside=True,
        ),
        _entry(
            "multiplex_score",
            "Measure texts",
            "Measure how widely texts spread over cultural perspectives, whoever wrote them: the references in each, "
            "their shares, their entropy, and the tone. No model is called.",
            shapes.ScoreArguments,
            shapes.ScoredTexts,
            tools.score,
            outside=False,
        ),
        _entry(
            "list_personas",
            "List the personas",
            f"Who can speak in the council, and for whom. {CONSTRUCTIONS}",
            shapes.NoArguments,
            shapes.Personas,
            tools.personas,
            outside=False,
        ),
    ]


def _entry(
    name: str,
    title: str,
    description: str,
    takes: type[BaseModel],
    gives: type[BaseModel],
    call: Callable[[Any, Tell], Awaitable[ToolReply]],
    *,
    outside: bool,
) -> _Entry:
    """A tool that changes nothing; `outside` says that it calls something beyond this process."""
    from mcp_types import Tool, ToolAnnotations

    hints = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=not outside, open_world_hint=outside
    )
    listed = Tool(
        name=name,
        title=title,
        description=description,
        input_schema=takes.model_json_schema(),
        output_schema=gives.model_json_schema(mode="serialization"),
        annotations=hints,
    )
    return _Entry(listed, takes, call)
