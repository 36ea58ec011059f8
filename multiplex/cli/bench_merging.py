"""The command `merge` of `multiplex bench` and `multiplex survey`: joins the runs of shards."""

from __future__ import annotations

from typing import Annotated

import typer

from multiplex.cli.options import RUNS, DirFlag
from multiplex.cli.runs import check_name, find_run


def merge(
    parts: Annotated[list[str], typer.Argument(metavar="RUN...", help="The runs of all shards, by name or folder.")],
    name: Annotated[str, typer.Option("--name", help="The run to make in --dir.")],
    runs: DirFlag = RUNS,
) -> None:
    """Join the runs of shards into one, with every answer, call, failure and score."""
    from multiplex.bench.store.joining import join
    from multiplex.survey.command import PEOPLE

    target = runs / check_name(name)
    made = join([find_run(part, runs) for part in parts], target, beside=PEOPLE)
    typer.echo(f"{target}: {made.units:,} units of {len(parts):,} runs, {made.done:,} of them done")
    if made.doubled:
        told = "stood in several runs; each was taken once, from the first that has its answer"
        typer.echo(f"multiplex: {made.doubled:,} units {told}", err=True)
    for each in made.conflicts:
        typer.echo(f"multiplex: {each}", err=True)
