"""Carries out `multiplex score ... --out FOLDER` and `multiplex score merge FOLDER`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from multiplex.bench.parts.corpus import begin_corpus, find_corpus
from multiplex.bench.parts.drafts import Leftovers
from multiplex.bench.parts.join import join
from multiplex.bench.parts.plan import (
    BrokenPartError,
    CorpusPart,
    Measuring,
    PartManifest,
    corpus_parts,
    find_done,
)
from multiplex.content import check_place, open_draft
from multiplex.errors import UsageError
from multiplex.present.frames import SpreadTally
from multiplex.present.summary import as_summary, notes, print_summary
from multiplex.settings import Shard
from multiplex.text.console import SafeConsole
from multiplex.text.terminal import escape_json


@dataclass(frozen=True)
class PartsOrder:
    """What the command line asked for; `ray` is a cluster's address, `local` for one on this machine."""

    source: str
    folder: Path
    measuring: Measuring
    shard: Shard | None = None
    ray: str | None = None
    strict: bool = False


def score_parts(order: PartsOrder) -> int:
    """Measure every part that is not done; the exit code: 1 where a row was skipped or not read, and `strict`.

    Raises:
        UsageError: an option is wrong, or texts cannot be read; those of the other parts are measured all the same.
        MultiplexError: the disk refuses.
    """
    aside = SafeConsole(stderr=True)
    corpus = find_corpus(order.source, order.folder)
    begin_corpus(corpus, order.folder)
    parts, left = corpus_parts(corpus, order.folder, order.shard), Leftovers(order.folder)
    rows, todo, broken = Counter[str](), list[CorpusPart](), list[BrokenPartError]()
    for part in parts:
        if (made := find_done(part, order.measuring)) is None:
            todo.append(part)
        else:
            rows.update(_rows(made))
    if done := len(parts) - len(todo):
        aside.print(Text(f"{done:,} of {len(parts):,} parts are done already", "dim"))
    for number, (part, outcome) in enumerate(_measured(order, todo), start=done + 1):
        if isinstance(outcome, BrokenPartError):
            broken.append(outcome)
            told = str(outcome)
        else:
            rows.update(_rows(outcome))
            left.clear(part)
            reasons = ", ".join(f"{name} {count:,}" for name, count in outcome.reasons.items())
            told = f"{outcome.source}: {_told(_rows(outcome))}" + (f": {reasons}" if outcome.skipped else "")
        aside.print(Text(f"{number:,} of {len(parts):,}: {told}"), soft_wrap=True)
    if broken:
        raise UsageError(f"{len(broken):,} of {len(parts):,} parts could not be measured; the first: {broken[0]}")
    aside.print(Text(f"{_told(rows)}; next: multiplex score merge {order.folder} --summary FILE"), soft_wrap=True)
    return 1 if (rows["skipped"] or rows["not_read"]) and order.strict else 0


def _rows(made: PartManifest) -> dict[str, int]:
    return {"measured": made.measured, "skipped": made.skipped, "not_read": made.not_read}


def _told(rows: Mapping[str, int]) -> str:
    told = f"{rows['measured']:,} measured, {rows['skipped']:,} skipped"
    return told + (f", {rows['not_read']:,} not read for their language" if rows["not_read"] else "")


def _measured(
    order: PartsOrder, parts: Sequence[CorpusPart]
) -> Iterator[tuple[CorpusPart, PartManifest | BrokenPartError]]:
    if order.ray is None:
        from multiplex.bench.parts.measure import measure_part

        for part in parts:
            try:
                yield part, measure_part(part, order.measuring)
            except BrokenPartError as error:
                yield part, error
        return
    from multiplex.bench.ray.parts import measure_on_ray

    yield from measure_on_ray(order.ray, parts, order.measuring)


def merge(folder: Path, summary: Path | None) -> None:
    """Sum the parts of a folder up; print the summary, and write it as JSON where `summary` says.

    Raises:
        UsageError: parts are missing or do not belong together, or the summary cannot be written there.
        MultiplexError: the disk refuses.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; `multiplex score TEXTS --out FOLDER` makes one")
    if summary is not None:
        check_place("--summary", summary)
    made = join(folder)
    out = SafeConsole(soft_wrap=True)
    for name, each in made.summaries.items():
        print_summary(out, each, name or "all")
        out.print()
    out.print(Text(notes(made.summaries[""]), "dim"))
    if summary is not None:
        with open_draft(summary) as file:
            content = as_summary(made.summaries, None, made.rows, made.unread_groups, SpreadTally())
            file.write(escape_json(json.dumps(content, ensure_ascii=False, indent=2)) + "\n")
    SafeConsole(stderr=True).print(Text(f"{made.parts:,} parts: {_told(made.rows)}"))
