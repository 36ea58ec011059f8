"""The commands of `multiplex bench`: thin, every heavy import inside one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from multiplex.cli.bench_merging import merge
from multiplex.cli.bench_reading import compare, export, list_runs, show
from multiplex.cli.options import (
    RUNS,
    BaseUrlFlag,
    BatchFlag,
    CheckFlag,
    ConcurrencyFlag,
    CouncilFlag,
    DirFlag,
    DryRunFlag,
    FrameFlag,
    KeyFlag,
    MaxErrorRateFlag,
    MaxTokensFlag,
    MaxUsdFlag,
    ModelFlag,
    ModelsFlag,
    PricesFlag,
    RayFlag,
    RedoDamagedFlag,
    RunArgument,
    SeedFlag,
    ShardFlag,
    WaitFlag,
    WordsFlag,
    council_names,
    read_models,
    read_shard,
    split_names,
)
from multiplex.cli.runs import check_is_benchmark, find_run, run_folder, warn_of_damage
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
    seed: SeedFlag = None,
    concurrency: ConcurrencyFlag = None,
    max_tokens: MaxTokensFlag = None,
    max_usd: MaxUsdFlag = None,
    prices: PricesFlag = None,
    check: CheckFlag = None,
    words: WordsFlag = None,
    dry_run: DryRunFlag = False,
    no_score: Annotated[
        bool, typer.Option("--no-score", help="Leave the measuring to `multiplex bench score`.")
    ] = False,
    max_error_rate: MaxErrorRateFlag = 0.05,
    redo_damaged: RedoDamagedFlag = False,
    shard: ShardFlag = None,
    ray: RayFlag = None,
    batch: BatchFlag = False,
    wait: WaitFlag = False,
    trace: TraceFlag = False,  # noqa: ARG001
) -> None:
    """Ask every question of every model under every strategy; the same command continues a run that was stopped."""
    from multiplex.bench.execute.command import RunOrder
    from multiplex.bench.execute.command import run as carry_out
    from multiplex.bench.plan.suite import benchmark
    from multiplex.council.registry import chosen
    from multiplex.settings import load_settings

    settings = load_settings(base_url=base_url, api_key_env=api_key_env, limit=concurrency, check=check, words=words)
    specs, part = tuple(read_models(models, settings).values()), read_shard(shard)
    order = RunOrder(
        folder=run_folder(runs, name if name is not None else Path(questions).stem, part),
        specs=specs,
        council=chosen(council_names(council)),
        seed=seed,
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
    suite = benchmark(
        questions,
        _strategies(strategies, small=any(spec.small for spec in specs)),
        specs,
        languages=split_names(languages),
        epochs=epochs,
        limit=limit,
        score=not no_score,
    )
    raise typer.Exit(carry_out(order, suite))


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
        chosen["cues"] = tuple(split_names(cues))
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


bench.command()(merge)


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
        made = hand_out(folder, store, split_names(strategies), limit, seed, output)
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
    return STRATEGIES if named.strip() == "all" else tuple(split_names(named))
