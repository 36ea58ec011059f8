"""The runs that a command is about: where they lie, and what of them is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from multiplex.bench.store.damage import Checkup
    from multiplex.bench.store.store import Store
    from multiplex.settings import Shard


def warn_of_damage(folder: Path, found: Checkup) -> None:
    """Name on standard error what of a run is damaged, and so left out."""
    if found.damaged:
        typer.echo(f"multiplex: {folder}: {found.summary()}; left out of what follows", err=True)


def check_is_benchmark(store: Store) -> None:
    """Raises UsageError where a run is of a survey: its answers are no prose, and are reported on otherwise."""
    from multiplex.bench.plan.manifest import read_manifest
    from multiplex.errors import UsageError

    manifest, _ = read_manifest(store)
    if manifest is not None and manifest.survey:
        raise UsageError(f"{store.folder}: the run of a survey; `multiplex survey report` reports on it")


def check_name(name: str) -> str:
    """A name that is one folder, and no other folder than its own.

    Raises:
        UsageError: it is not.
    """
    from multiplex.errors import UsageError

    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise UsageError(f"--name {name!r}: the name of a folder is needed; --dir says where it lies")
    return name


def run_folder(runs: Path, name: str, shard: Shard | None) -> Path:
    """Where a run of this name lies; a shard of it has a folder of its own.

    Raises:
        UsageError: the name is no folder's.
    """
    return runs / check_name(name if shard is None else f"{name}.{shard}")


def find_run(run: str, runs: Path) -> Path:
    """The folder of a run: in --dir, or where its path says.

    Raises:
        UsageError: no run is there.
    """
    from multiplex.bench.store.schema import DATABASE
    from multiplex.errors import UsageError

    for folder in (runs / run, Path(run)):
        if (folder / DATABASE).is_file():
            return folder
    raise UsageError(f"no run {run!r} in {runs}; `multiplex bench list` shows what is there")


def find_run_of_unit(unit: str, runs: Path) -> Path:
    """The folder of the one run that has a unit whose id begins so; runs that cannot be read are named and left out.

    Raises:
        UsageError: none has, or several.
    """
    from multiplex.bench.store.schema import DATABASE
    from multiplex.bench.store.store import Store
    from multiplex.errors import MultiplexError, UsageError

    found = []
    for path in sorted(runs.glob(f"*/{DATABASE}")):
        try:
            with Store.read(path.parent) as store:
                if store.named(unit):
                    found.append(path.parent)
        except MultiplexError as error:
            typer.echo(f"multiplex: {error}; left out", err=True)
    if len(found) != 1:
        names = ", ".join(folder.name for folder in found) or "none"
        raise UsageError(f"unit {unit!r}: one run of {runs} must have it, to be found ({names}); give --name RUN")
    return found[0]
