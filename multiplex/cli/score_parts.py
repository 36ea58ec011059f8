"""Carries out `multiplex score ... --out FOLDER` and `multiplex score merge FOLDER`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from multiplex.bench.parts.corpus import begin_corpus, find_corpus
from multiplex.bench.parts.join import join
from multiplex.bench.parts.plan import CorpusPart, Measuring, PartManifest, corpus_parts, is_done
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
        UsageError: a file or an option is wrong.
        MultiplexError: the disk refuses.
    """
    aside = SafeConsole(stderr=True)
    corpus = find_corpus(order.source, order.folder)
    begin_corpus(corpus, order.folder)
    parts = corpus_parts(corpus, order.folder, order.shard)
    todo = [part for part in parts if not is_done(part, order.measuring)]
    done = len(parts) - len(todo)
    if done:
        aside.print(Text(f"{done:,} of {len(parts):,} parts are done already", "dim"))
    measured = skipped = unread = 0
    for number, made in enumerate(_measured(order, todo), start=done + 1):
        measured, skipped, unread = measured + made.measured, skipped + made.skipped, unread + made.not_read
        reasons = f": {', '.join(f'{name} {count:,}' for name, count in made.reasons.items())}" if made.skipped else ""
        aside.print(
            Text(
                f"{number:,} of {len(parts):,}: {made.source}: "
                + _told({"measured": made.measured, "skipped": made.skipped, "not_read": made.not_read})
                + reasons
            ),
            soft_wrap=True,
        )
    told = _told({"measured": measured, "skipped": skipped, "not_read": unread})
    aside.print(Text(f"{told}; next: multiplex score merge {order.folder} --summary FILE"))
    return 1 if (skipped or unread) and order.strict else 0


def _told(rows: Mapping[str, int]) -> str:
    told = f"{rows['measured']:,} measured, {rows['skipped']:,} skipped"
    return told + (f", {rows['not_read']:,} not read for their language" if rows["not_read"] else "")


def _measured(order: PartsOrder, parts: Sequence[CorpusPart]) -> Iterator[PartManifest]:
    if order.ray is None:
        from multiplex.bench.parts.measure import measure_part

        return (measure_part(part, order.measuring) for part in parts)
    from multiplex.bench.ray.parts import measure_on_ray

    return measure_on_ray(order.ray, parts, order.measuring)


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
