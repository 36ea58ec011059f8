"""The commands of `multiplex bench` that only read runs: compare, list, show, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from multiplex.cli.options import RUNS, DirFlag, RunArgument
from multiplex.cli.runs import find_run, find_run_of_unit, warn_of_damage


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A run, by name or folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    runs: DirFlag = RUNS,
    output: Annotated[Path | None, typer.Option("--output", help="Also write to this file: .md or .json.")] = None,
) -> None:
    """Compare two runs on the units that both have: what changed, by how much, with intervals."""
    from multiplex.bench.analysis.compare import compare as compared
    from multiplex.bench.report.comparison import print_comparison, write
    from multiplex.bench.store.store import Store
    from multiplex.text.console import SafeConsole

    with Store.read(find_run(first, runs)) as a, Store.read(find_run(second, runs)) as b:
        for each in (a, b):
            warn_of_damage(each.folder, each.check())
        comparison = compared(a, b)
    print_comparison(comparison, SafeConsole())
    if output is not None:
        write(comparison, output)


def list_runs(runs: DirFlag = RUNS) -> None:
    """The runs of a folder: what they hold, and how far they are."""
    from multiplex.bench.report.listing import list_runs as listed
    from multiplex.text.console import SafeConsole

    listed(runs, SafeConsole())


def show(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="A unit's id, or its beginning.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The run. [default: the one in --dir that has the unit]")
    ] = None,
    runs: DirFlag = RUNS,
) -> None:
    """One unit: its question, answer, voices, errors and measures."""
    from multiplex.bench.report.listing import show as shown
    from multiplex.bench.store.store import Store
    from multiplex.text.console import SafeConsole

    folder = find_run(name, runs) if name is not None else find_run_of_unit(unit, runs)
    with Store.read(folder) as store:
        shown(store, unit, SafeConsole())


def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", help="The file to write: .csv or .jsonl.")],
    runs: DirFlag = RUNS,
) -> None:
    """Write every unit of a run, with its answer and its measures, as a table or as JSON lines."""
    from multiplex.bench.report.export import export as written
    from multiplex.bench.store.store import Store
    from multiplex.errors import UsageError

    kinds: dict[str, Literal["csv", "jsonl"]] = {".csv": "csv", ".jsonl": "jsonl"}
    if output.suffix not in kinds:
        raise UsageError(f"--output {output}: a .csv or .jsonl file can be written")
    with Store.read(find_run(run, runs)) as store:
        warn_of_damage(store.folder, store.check())
        count = written(store, output, kinds[output.suffix])
    typer.echo(f"{output}: {count:,} units")
