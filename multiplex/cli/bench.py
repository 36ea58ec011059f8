"""The commands of `multiplex bench`: thin, every heavy import inside one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from multiplex.cli.bench_reading import compare, export, list_runs, show
from multiplex.cli.options import (
    RUNS,
    BaseUrlFlag,
    CheckFlag,
    CouncilFlag,
    DirFlag,
    DryRunFlag,
    FrameFlag,
    KeyFlag,
    MaxTokensFlag,
    MaxUsdFlag,
    ModelFlag,
    ModelsFlag,
    PricesFlag,
    RayFlag,
    RunArgument,
    ShardFlag,
    WordsFlag,
    council_names,
)
from multiplex.cli.runs import check_is_benchmark, check_name, find_run, warn_of_damage
from multiplex.cli.tracing import TraceFlag

bench = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Many questions, models and strategies: run them, measure them, report and compare.",
)


@bench.command()
def run(
    models: ModelsFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            help="With commas, or all: uniplex, contextual, multiplex, and the controls checklist, solo-council, "
            "uniplex-long, echo-council, blank-council. [the first three; without contextual for a small model]",
        ),
    ] = None,
    questions: Annotated[
        str, typer.Option("--questions", help="worldviews-175, or a .csv or .jsonl file with a question column.")
    ] = "worldviews-175",
    languages: Annotated[
        str,
        typer.Option(
            "--languages",
            help="In which languages it is asked, with commas: en is the set itself, ar the file worldviews-175.ar.csv "
            "beside it, and so on.",
        ),
    ] = "en",
    council: CouncilFlag = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often each question is asked.")] = 1,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="Only so many questions, spread over domains; a larger number later adds to them."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The run's folder in --dir. [default: the question set's name]")
    ] = None,
    runs: DirFlag = RUNS,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**31 - 1,
            help="Fixes the order of questions and voices, and the calls' seeds. [default: 7]",
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Calls at once at the start. [default: 20; it grows and backs off]"),
    ] = None,
    max_tokens: MaxTokensFlag = None,
    max_usd: MaxUsdFlag = None,
    prices: PricesFlag = None,
    check: CheckFlag = None,
    words: WordsFlag = None,
    dry_run: DryRunFlag = False,
    no_score: Annotated[
        bool, typer.Option("--no-score", help="Leave the measuring to `multiplex bench score`.")
    ] = False,
    max_error_rate: Annotated[
        float,
        typer.Option(
            "--max-error-rate", min=0, max=1, help="More failed units than this share, and the exit code is 1."
        ),
    ] = 0.05,
    redo_damaged: Annotated[
        bool,
        typer.Option(
            "--redo-damaged",
            help="Ask, and pay, again for what `verify` finds damaged, and for what an endpoint lost of a batch.",
        ),
    ] = False,
    shard: ShardFlag = None,
    ray: RayFlag = None,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="Send calls in batches, at about half the price; the same command collects, days later too."
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --batch: wait until every batch has ended.")] = False,
    trace: TraceFlag = False,  # noqa: ARG001
) -> None:
    """Ask every question of every model under every strategy; the same command continues a run that was stopped."""
    from multiplex.council.registry import chosen
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings, parse_shard

    settings = load_settings(base_url=base_url, api_key_env=api_key_env, limit=concurrency, check=check, words=words)
    named = _names(models) if models is not None else [None]
    specs = {spec.name: spec for spec in (resolve_model(settings, each) for each in named)}
    if not specs:
        raise UsageError("--models names none; it takes names with commas, such as local,openai:NAME")
    part = parse_shard(shard) if shard is not None else None
    whole = name if name is not None else Path(questions).stem
    folder = runs / check_name(whole if part is None else f"{whole}.{part}")

    from multiplex.bench.execute.command import RunOrder
    from multiplex.bench.execute.command import run as carry_out

    order = RunOrder(
        folder=folder,
        specs=tuple(specs.values()),
        strategies=_strategies(strategies, small=any(spec.small for spec in specs.values())),
        questions=questions,
        languages=tuple(_names(languages)),
        council=chosen(council_names(council)),
        epochs=epochs,
        limit=limit,
        seed=seed,
        score=not no_score,
        max_tokens=max_tokens,
        max_usd=max_usd,
        prices=prices,
        dry_run=dry_run,
        most_errors=max_error_rate,
        redo_damaged=redo_damaged,
        shard=part,
        ray=ray,
        batch=batch,
        wait=wait,
    )
    raise typer.Exit(carry_out(order))


@bench.command()
def score(
    run: RunArgument,
    runs: DirFlag = RUNS,
    frame: FrameFlag = None,
    cues: Annotated[
        str | None,
        typer.Option("--cues", help="Of place, named, concept, with commas. [default: named,concept]"),
    ] = None,
    sentiment_model: Annotated[
        str | None, typer.Option("--sentiment-model", help="A transformers text-classification model for the tone.")
    ] = None,
) -> None:
    """Measure the stored answers of a run, with another frame or other cues if you like; no model is called."""
    from multiplex.bench.execute.scoring import Scoring
    from multiplex.bench.execute.scoring import score as measure
    from multiplex.bench.store.store import Store
    from multiplex.evaluation.extraction.frames import load_frames

    folder = find_run(run, runs)
    chosen: dict[str, Any] = {"sentiment_model": sentiment_model}
    if cues is not None:
        chosen["cues"] = tuple(_names(cues))
    scorings = [Scoring(frame=each, **chosen) for each in load_frames(frame)]
    with Store.open(folder) as store:
        check_is_benchmark(store)
        warn_of_damage(folder, store.check())
        for scoring in scorings:
            measured = measure(store, scoring)
            typer.echo(f"{folder}: {measured:,} answers measured under {scoring.frame.name} (scoring {scoring.key})")
    typer.echo(f"scoring {scorings[-1].key} is the newest, which reports use")


@bench.command()
def report(
    run: RunArgument,
    runs: DirFlag = RUNS,
    frame: FrameFlag = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder to write into. [default: the run's]")
    ] = None,
) -> None:
    """Write report.html, report.md, results.csv and results.jsonl into the run's folder, or another.

    Without --frame it reports the newest scoring. With it, answers that were not measured so are, without a model call.
    """
    from multiplex.bench.analysis.analysis import analyse, chosen_scoring
    from multiplex.bench.analysis.ratings import read_ratings
    from multiplex.bench.execute.scoring import outdated
    from multiplex.bench.report.page import write_report
    from multiplex.bench.store.store import Store

    folder = find_run(run, runs)
    ratings = read_ratings(folder)
    place = output if output is not None else folder
    keys = _scored_under(folder, frame) if frame else []
    with Store.read(folder) as store:
        check_is_benchmark(store)
        found = store.check()
        warn_of_damage(folder, found)
        key = keys[0] if keys else chosen_scoring(store, None)
        if (since := outdated(store.scorings()[key])) is not None:
            again = f"`multiplex bench score {run}` measures them again, without a model call"
            typer.echo(f"{folder}: its answers were measured {since}; {again}", err=True)
        analysis = analyse(store, key, damaged=found.summary())
        beside = [analyse(store, other) for other in keys[1:]]
        title = folder.resolve().name
        for path in write_report(place, store, analysis, title=title, ratings=ratings, beside=beside):
            typer.echo(str(path))


def _scored_under(folder: Path, frames: Sequence[str]) -> list[str]:
    """The keys of a run's scorings under these frames, made where they are missing; the first becomes the newest."""
    from multiplex.bench.execute.scoring import Scoring
    from multiplex.bench.execute.scoring import score as measure
    from multiplex.bench.store.store import Store
    from multiplex.evaluation.extraction.frames import load_frames

    scorings = [Scoring(frame=each) for each in load_frames(frames)]
    with Store.open(folder) as store:
        for scoring in reversed(scorings):
            measure(store, scoring)
    return [scoring.key for scoring in scorings]


