"""The commands `multiplex serve` and `multiplex mcp`: thin, every heavy import inside one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multiplex.cli.options import (
    BaseUrlFlag,
    CheckFlag,
    CouncilFlag,
    KeyFlag,
    ModelFlag,
    PricesFlag,
    VoiceModelFlag,
    WordsFlag,
    council_names,
    read_voice_models,
)
from multiplex.cli.tracing import TraceFlag

if TYPE_CHECKING:
    from multiplex.llm.spec import ModelSpec
    from multiplex.serve.options import Ui

_ORIGIN = re.compile(
    r"(?:http(?!.*:80$)|https(?!.*:443$))://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d+)?"
)  # as browsers write it

HostFlag = Annotated[str, typer.Option("--host", help="The address to listen on; beyond this machine keys are needed.")]
PortFlag = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")]
InsecureFlag = Annotated[
    bool, typer.Option("--insecure", help="Listen beyond this machine without keys: anyone there may spend the model.")
]
MemoryFlag = Annotated[
    str | None,
    typer.Option("--memory", help="Keep conversations in this SQLite file, or at a postgresql:// URL."),
]
KeepDaysFlag = Annotated[
    float | None,
    typer.Option("--keep-days", min=0.01, max=36_500, help="Delete conversations unchanged for so many days."),
]
MaxBodyFlag = Annotated[int, typer.Option("--max-body", min=1, help="Most bytes of a request.")]
MaxQuestionFlag = Annotated[
    int,
    typer.Option("--max-question", min=1, help="Most characters of a question."),
]
MaxCouncilsFlag = Annotated[
    int | None,
    typer.Option("--max-councils", min=1, help="Most councils at once. [default: 256; 2 for the embedded model]"),
]
MaxConnectionsFlag = Annotated[
    int, typer.Option("--max-connections", min=2, max=100_000, help="Most connections at once.")
]
PerMinuteFlag = Annotated[int, typer.Option("--per-minute", min=1, help="Most questions of one key in a minute.")]
CorsFlag = Annotated[list[str] | None, typer.Option("--cors", help="An origin whose web pages may call; repeatable.")]
GraceFlag = Annotated[
    float,
    typer.Option("--grace", min=0, max=86_400, help="Seconds that questions have when the server must stop."),
]
LogContentFlag = Annotated[bool, typer.Option("--log-content", help="Write questions and answers into the log too.")]
UiFlag = Annotated[
    bool, typer.Option("--ui", help="Also a web page: ask, watch the voices speak, see what is measured.")
]
UiModelFlag = Annotated[
    list[str] | None, typer.Option("--ui-model", help="A further model that the page offers; repeatable.")
]
RunsFlag = Annotated[Path | None, typer.Option("--runs", help="A folder of benchmark runs that the page shows.")]


def serve(
    model: ModelFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    voice_model: VoiceModelFlag = None,
    host: HostFlag = "127.0.0.1",
    port: PortFlag = 8000,
    memory: MemoryFlag = None,
    keep_days: KeepDaysFlag = None,
    max_body: MaxBodyFlag = 1_000_000,
    max_question: MaxQuestionFlag = 20_000,
    max_councils: MaxCouncilsFlag = None,
    max_connections: MaxConnectionsFlag = 1_000,
    per_minute: PerMinuteFlag = 60,
    cors: CorsFlag = None,
    grace: GraceFlag = 60.0,
    log_content: LogContentFlag = False,
    insecure: InsecureFlag = False,
    ui: UiFlag = False,
    ui_model: UiModelFlag = None,
    runs: RunsFlag = None,
    prices: PricesFlag = None,
    check: CheckFlag = None,
    words: WordsFlag = None,
    trace: TraceFlag = False,  # noqa: ARG001
) -> None:
    """Serve councils as models over OpenAI's API, for chat apps. Keys: MULTIPLEX_API_KEYS, with commas."""
    from multiplex.council.registry import configured
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings

    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env, check=check, words=words)
    limited = {"question_limit": max_question}
    spec = resolve_model(settings).model_copy(update=limited)
    _check_installed("fastapi", "uvicorn", "prometheus_client")
    if keep_days is not None and memory is None:
        raise UsageError("--keep-days is for a memory: say --memory too")
    models = [resolve_model(settings, name).model_copy(update=limited) for name in ui_model or ()]
    page = _page(ui, models, runs, prices)

    from multiplex.serve.options import Limits, ServeOptions
    from multiplex.serve.server import carry_out

    councils = max_councils or (2 if spec.local else 256)
    options = ServeOptions(
        spec=spec,
        voice_models=read_voice_models(voice_model, settings),
        councils=configured(),
        host=host,
        port=port,
        memory=memory,
        keep_days=keep_days,
        limits=Limits(max_body, max_question, councils, per_minute, max_connections),
        cors=_origins(cors or []),
        ui=page,
        grace=grace,
        insecure=insecure,
        log_content=log_content,
    )
    raise typer.Exit(carry_out(options))


def mcp(
    model: ModelFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    voice_model: VoiceModelFlag = None,
    council: CouncilFlag = None,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP at /mcp, in place of standard input and output.")
    ] = False,
    host: HostFlag = "127.0.0.1",
    port: PortFlag = 8000,
    insecure: InsecureFlag = False,
    check: CheckFlag = None,
    words: WordsFlag = None,
    trace: TraceFlag = False,  # noqa: ARG001
) -> None:
    """Serve the council as tools over the Model Context Protocol, for assistants that call tools."""
    from multiplex.council.registry import chosen
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings

    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env, check=check, words=words)
    spec = resolve_model(settings)

    from multiplex.serve.mcp.server import McpOrder, carry_out

    order = McpOrder(
        spec=spec,
        voice_models=read_voice_models(voice_model, settings),
        council=chosen(council_names(council)),
        http=http,
        host=host,
        port=port,
        insecure=insecure,
    )
    raise typer.Exit(carry_out(order))


def _page(ui: bool, models: list[ModelSpec], runs: Path | None, prices: Path | None) -> Ui | None:
    from multiplex.errors import UsageError
    from multiplex.llm.prices import Prices
    from multiplex.serve.options import Ui

    given = {"--ui-model": bool(models), "--runs": runs is not None, "--prices": prices is not None}
    if not ui:
        for flag in (flag for flag, is_given in given.items() if is_given):
            raise UsageError(f"{flag} is for the web page: say --ui too")
        return None
    if runs is not None and not runs.is_dir():
        raise UsageError(f"--runs {runs}: no such folder; `multiplex bench run` makes it")
    return Ui(tuple(models), runs, Prices.read(prices) if prices is not None else Prices())


def _check_installed(*names: str) -> None:
    from importlib.util import find_spec

    from multiplex.errors import UsageError

    if missing := [name for name in names if find_spec(name) is None]:
        said = f"{', '.join(missing)} not installed; `multiplex serve` needs an extra: "
        raise UsageError(said + "pip install 'multiplex-worldviews[serve]'")


def _origins(given: list[str]) -> tuple[str, ...]:
    from multiplex.errors import UsageError

    for origin in given:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            said = "an origin looks like https://chat.example.org, or http://localhost:3000"
            raise UsageError(
                f"--cors {origin!r}: {said}: in small letters, without a port that every browser leaves out"
            )
    return tuple(given)
