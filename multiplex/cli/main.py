"""The command line. Every heavy import waits inside a command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from multiplex.cli.bench import bench
from multiplex.cli.models import explain_model, models_app
from multiplex.cli.options import (
    BaseUrlFlag,
    CheckFlag,
    CouncilFlag,
    DebugFlag,
    FrameFlag,
    KeyFlag,
    LanguageFlag,
    ModelFlag,
    SentimentModelFlag,
    StanceFlag,
    VoiceModelFlag,
    WordsFlag,
    council_names,
    read_voice_models,
)
from multiplex.cli.score_command import score
from multiplex.cli.serve import mcp, serve
from multiplex.cli.survey import survey
from multiplex.cli.tracing import TraceFlag, hold_back

INTERRUPTED, CLOSED_PIPE = 130, 1  # as Typer has them
MOST_BYTES = 1_000_000  # read of standard input

app = typer.Typer(
    name="multiplex",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A question answered by a council of culture personas, and measured next to the same model simply asked.",
)
app.add_typer(models_app, name="models")
app.add_typer(bench, name="bench")
app.add_typer(survey, name="survey")

QuestionArgument = Annotated[str | None, typer.Argument(help="The question, @FILE, or - for standard input.")]
StrategyFlag = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="uniplex, contextual or multiplex; repeatable. [default: uniplex, multiplex]"),
]
RoundsFlag = Annotated[
    int, typer.Option("--rounds", min=1, max=5, help="From 2 on, voices read each other, anonymised, and speak again.")
]
PlanFlag = Annotated[str, typer.Option("--plan", help="default, or model: the model gives each voice its task.")]
SeedFlag = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, max=2**31 - 1, help="Fixes orders and the calls' seeds. [default: drawn, and printed]"
    ),
]
MinVoicesFlag = Annotated[
    int | None,
    typer.Option(
        "--min-voices", min=1, help="Fewer voices than this is an error. [default: two thirds of the council]"
    ),
]
LEAVE_ONE_OUT = ("leave-one-out", "nulls")  # the second is its name of version 0.1.0
CoverageFlag = Annotated[
    str,
    typer.Option("--coverage", help="overlap, or leave-one-out: also a synthesis without each voice (more calls)."),
]
NliModelFlag = Annotated[
    str | None,
    typer.Option("--nli-model", help="A transformers NLI cross-encoder: coverage for overlap; decides in the check."),
]
ShowVoicesFlag = Annotated[bool, typer.Option("--show-voices", help="Print what each voice said.")]
AsJsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
OutputFlag = Annotated[
    Path | None, typer.Option("--output", help="Also write to this file: .md, .json (the full record) or .html.")
]


QuietFlag = Annotated[bool, typer.Option("--quiet", help="Print the answers alone.")]


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(version("multiplex-worldviews"))
        raise typer.Exit


VersionFlag = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
]


@app.callback()
def _root(version: VersionFlag = False, debug: DebugFlag = False) -> None:  # noqa: ARG001
    hold_back()


@app.command()
def answer(
    question: QuestionArgument = None,
    model: ModelFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    strategy: StrategyFlag = None,
    council: CouncilFlag = None,
    voice_model: VoiceModelFlag = None,
    rounds: RoundsFlag = 1,
    plan: PlanFlag = "default",
    seed: SeedFlag = None,
    min_voices: MinVoicesFlag = None,
    frame: FrameFlag = None,
    sentiment_model: SentimentModelFlag = None,
    coverage: CoverageFlag = "overlap",
    nli_model: NliModelFlag = None,
    check: CheckFlag = None,
    words: WordsFlag = None,
    language: LanguageFlag = None,
    stance: StanceFlag = None,
    show_voices: ShowVoicesFlag = False,
    as_json: AsJsonFlag = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
    trace: TraceFlag = False,  # noqa: ARG001
    debug: DebugFlag = False,  # noqa: ARG001
) -> None:
    """Answer a question through the council, next to the same model simply asked, and measure both."""
    from multiplex.content import check_apart
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model
    from multiplex.present.output import check_output
    from multiplex.settings import load_settings

    text = _question(question)
    if coverage not in ("overlap", *LEAVE_ONE_OUT):
        raise UsageError(f"--coverage {coverage!r}: there are overlap and leave-one-out")
    if output is not None:
        check_output(output)
        check_apart("--output", output, Path(question[1:]) if question and question.startswith("@") else None)
    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env, check=check, words=words)
    spec = resolve_model(settings)
    voice_models = read_voice_models(voice_model, settings)

    from multiplex.cli.answer import AnswerOrder, carry_out
    from multiplex.council.order import DEFAULT_STRATEGIES, Order
    from multiplex.council.registry import chosen
    from multiplex.council.stance import read_options
    from multiplex.evaluation.extraction.frames import load_frames

    asked = Order.of(
        text,
        strategies=strategy or DEFAULT_STRATEGIES,
        model=spec,
        council=chosen(council_names(council)),
        voice_models=voice_models,
        rounds=rounds,
        plan=plan,
        seed=seed,
        min_voices=min_voices,
        leave_one_out=coverage in LEAVE_ONE_OUT,
        stance=read_options(stance) if stance is not None else (),
        language=language,
    )
    order = AnswerOrder(
        asked=asked,
        frames=load_frames(frame),
        sentiment_model=sentiment_model,
        nli_model=nli_model,
        show_voices=show_voices,
        as_json=as_json,
        output=output,
        quiet=quiet,
        why=() if quiet or as_json else tuple(explain_model(spec, model)),
    )
    raise typer.Exit(carry_out(order))


@app.command()
def validate(
    data: Annotated[Path, typer.Option("--data", help="JSON Lines of texts with their perspective, or null.")],
    output: Annotated[Path, typer.Option("--output", help="Where the tables are written: .md, or .json.")] = Path(
        "validation.md"
    ),
    debug: DebugFlag = False,  # noqa: ARG001
) -> None:
    """Hold the extractor against labels of your own, and print how often it is right."""
    from multiplex.cli.validate import validate as carry_out

    carry_out(data, output)


app.command()(score)
app.command()(serve)
app.command()(mcp)


@app.command()
def personas(name: Annotated[str | None, typer.Argument(help="Show this one whole.")] = None) -> None:
    """List the personas, or show one with its sources."""
    from multiplex.council.personas import built_in, persona_text
    from multiplex.present.result import CONSTRUCTIONS

    if name is not None:
        typer.echo(persona_text(name).rstrip())
        return
    every = built_in()
    width = max(len(persona.name) for persona in every) + 2
    for persona in every:
        reviewed = "reviewed by members" if persona.reviewed_by_members else "not reviewed by members"
        typer.echo(f"{persona.name:<{width}}{persona.title}; version {persona.version}, {reviewed}")
        typer.echo(f"{'':<{width}}speaks for {'; '.join(persona.speaks_for)}\n")
    typer.echo(CONSTRUCTIONS)


def main() -> NoReturn:
    """Run the command line; errors become one line and an exit code."""
    from multiplex.errors import MultiplexError
    from multiplex.text.terminal import guard_streams

    _open_streams()
    guard_streams()
    code: Any = 0
    try:
        code = app(standalone_mode=False) or 0
        if code == INTERRUPTED:
            code = _complain("interrupted", INTERRUPTED)
    except MultiplexError as error:
        code = _complain(str(error), error.exit_code)
    except BrokenPipeError:
        code = CLOSED_PIPE
    except OSError as error:
        code = _complain(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
    except Exception as error:
        code = _click_or_bug(error)
    code = _flush(code)
    if code == INTERRUPTED:  # llama.cpp's threads would first finish the batch they are at, which takes long
        os._exit(code)
    sys.exit(code)


def _open_streams() -> None:
    """Let standard streams that are closed lead nowhere: Python has None in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _flush(code: int) -> int:
    """Write out what is buffered, so that the interpreter has nothing left to fail at; the exit code."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == 0:
            return CLOSED_PIPE if isinstance(error, BrokenPipeError) else _complain(f"standard output: {error}", 1)
    return code


def _click_or_bug(error: Exception) -> int:
    """Typer's own errors (a wrong flag) exit 2; anything else is a bug of ours and says so."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(code, int):
        show()
        return code
    return _complain(f"a bug in multiplex, please report it: {type(error).__name__}: {error}", 1)