@bench.command()
def merge(
    parts: Annotated[list[str], typer.Argument(metavar="RUN...", help="The runs of all shards, by name or folder.")],
    name: Annotated[str, typer.Option("--name", help="The run to make in --dir.")],
    runs: DirFlag = RUNS,
) -> None:
    """Join the runs of shards into one, with every answer, call, failure and score."""
    from multiplex.bench.store.joining import join

    target = runs / check_name(name)
    made = join([find_run(part, runs) for part in parts], target)
    typer.echo(f"{target}: {made.units:,} units of {len(parts):,} runs, {made.done:,} of them done")
    if made.doubled:
        typer.echo(f"multiplex: {made.doubled:,} units stood in several runs, with the same outcome", err=True)
    for each in made.conflicts:
        typer.echo(f"multiplex: {each}", err=True)


@bench.command()
def verify(run: RunArgument, runs: DirFlag = RUNS) -> None:
    """Check every record of a run against its checksum, and its file; the exit code is 1 where anything is damaged."""
    from multiplex.bench.store.store import Store

    folder = find_run(run, runs)
    with Store.read(folder) as store:
        found = store.check()
    for each in found.damaged:
        typer.echo(f"damaged: {each.what}")
    typer.echo(f"{folder}: {found.records:,} records checked, {len(found.damaged):,} damaged")
    if found.unsummed:
        typer.echo(f"{found.unsummed:,} of them are of a version without checksums: only their form was checked")
    if found.damaged:
        raise typer.Exit(1)


