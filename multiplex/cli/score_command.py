"""The command `multiplex score`: its flags, and what they mean together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multiplex.cli.options import (
    BaseUrlFlag,
    DebugFlag,
    FrameFlag,
    KeyFlag,
    ModelFlag,
    RayFlag,
    SentimentModelFlag,
    ShardFlag,
    read_shard,
    split_names,
)

ScoredArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help=".jsonl, .json, .csv, .tsv, .parquet, or plain text; - for standard input. With --out also a folder or a "
        "pattern. merge: join the parts of a folder.",
    ),
]
CuesFlag = Annotated[
    str | None,
    typer.Option(
        "--cues", help="Of place, named, concept (of a judge implied too), with commas. [default: named,concept]"
    ),
]
ExtractorFlag = Annotated[
    str, typer.Option("--extractor", help="local; judge (a chat model, which must quote its evidence); or both.")
]
SentimentFlag = Annotated[str, typer.Option("--sentiment", help="Who reads the tone: classifier, or judge.")]


def score(
    file: ScoredArgument,
    folder: Annotated[Path | None, typer.Argument(metavar="[FOLDER]", help="With merge: where the parts are.")] = None,
    text_column: Annotated[str, typer.Option("--text-column", help="The column that holds the text.")] = "text",
    group_by: Annotated[str | None, typer.Option("--group-by", help="A column: sum up each of its values too.")] = None,
    scaffold_column: Annotated[
        str | None, typer.Option("--scaffold-column", help="A column of [start, end] pairs that are not to be scored.")
    ] = None,
    question_column: Annotated[
        str | None, typer.Option("--question-column", help='The column that holds what was asked; default "question".')
    ] = None,
    frame: FrameFlag = None,
    cues: CuesFlag = None,
    extractor: ExtractorFlag = "local",
    sentiment: SentimentFlag = "classifier",
    no_sentiment: Annotated[bool, typer.Option("--no-sentiment", help="Read no tone; much faster.")] = False,
    sentiment_model: SentimentModelFlag = None,
    model: ModelFlag = None,
    base_url: BaseUrlFlag = None,
    api_key_env: KeyFlag = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a text and nothing else.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a page that shows each text with its references.")
    ] = None,
    summary: Annotated[Path | None, typer.Option("--summary", help="Also write the summary as JSON.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where a row was skipped.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write scores, part for part, into this folder; parts that are done are left out."),
    ] = None,
    shard: ShardFlag = None,
    ray: RayFlag = None,
    debug: DebugFlag = False,  # noqa: ARG001
) -> None:
    """Measure texts from a file, whoever wrote them: references to perspectives, shares, entropy, tone."""
    from multiplex.errors import UsageError
    from multiplex.evaluation.corpus import Columns
    from multiplex.evaluation.extraction.frame import HEADLINE_CUES, checked_cues
    from multiplex.evaluation.extraction.frames import load_frames
    from multiplex.llm.spec import resolve_model
    from multiplex.settings import load_settings

    if file == "merge" and folder is not None:
        from multiplex.cli.score_parts import merge

        if as_json or strict or any((html, out, shard, ray, frame, cues, group_by)):
            raise UsageError("merge sums up what was measured, in one way; leave out every flag but --summary")
        return merge(folder, summary)
    if folder is not None:
        raise UsageError(f"{folder}: one file, folder or pattern is scored at a time; quote a pattern")
    _check_readers(extractor, sentiment, sentiment_model, no_sentiment=no_sentiment)
    judged = extractor != "local" or (sentiment == "judge" and not no_sentiment)
    settings = load_settings(model=model, base_url=base_url, api_key_env=api_key_env)
    frames, columns = load_frames(frame), Columns(text_column, group_by, scaffold_column, question_column)
    chosen = checked_cues(split_names(cues)) if cues else HEADLINE_CUES
    if out is not None:
        if judged or as_json or html is not None or summary is not None:
            raise UsageError(
                "--out writes parts, measured by the local extractor; leave out --json, --html, --summary and the judge"
            )
        if len(frames) > 1:
            raise UsageError("--out sums up over one frame; give one --frame, and a folder for each other")
        from multiplex.bench.parts.plan import describe
        from multiplex.cli.score_parts import PartsOrder, score_parts

        measuring = describe(
            frame=frames[0], cues=chosen, tone=not no_sentiment, sentiment_model=sentiment_model, text=text_column,
            group=group_by, scaffold=scaffold_column, question=question_column,
        )  # fmt: skip
        raise typer.Exit(score_parts(PartsOrder(file, out, measuring, read_shard(shard), ray, strict)))
    if shard is not None or ray is not None or Path(file).is_dir():
        raise UsageError("--shard, --ray and folders need --out FOLDER, where the parts are written")

    from multiplex.cli.score import ScoreOrder
    from multiplex.cli.score import score as carry_out

    order = ScoreOrder(
        path=file,
        columns=columns,
        frames=frames,
        cues=chosen,
        extractor=extractor,  # type: ignore[arg-type]  # checked above
        tone="none" if no_sentiment else sentiment,  # type: ignore[arg-type]  # checked above
        sentiment_model=sentiment_model,
        judge=resolve_model(settings) if judged else None,
        as_json=as_json,
        html=html,
        summary=summary,
        strict=strict,
    )
    raise typer.Exit(carry_out(order))


def _check_readers(extractor: str, sentiment: str, sentiment_model: str | None, *, no_sentiment: bool) -> None:
    """Raises UsageError where who reads references or tone is unknown, or is named and not used."""
    from multiplex.errors import UsageError

    if extractor not in ("local", "judge", "both"):
        raise UsageError(f"--extractor {extractor!r}: there are local, judge and both")
    if sentiment not in ("classifier", "judge"):
        raise UsageError(f"--sentiment {sentiment!r}: there are classifier and judge")
    if sentiment_model and (no_sentiment or sentiment == "judge"):
        raise UsageError("--sentiment-model: it is not used with --no-sentiment or --sentiment judge; leave one out")
