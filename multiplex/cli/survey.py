"""The commands of `multiplex survey`: thin, every heavy import inside one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from multiplex.cli.bench_merging import merge
from multiplex.cli.options import (
    RUNS,
    BaseUrlFlag,
    BatchFlag,
    ConcurrencyFlag,
    CouncilFlag,
    DirFlag,
    DryRunFlag,
    KeyFlag,
    MaxErrorRateFlag,
    MaxTokensFlag,
    MaxUsdFlag,
    ModelsFlag,
    PricesFlag,
    RayFlag,
    RedoDamagedFlag,
    RunArgument,
    SeedFlag,
    ShardFlag,
    VoiceModelFlag,
    WaitFlag,
    council_names,
    read_models,
    read_shard,
    read_voice_models,
    split_names,
)
from multiplex.cli.runs import find_run, run_folder, warn_of_damage

survey = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Do the voices answer like the people they are named after? Asks them what surveys ask people.",
)

QuestionsFileFlag = Annotated[
    Path | None,
    typer.Option("--questions", help="A .csv or .jsonl file of id, question and options, where FILE holds no wording."),
]
CountriesFlag = Annotated[
    str | None, typer.Option("--countries", help="Names or ISO codes, with commas. [default: all of the survey]")
]


@survey.command()
def prepare(
    file: Annotated[
        Path, typer.Argument(help="Distributions, means, GlobalOpinionQA, or the WVS file of respondents.")
    ],
    questions: QuestionsFileFlag = None,
    output: Annotated[Path, typer.Option("--output", help="The file to write.")] = Path("survey.jsonl"),
    keep_non_answers: Annotated[
        bool, typer.Option("--keep-non-answers", help='Leave "Don\'t know" and the like among the options.')
    ] = False,
) -> None:
    """Read a survey in any known form, say what was joined or left out, and write it in one form."""
    from multiplex.content import check_apart
    from multiplex.survey.readers import read_survey, write_survey

    check_apart("--output", output, file, questions)
    people = read_survey(file, questions, keep_non_answers=keep_non_answers)
    write_survey(people, output)
    ordered = sum(question.scale is not None for question in people.questions)
    typer.echo(
        f"{output}: {len(people.questions):,} questions ({ordered:,} ordered), {len(people.countries)} countries"
    )
    for note in people.notes:
        typer.echo(f"- {note}")


@survey.command()
def run(
    people: Annotated[Path, typer.Argument(metavar="SURVEY", help="A file that `multiplex survey prepare` wrote.")],
    models: ModelsFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    respondents: Annotated[
        str,
        typer.Option("--respondents", help="Who is asked, with commas: personas, countries, forecast, plain."),
    ] = "personas,countries,forecast,plain",
    council: CouncilFlag = None,
    voice_model: VoiceModelFlag = None,
    countries: CountriesFlag = None,
    questions: Annotated[
        str | None,
        typer.Option("--questions", help="most-divided:N, or ids with commas. [default: all]"),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="logprobs, verbalised (a stated distribution) or sample (draws)."),
    ] = "logprobs",
    draws: Annotated[int, typer.Option("--draws", help="With --method sample; 1 gives point answers.")] = 10,
    orders: Annotated[int, typer.Option("--orders", help="Orders of the options: as written, reversed, drawn.")] = 2,
    labels: Annotated[int, typer.Option("--labels", help="Label sets: letters, then numbers.")] = 2,
    wordings: Annotated[int, typer.Option("--wordings", help="Wordings of the prompt round a question.")] = 1,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often all of it is repeated.")] = 1,
    rounds: Annotated[
        int, typer.Option("--rounds", help="From 2 on, personas hear each other's answers and are asked again.")
    ] = 1,
    name: Annotated[
        str | None, typer.Option("--name", help="The run's folder in --dir. [default: the survey's]")
    ] = None,
    runs: DirFlag = RUNS,
    seed: SeedFlag = None,
    concurrency: ConcurrencyFlag = None,
    max_tokens: MaxTokensFlag = None,
    max_usd: MaxUsdFlag = None,
    prices: PricesFlag = None,
    dry_run: DryRunFlag = False,
    max_error_rate: MaxErrorRateFlag = 0.05,
    redo_damaged: RedoDamagedFlag = False,
    shard: ShardFlag = None,
    ray: RayFlag = None,
    batch: BatchFlag = False,
    wait: WaitFlag = False,
) -> None:
    """Ask every respondent every question; the same command continues a run that was stopped. Writes the report."""
    from multiplex.bench.execute.command import RunOrder
    from multiplex.bench.execute.command import run as carry_out
    from multiplex.council.registry import chosen
    from multiplex.settings import load_settings
    from multiplex.survey.command import survey_suite
    from multiplex.survey.plan import (
        SurveyPlan,
        askable,
        select_countries,
        select_kinds,
        select_method,
        select_questions,
    )
    from multiplex.survey.readers import read_survey

    settings = load_settings(base_url=base_url, api_key_env=api_key_env, limit=concurrency)
    specs, voices = read_models(models, settings), read_voice_models(voice_model, settings)
    whole, part, asked_by = read_survey(people), read_shard(shard), select_method(method)
    asked, left_out = askable(select_questions(whole, questions), asked_by)
    if left_out is not None:
        typer.echo(left_out, err=True)
    plan = SurveyPlan(
        survey=asked,
        council=chosen(council_names(council)),
        models=tuple(specs),
        source=whole.digest,
        kinds=select_kinds(split_names(respondents)),
        countries=select_countries(whole, split_names(countries) if countries else ()),
        method=asked_by,
        orders=orders,
        labels=labels,
        wordings=wordings,
        draws=draws,
        epochs=epochs,
        rounds=rounds,
        voice_models={perspective: spec.name for perspective, spec in voices.items()},
    )
    order = RunOrder(
        folder=run_folder(runs, name if name is not None else whole.name, part),
        specs=tuple((specs | {spec.name: spec for spec in voices.values()}).values()),
        council=plan.council,
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
    code = carry_out(order, survey_suite(plan, whole, order))
    if not dry_run and part is None and _any_done(order.folder):
        _report(order.folder, order.folder)
    raise typer.Exit(code)


survey.command()(merge)


@survey.command()
def report(
    run: RunArgument,
    runs: DirFlag = RUNS,
    output: Annotated[Path | None, typer.Option("--output", help="The folder to write into. [the run's]")] = None,
) -> None:
    """Write report.html, report.md, results.csv and results.jsonl into the run's folder, or another."""
    folder = find_run(run, runs)
    _report(folder, output if output is not None else folder)