@bench.command()
def blind(
    run: RunArgument,
    strategies: Annotated[
        str,
        typer.Option("--strategies", help="Whose answers are rated, with commas; voices: the voices, unblended."),
    ] = "multiplex,voices,contextual,solo-council,checklist",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only so many questions.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**31 - 1, help="Fixes questions, order and letters. [drawn]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder for the raters, new or empty. [default: rate-SET]")
    ] = None,
    runs: DirFlag = RUNS,
) -> None:
    """Write a folder for people who rate answers without knowing how they came about; the key stays in the run."""
    from multiplex.bench.ratings.blind_folder import hand_out
    from multiplex.bench.store.store import Store

    folder = find_run(run, runs)
    with Store.read(folder) as store:
        check_is_benchmark(store)
        warn_of_damage(folder, store.check())
        made = hand_out(folder, store, _names(strategies), limit, seed, output)
    answers = sum(len(each.letters) for each in made.key.questions)
    typer.echo(f"{made.folder}: {len(made.key.questions)} questions, {answers} answers; hand this folder out")
    typer.echo(f"{made.key_path}: the key, with which letter is whose; keep it from the raters")
    if made.left_out:
        typer.echo(f"left out: {made.left_out} questions that lack an answer in one of the forms")


@bench.command()
def ratings(
    run: RunArgument,
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files that raters saved.")] = None,
    rater: Annotated[
        str | None, typer.Option("--rater", help="judge: let a model rate a set, labelled as a model.")
    ] = None,
    blind_set: Annotated[
        str | None, typer.Option("--set", help="With --rater judge: the set to rate. [the only one]")
    ] = None,
    model: ModelFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    runs: DirFlag = RUNS,
) -> None:
    """Read ratings back: means with intervals, differences to multiplex, agreement, who rated; kept for the report."""
    from multiplex.cli.ratings import RatingsOrder, carry_out
    from multiplex.errors import UsageError
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings

    if rater not in (None, "judge"):
        raise UsageError(f"--rater {rater!r}: there is judge; people hand in files")
    if rater is None and (blind_set or model or base_url or api_key_env):
        raise UsageError("--set, --model, --base-url and --api-key-env are of --rater judge; add it, or leave them out")
    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env)
    judge = resolve_model(settings) if rater == "judge" else None
    folder, handed_in = find_run(run, runs), tuple(files or ())
    raise typer.Exit(carry_out(RatingsOrder(folder, handed_in, judge, blind_set, as_json)))


bench.command()(compare)
bench.command("list")(list_runs)
bench.command()(show)
bench.command()(export)


def _strategies(named: str | None, *, small: bool) -> tuple[str, ...]:
    """What is asked for; left out, the usual ones that every model may carry out."""
    from multiplex.bench.plan.units import STRATEGIES
    from multiplex.council.strategies import SMALL_MODEL_STRATEGIES

    if named is None:
        return SMALL_MODEL_STRATEGIES if small else ("uniplex", "contextual", "multiplex")
    return STRATEGIES if named.strip() == "all" else tuple(_names(named))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
