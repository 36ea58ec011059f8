"""Flags that more than one command has, with their help."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from multiplex.llm.spec import ModelSpec
    from multiplex.settings import Settings, Shard

DirFlag = Annotated[Path, typer.Option("--dir", help="The folder that holds the runs.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The name of a run in --dir, or its folder.")]
RUNS = Path("runs")


def _named(flag: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse an empty name, as a variable of a script that is not set makes it: another model would answer."""
    if value is not None and not value.strip():
        from multiplex.errors import UsageError

        raise UsageError(f"{flag.opts[0]} is empty; name one, or leave it out")
    return _text(flag, value)


def _text(flag: typer.CallbackParam, value: str | None) -> str | None:
    """Refuse bytes that are no text, which no request can hold."""
    from multiplex.content import storable
    from multiplex.errors import UsageError

    if value is not None and storable(value) != value:
        raise UsageError(f"{flag.opts[0]}: not UTF-8 text")
    return value


ModelFlag = Annotated[
    str | None, typer.Option("--model", callback=_named, help="local, openai:NAME, or NAME with --base-url.")
]
BaseUrlFlag = Annotated[
    str | None,
    typer.Option(
        "--base-url", callback=_text, help="An OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1."
    ),
]
KeyFlag = Annotated[
    str | None,
    typer.Option("--api-key-env", callback=_named, help="The environment variable that holds the endpoint's key."),
]
VoiceModelFlag = Annotated[
    list[str] | None, typer.Option("--voice-model", help="PERSPECTIVE=MODEL: another model for one voice; repeatable.")
]
CouncilFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--council",
        help="A persona, a persona file, a folder of them, or a council of the configuration file; repeatable, or with "
        "commas.",
    ),
]
SentimentModelFlag = Annotated[
    str | None, typer.Option("--sentiment-model", help="A transformers text-classification model for the tone.")
]
ShardFlag = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="PART/OF", help="Do only this part, such as 3/8, for one of several machines; see merge."
    ),
]
RayFlag = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Do the work on this Ray cluster; local: one on this machine."),
]
BatchFlag = Annotated[
    bool,
    typer.Option(
        "--batch", help="Send calls in batches, at about half the price; the same command collects, days later too."
    ),
]
WaitFlag = Annotated[bool, typer.Option("--wait", help="With --batch: wait until every batch has ended.")]
RedoDamagedFlag = Annotated[
    bool,
    typer.Option(
        "--redo-damaged",
        help="Ask, and pay, again for what `bench verify` finds damaged, and for what an endpoint lost of a batch.",
    ),
]
MaxErrorRateFlag = Annotated[
    float,
    typer.Option("--max-error-rate", min=0, max=1, help="More failed units than this share, and the exit code is 1."),
]
SeedFlag = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, max=2**31 - 1, help="Fixes every order that is drawn, and the calls' seeds. [default: 7]"
    ),
]
ConcurrencyFlag = Annotated[
    int | None,
    typer.Option("--concurrency", min=1, help="Calls at once at the start. [default: 20; it grows and backs off]"),
]
ModelsFlag = Annotated[
    str | None, typer.Option("--models", help="local, openai:NAME, or NAME with --base-url; with commas.")
]
MaxTokensFlag = Annotated[
    int | None, typer.Option("--max-tokens", min=1, help="Stop when the run has spent so many tokens.")
]
MaxUsdFlag = Annotated[
    float | None, typer.Option("--max-usd", min=0, help="Stop when the run has spent so much; needs --prices.")
]
DryRunFlag = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and what it would cost; send nothing.")
]
PricesFlag = Annotated[
    Path | None,
    typer.Option(
        "--prices",
        help="What models cost: a TOML, YAML or JSON file of MODEL: input, output in USD a million tokens.",
    ),
]
CheckFlag = Annotated[
    str | None,
    typer.Option(
        "--check",
        help="What the essay passes through before it is shown: none, text (names and numbers against the voices, no "
        "call) or model (also one call that reads it against them). [default: model]",
    ),
]
WordsFlag = Annotated[
    str | None, typer.Option("--words", help="How long the essay is, such as 700-950. [default: 700-950]")
]
StanceFlag = Annotated[
    str | None,
    typer.Option(
        "--stance",
        callback=_text,
        help='Options, such as "agree|disagree": also ask each voice how likely it is to choose each.',
    ),
]
LanguageFlag = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="CODE", help="The council's language, such as ar. [default: that of the question]"
    ),
]
FrameFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--frame",
        help="What to count over: civilisations, regions, religions, all, a frame file of your own, or perspectives "
        "with commas; again for more, side by side. [default: civilisations]",
    ),
]


def _debug(value: bool) -> None:
    if value:
        os.environ["MULTIPLEX_DEBUG"] = "1"


DebugFlag = Annotated[bool, typer.Option("--debug", callback=_debug, help="Show a traceback with an error.")]


def split_names(text: str) -> list[str]:
    """The names in a flag that takes them with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def council_names(given: Sequence[str] | None) -> list[str]:
    """The names in repeated --council flags; a flag that is a path is one name, others may hold several."""
    return [name for each in given or () for name in ([each] if Path(each).exists() else each.split(","))]


def read_models(given: str | None, settings: Settings) -> dict[str, ModelSpec]:
    """By name, the models of --models; left out, the one of the settings.

    Raises:
        UsageError: it names none, or one has no place to run.
    """
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model

    named: Sequence[str | None] = [None] if given is None else split_names(given)
    if not named:
        raise UsageError("--models names none; it takes names with commas, such as local,openai:NAME")
    return {spec.name: spec for spec in (resolve_model(settings, each) for each in named)}


def read_shard(given: str | None) -> Shard | None:
    """The part that --shard names.

    Raises:
        UsageError: it means none.
    """
    from multiplex.settings import parse_shard

    return parse_shard(given) if given is not None else None


def read_voice_models(given: Sequence[str] | None, settings: Settings) -> dict[str, ModelSpec]:
    """By perspective, the models of repeated --voice-model flags.

    Raises:
        UsageError: a flag is no PERSPECTIVE=MODEL, or its model has no place to run.
    """
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model

    specs = {}
    for each in given or ():
        perspective, equals, name = each.partition("=")
        if not (perspective and equals and name):
            raise UsageError(f"--voice-model {each!r}: write PERSPECTIVE=MODEL, such as islamic=openai:NAME")
        specs[perspective] = resolve_model(settings, name)
    return specs