@survey.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Recorded answers: .jsonl or .csv of model, country and answers.")],
    human: Annotated[Path, typer.Option("--human", help="How people answered, in any form that `prepare` reads.")],
    questions: QuestionsFileFlag = None,
    countries: CountriesFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Score recorded answers of models that played countries, beside people and baselines; no model is asked."""
    from multiplex.survey.readers import read_survey
    from multiplex.survey.replay import read_recorded
    from multiplex.survey.replay import replay as replayed

    people = read_survey(human, questions, keep_non_answers=True)
    found = replayed(people, *read_recorded(file, people), split_names(countries) if countries else ())
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
        return
    from multiplex.survey.report.replayed import print_replay
    from multiplex.text.console import SafeConsole

    print_replay(found, SafeConsole())


def _any_done(folder: Path) -> bool:
    from multiplex.bench.store.store import Store

    with Store.read(folder) as store:
        return store.overview().done > 0


def _report(folder: Path, place: Path) -> None:
    from multiplex.bench.plan.manifest import read_manifest
    from multiplex.bench.store.store import Store
    from multiplex.survey.analysis import analyse
    from multiplex.survey.command import people_of
    from multiplex.survey.report.files import write_report

    people = people_of(folder)
    with Store.read(folder) as store:
        warn_of_damage(folder, store.check())
        manifest, _ = read_manifest(store)
        analysed = analyse(store.records(), people, manifest)
        for path in write_report(place, *analysed, manifest, title=folder.resolve().name):
            typer.echo(str(path))
