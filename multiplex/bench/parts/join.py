"""Joins the parts of a folder into one summary, as if one process had measured their texts in order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.bench.parts.plan import PartManifest, read_manifest
from multiplex.errors import UsageError
from multiplex.evaluation.statistics.summary import Summary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

CHUNK = 8192  # rows of figures taken in at once
EVERY_TEXT = ""  # the tally over all groups
MOST_GROUPS = 1000


@dataclass(frozen=True)
class JoinedParts:
    """The summaries by group, the one over all texts under "", and how many rows were measured and skipped."""

    summaries: Mapping[str, Summary]
    parts: int
    measured: int
    skipped: int


def join(folder: Path) -> JoinedParts:
    """Sum the parts of a folder up: figures are taken in text by text, no average is averaged.

    Raises:
        UsageError: there is no part, parts were measured differently, a shard is missing or stands beside the whole,
            a file is not as its manifest says, or no text was measured.
    """
    found = _manifests(folder)
    first = next(iter(found.values()))
    measuring = first.measuring
    for path, made in found.items():
        if made.measuring.key != measuring.key:
            raise UsageError(f"{path}: was measured differently from {next(iter(found))}; measure one of them anew")
    with ExitStack() as stack:
        tallies = {EVERY_TEXT: stack.enter_context(measuring.tally())}
        for _, together in groupby(sorted(found, key=lambda path: found[path].source), lambda path: found[path].source):
            paths = list(together)
            _check_shards(paths, found)
            for group, rows in _ordered(paths, found, tallies[EVERY_TEXT].width):
                for name in {EVERY_TEXT, group}:
                    if name not in tallies:
                        if len(tallies) > MOST_GROUPS:
                            raise UsageError(f"{folder}: more than {MOST_GROUPS:,} groups; group by another column")
                        tallies[name] = stack.enter_context(measuring.tally())
                    tallies[name].extend(rows)
        summaries = {name: tally.summary() for name, tally in sorted(tallies.items())}
    made_of = {name: summary for name, summary in summaries.items() if summary is not None}
    if not made_of:
        raise UsageError(f"{folder}: no text could be measured in any part")
    measured, skipped = (sum(getattr(each, name) for each in found.values()) for name in ("measured", "skipped"))
    return JoinedParts(made_of, len(found), measured, skipped)


def _manifests(folder: Path) -> dict[Path, PartManifest]:
    found = {path: made for path in sorted(folder.rglob("*.part.json")) if (made := read_manifest(path)) is not None}
    if not found:
        raise UsageError(f"{folder}: no part is there; `multiplex score TEXTS --out {folder}` makes them")
    return found


def _check_shards(paths: Sequence[Path], found: Mapping[Path, PartManifest]) -> None:
    """Raises UsageError where the parts of one source are not one whole: shards missing, or of different numbers."""
    shards = [found[path].shard for path in paths]
    if shards == [None]:
        return
    of = {shard.rpartition("-of-")[2] for shard in shards if shard is not None}
    if None in shards or len(of) != 1:
        raise UsageError(f"{paths[0]}: {found[paths[0]].source} was divided in different ways; delete all but one")
    every = {f"{part}-of-{int(*of)}" for part in range(1, int(*of) + 1)}
    if missing := sorted(every.difference(map(str, shards))):
        raise UsageError(f"{paths[0].parent}: {found[paths[0]].source} lacks the shards {', '.join(missing[:9])}")
    if len({(found[path].size, found[path].modified) for path in paths}) > 1:
        raise UsageError(f"{paths[0].parent}: {found[paths[0]].source} changed between its shards; measure it anew")


def _ordered(paths: Sequence[Path], found: Mapping[Path, PartManifest], width: int) -> Iterator[tuple[str, Rows]]:
    """The rows of one source in the order of its lines, runs of one group together."""
    import numpy as np

    files = [(_rows(path, found[path], width), found[path].groups) for path in paths]
    if len(files) == 1:
        rows, groups = files[0]
        for start in range(0, len(rows), CHUNK):
            yield from _runs(np.asarray(rows[start : start + CHUNK]), groups)
        return
    lines = heapq.merge(*(_chunks(rows, number) for number, (rows, _) in enumerate(files)), key=lambda each: each[0])
    for number, block in groupby(lines, lambda each: each[1]):
        rows, groups = files[number]
        places = [place for _, _, place in block]
        yield from _runs(np.asarray(rows[places[0] : places[-1] + 1]), groups)


def _chunks(rows: Rows, number: int) -> Iterator[tuple[float, int, int]]:
    """Of each row its line, the number of its file, and its place there."""
    for start in range(0, len(rows), CHUNK):
        for place, line in enumerate(rows[start : start + CHUNK, 0], start=start):
            yield float(line), number, place


def _runs(rows: Rows, groups: Sequence[str]) -> Iterator[tuple[str, Rows]]:
    import numpy as np

    starts = [0, *(np.flatnonzero(np.diff(rows[:, 1])) + 1), len(rows)]
    for start, stop in pairwise(starts):
        if stop > start:
            yield groups[int(rows[start, 1])], rows[start:stop, 2:]


def _rows(path: Path, made: PartManifest, width: int) -> Rows:
    import numpy as np

    file = path.with_name(path.name.removesuffix("part.json") + "rows.f64")
    size = 8 * (width + 2) * made.measured
    if not file.is_file() or file.stat().st_size != size:
        raise UsageError(f"{file}: is not what {path.name} says it is; delete both, and start `score` again")
    if not made.measured:
        return np.empty((0, width + 2))
    return np.memmap(file, dtype=np.float64, mode="r", shape=(made.measured, width + 2))
