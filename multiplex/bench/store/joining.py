"""Joins the runs of shards into one, as if one process had made it: every unit with its calls, failures and scores."""

# ruff: noqa: S608  # put together from our own names alone

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from multiplex.bench.plan.manifest import Manifest, differences, merged
from multiplex.bench.plan.units import Unit
from multiplex.bench.store import queries as sql
from multiplex.bench.store.batch_log import OUT
from multiplex.bench.store.checksums import COVERED, insertion
from multiplex.bench.store.json_text import as_json
from multiplex.bench.store.reader import Reader
from multiplex.bench.store.schema import DATABASE, at_rest, connect, explaining, locked, migrate
from multiplex.bench.store.store import Store
from multiplex.bench.store.writer import SET, clock
from multiplex.errors import UsageError

_NAMED = {"units": "id", "calls": "unit, request, kind", "errors": "unit, at", "scorings": "key"}
"""By table, what tells its rows apart."""

_SHARD = re.compile(r"\.(\d+)-of-(\d+)$")
_RANK = {"done": 0, "failed": 1, "pending": 2}


@dataclass(frozen=True)
class JoinedRuns:
    """What was joined: how many units, how many of them done.

    Attributes:
        doubled: units that several runs hold, with one answer among them or none.
        conflicts: a line for each unit that several runs hold with different answers.
    """

    units: int
    done: int
    doubled: int
    conflicts: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where a unit stands: in which of the runs, and in which state."""

    run: int
    unit: Unit
    state: str


def join(runs: Sequence[Path], target: Path, beside: str) -> JoinedRuns:
    """Join runs into a new one, which takes its name when it is whole.

    Of a unit that several hold, one that is done is kept before one that failed, and the first of equals. A file called
    `beside` in the first folder that has it is copied: a survey's runs are reported on with it. A run of that name
    which holds nothing but what these runs hold was joined of them before, and is joined anew.

    Raises:
        UsageError: another run of that name is there, a shard is missing, the runs were made differently, or one is
            damaged or has calls out.
        MultiplexError: the disk refuses.
    """
    with explaining(target / DATABASE), _held(target, runs):
        return _join(runs, target, beside)


def _join(runs: Sequence[Path], target: Path, beside: str) -> JoinedRuns:
    draft = target.with_name(f".{target.name}.part")
    with ExitStack() as stack:
        stores = [stack.enter_context(Store.read(run)) for run in runs]
        manifest = _manifest(stores)
        places, doubled, conflicts = _places(stores)
        _check_whole(manifest, places, runs)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        made = stack.enter_context(closing(connect(draft / DATABASE, write=True)))
        migrate(made, 0)
        made.execute("BEGIN IMMEDIATE")
        for key, value in (("manifest", as_json(manifest)), ("changed", clock())):
            made.execute(SET, {"key": key, "value": value})
        readers = [stack.enter_context(closing(Reader(run / DATABASE))) for run in runs]
        for reader in readers:
            for key, description in reader.rows(sql.SCORINGS):
                made.execute(sql.SCORING, {"key": key, "description": description})
        for place in sorted(places.values(), key=_order(manifest)):
            for table in ("units", "calls", "errors", "measures"):
                _copy(readers[place.run], made, table, place.unit.id)
            if place.state != "done":
                _keep_secret(readers[place.run], made, place.unit.id)
        made.execute("COMMIT")
        for path in [run / beside for run in runs if (run / beside).is_file()][:1]:
            shutil.copyfile(path, draft / beside)
    if target.exists():  # other files in it, such as a report, stay until they are made anew
        for path in draft.iterdir():
            path.replace(target / path.name)
        draft.rmdir()
    else:
        draft.rename(target)
    done = sum(place.state == "done" for place in places.values())
    return JoinedRuns(len(places), done, doubled, tuple(conflicts))


@contextmanager
def _held(target: Path, runs: Sequence[Path]) -> Iterator[None]:
    """Keeps others from writing in a run that is joined anew; nothing where none is there.

    Raises:
        UsageError: what is there cannot be replaced, or another process writes in it.
    """
    if not target.exists():
        yield
        return
    path = target / DATABASE
    if not path.is_file() or any(target.samefile(run) for run in runs):
        raise UsageError(f"{target}: is there already; give another --name, or take it away")
    with locked(target):
        with closing(Reader(path)) as reader:
            left = {table: set(reader.rows(f"SELECT {columns} FROM {table}")) for table, columns in _NAMED.items()}
        for run in runs:
            with closing(Reader(run / DATABASE)) as reader:
                for table, columns in _NAMED.items():
                    left[table].difference_update(reader.rows(f"SELECT {columns} FROM {table}"))
        if any(left.values()):
            raise UsageError(
                f"{target}: is there already, and holds what these runs do not; give another --name, or take it away"
            )
        connect(path, write=True).close()  # the last connection to close takes its log away
        if at_rest(path) is None:
            raise UsageError(f"{target}: is being read; try again when that has ended, or give another --name")
        yield


def _check_whole(manifest: Manifest, units: Collection[str], runs: Sequence[Path]) -> None:
    """Raises UsageError where units of the whole that the runs are shards of stand in none of them."""
    missing = len(set(manifest.order).difference(units))
    if not missing:
        return
    shards = [match for run in runs if (match := _SHARD.search(run.name))]
    absent = [
        f"{part}-of-{of}"
        for of in sorted({int(match[2]) for match in shards})
        for part in sorted(set(range(1, of + 1)).difference(int(match[1]) for match in shards if int(match[2]) == of))
    ]
    named = f"; not among them: {', '.join(absent[:9])}" if absent else ""
    raise UsageError(
        f"{missing:,} of {len(manifest.order):,} units stand in none of these {len(runs):,} runs{named}; name the runs "
        "of all shards, or start those again that were stopped before they began"
    )


def _manifest(stores: Sequence[Store]) -> Manifest:
    """That of the whole run.

    Raises:
        UsageError: a run is damaged, has calls out, or was made differently from the first.
    """
    whole: Manifest | None = None
    for store in stores:
        if found := store.check().summary():
            raise UsageError(f"{store.folder}: {found}; restore it from a copy, or mend it with --redo-damaged")
        if store.batches().batches(*OUT):
            raise UsageError(
                f"{store.folder}: calls are out in batches; collect them first, by its command with --batch"
            )
        if unused := store.batches().unused():
            raise UsageError(
                f"{store.folder}: batches brought replies that {len(unused):,} units have not used yet; finish it "
                "first, by its command with or without --batch"
            )
        own = store.manifest
        if own is None:
            raise UsageError(f"{store.folder}: was stopped before it began; start its command again")
        if whole is not None and (unlike := differences(whole, own)):
            raise UsageError(f"{store.folder}: was made differently from {stores[0].folder}: {'; '.join(unlike)}")
        whole = own if whole is None else merged(whole, own)
    if whole is None:
        raise UsageError("no run is named")
    return whole


def _places(stores: Sequence[Store]) -> tuple[dict[str, _Place], int, list[str]]:
    """Where each unit is taken from, how many stand in several runs, and a line for each with different answers."""
    places: dict[str, _Place] = {}
    doubled, conflicts = set[str](), list[str]()
    for run, store in enumerate(stores):
        states = store.states()
        for unit in store.units():
            place, other = _Place(run, unit, states[unit.id]), places.get(unit.id)
            if other is None:
                places[unit.id] = place
                continue
            if place.state == other.state == "done" and store.answer(unit.id) != stores[other.run].answer(unit.id):
                conflicts.append(
                    f"unit {unit.id} has one answer in {stores[other.run].folder}, which is kept, and another in "
                    f"{store.folder}"
                )
            else:
                doubled.add(unit.id)
            if _RANK[place.state] < _RANK[other.state]:
                places[unit.id] = place
    return places, len(doubled), conflicts


def _order(manifest: Manifest) -> Callable[[_Place], tuple[int, int]]:
    """The order in which one process would have made the units; where the runs do not say, they keep their own."""
    ranks = {name: rank for rank, name in enumerate(manifest.order)}
    return lambda place: (ranks.get(place.unit.id, len(ranks)), place.run)


def _keep_secret(source: Reader, target: sqlite3.Connection, unit: str) -> None:
    """Take the secret of a unit's prompts along: with another, the replies that it has would not be found."""
    name = f"secret {unit}"
    query = "SELECT value FROM meta WHERE key IN (?, 'secret') ORDER BY key = 'secret' LIMIT 1"
    if (row := source.row(query, name)) is not None:
        target.execute(SET, {"key": name, "value": row[0]})


def _copy(source: Reader, target: sqlite3.Connection, table: str, unit: str) -> None:
    """Copy the rows of one unit; their checksums are made anew."""
    columns = tuple(dict.fromkeys(each for covered in COVERED[table].values() for each in covered))
    name, order = ("id", "number") if table == "units" else ("unit", "rowid")
    rows = source.rows(f"SELECT {', '.join(columns)} FROM {table} WHERE {name} = ? ORDER BY {order}", unit)
    target.executemany(insertion(table), [dict(zip(columns, row, strict=True)) for row in rows])