def _complain(line: str, code: int) -> int:
    from multiplex.text.terminal import one_line

    if os.environ.get("MULTIPLEX_DEBUG"):
        import traceback

        print(_without_keys(traceback.format_exc()), end="", file=sys.stderr)
    print(f"multiplex: {one_line(line)}", file=sys.stderr)
    return code


def _without_keys(text: str) -> str:
    """A traceback may quote an endpoint that quotes the key: what the environment keeps secret is taken out."""
    for name, value in os.environ.items():
        if len(value) >= 8 and any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            text = text.replace(value, f"[{name}]")
    return text


def _question(given: str | None) -> str:
    from multiplex.errors import UsageError

    if given is not None and given.startswith("@"):
        try:
            return _text(Path(given[1:]).read_bytes(), given)
        except OSError as error:
            raise UsageError(f"{given}: {error.strerror or error}") from error
    if given not in (None, "-"):
        return _text(str(given).encode("utf-8", "surrogateescape"), "the question")
    if sys.stdin.isatty():
        raise UsageError(
            'no question; try: multiplex answer "How should families decide who cares for ageing parents?"'
        )
    content = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(f"standard input: more than {MOST_BYTES:,} bytes, which no question has")
    return _text(content, "standard input")


def _text(content: bytes, where: str) -> str:
    """What UTF-8 text says, without the mark that some editors write before it.

    Raises:
        UsageError: it is something else, and would be asked, and paid, with signs in place of its words.
    """
    from multiplex.errors import UsageError

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 text") from error
    if "\0" in text:
        raise UsageError(f"{where}: not UTF-8 text (it holds NUL, as UTF-16 does)")
    return text
