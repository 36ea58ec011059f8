"""Joins the parts of a folder into one summary, as if one process had measured their texts in order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.bench.parts.corpus import MANIFEST, check_strangers, read_corpus
from multiplex.bench.parts.plan import MOST_GROUPS, PartManifest, file_digest, read_manifest
from multiplex.errors import UsageError
from multiplex.evaluation.statistics.summary import Summary, Tally
from multiplex.text.listing import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

CHUNK = 8192  # rows of figures taken in at once
EVERY_TEXT = ""  # the tally over all groups


@dataclass(frozen=True)
class JoinedParts:
    """The summaries by group, the one over all texts under ""; how many rows were measured, skipped and not read.

    `unread_groups` are those of which no text was read, with the languages.
    """

    summaries: Mapping[str, Summary]
    parts: int
    rows: Mapping[str, int]
    unread_groups: Mapping[str, Mapping[str, Mapping[str, int]]]


def join(folder: Path) -> JoinedParts:
    """Sum the parts of a folder up: figures are taken in text by text, no average is averaged.

    Raises:
        UsageError: a part is missing or there is none, parts were measured differently, a shard stands beside the
            whole, a file is not as its manifest says, or no text was measured.
    """
    found = _manifests(folder)
    first = next(iter(found.values()))
    measuring = first.measuring
    for path, made in found.items():
        if made.measuring.key != measuring.key:
            raise UsageError(f"{path}: was measured differently from {next(iter(found))}; measure one of them anew")
    with ExitStack() as stack:
        tallies = {EVERY_TEXT: stack.enter_context(measuring.tally())}

        def tally_of(group: str) -> Tally:
            if group not in tallies:
                if len(tallies) > MOST_GROUPS:
                    raise UsageError(f"{folder}: more than {MOST_GROUPS:,} groups; group by another column")
                tallies[group] = stack.enter_context(measuring.tally())
            return tallies[group]

        for _, together in groupby(sorted(found, key=lambda path: found[path].source), lambda path: found[path].source):
            paths = list(together)
            _check_shards(paths, found)
            for path in paths:
                _check_files(path, found[path])
                for group, left in found[path].unread.items():
                    for name in {EVERY_TEXT, group}:
                        tally_of(name).add_unread(left.left_out, left.unread)
            for group, rows in _ordered(paths, found, tallies[EVERY_TEXT].width):
                for name in {EVERY_TEXT, group}:
                    tally_of(name).extend(rows)
        summaries = {name: tally.summary() for name, tally in sorted(tallies.items())}
    made_of = {name: summary for name, summary in summaries.items() if summary is not None}
    if not made_of:
        raise UsageError(f"{folder}: no text could be measured in any part")
    unread = {name: tallies[name].unread for name in sorted(tallies) if name and name not in made_of}
    counts = {name: sum(getattr(each, name) for each in found.values()) for name in ("measured", "skipped", "not_read")}
    return JoinedParts(made_of, len(found), counts, unread)


def _manifests(folder: Path) -> dict[Path, PartManifest]:
    """The manifests of all parts, by their files.

    Raises:
        UsageError: there is none, one cannot be read, one is of no file of the corpus, or a file of it has none.
    """
    corpus = read_corpus(folder)
    found = {path: made for path in sorted(folder.rglob(f"*{MANIFEST}")) if (made := read_manifest(path)) is not None}
    if corpus is None or not found:
        raise UsageError(f"{folder}: no part is there; `multiplex score TEXTS --out {folder}` makes them")
    check_strangers(folder, corpus.names)
    if missing := sorted(set(corpus.names) - {made.source for made in found.values()}):
        raise UsageError(
            f"{folder}: lacks {len(missing):,} of {len(corpus.names):,} files of {corpus.root}: {listed(missing)}; "
            "start `multiplex score` again, or every shard of it"
        )
    return found


def _check_files(path: Path, made: PartManifest) -> None:
    """Raises UsageError where what was written with a manifest is no more as it was."""
    for written in (made.scores, made.rows):
        file = path.with_name(written.name)
        if not file.is_file() or file.stat().st_size != written.size or file_digest(file) != written.digest:
            raise UsageError(f"{file}: is not what {path.name} says it is; delete both, and start `score` again")


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
    if len({found[path].digest for path in paths}) > 1:
        raise UsageError(f"{paths[0].parent}: {found[paths[0]].source} differed from shard to shard; measure it anew")


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

    if not made.measured:
        return np.empty((0, width + 2))
    return np.memmap(path.with_name(made.rows.name), dtype=np.float64, mode="r", shape=(made.measured, width + 2))
