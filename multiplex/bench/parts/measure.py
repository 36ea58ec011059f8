"""Measures one part and writes what came of it: scores, figures, and last the manifest."""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

from multiplex.bench.parts.drafts import drafted
from multiplex.bench.parts.plan import (
    MOST_GROUPS,
    BrokenPartError,
    CorpusPart,
    Measuring,
    PartManifest,
    UnreadTexts,
    WrittenFile,
    file_digest,
    stamp,
)
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation.corpus import Passage, Skipped, read
from multiplex.evaluation.evaluator import BATCH
from multiplex.evaluation.parquet_form import check_parquet
from multiplex.evaluation.scorer import Scored, Scorer, Unread
from multiplex.evaluation.statistics.summary import Tally
from multiplex.present.summary import as_object, unread_object
from multiplex.settings import Shard
from multiplex.text.terminal import escape_json

MOST_REASONS = 20  # kinds of skipped rows that a manifest counts; the others are counted together


CHUNK = 8192  # rows of figures written at once
Write = Callable[[Scored | Unread], None]


def measure_part(part: CorpusPart, measuring: Measuring) -> PartManifest:
    """Measure a part; the same part gives the same files, byte for byte, on any number of machines.

    The figures are one row a text: its line, the number of its group, and what `Tally` keeps of it.

    Raises:
        BrokenPartError: its texts cannot be read, or their rows changed while they were read.
        UsageError: the sentiment model cannot be used, there are too many groups to be summed up, or pyarrow lacks.
        ContentError: a gazetteer or a trained head is missing or wrong.
        MultiplexError: the disk refuses.
    """
    before = stamp(part.source)
    _forget(part.manifest)
    scorer, reasons = _scorer(measuring), Counter[str]()
    groups: dict[str, int] = {}
    with ExitStack() as stack:
        tally = stack.enter_context(measuring.tally())
        unread = dict[str, Tally]()

        def unread_of(group: str) -> Tally:
            if group not in unread:
                unread[group] = stack.enter_context(measuring.tally())
            return unread[group]

        lines, numbers = array("d"), array("d")
        write = stack.enter_context(_writing(part, grouped=measuring.group is not None))
        for each in scorer.score(_own_rows(part, measuring)):
            if isinstance(each, Skipped):
                reasons[re.sub(r"\d+", "N", each.reason)] += 1
                continue
            known = groups.keys() | unread.keys() if each.passage.group not in groups else ()
            if len(known) >= MOST_GROUPS and each.passage.group not in known:
                raise UsageError(f"{part.source}: more than {MOST_GROUPS:,} groups; group by another column")
            if isinstance(each, Unread):
                unread_of(each.passage.group).leave_out(each.reading.language, dict(each.reading.why_not))
                write(each)
                continue
            tally.add(each.measures)
            if each.measures.unread:
                unread_of(each.passage.group).note(each.measures.language, each.measures.unread)
            lines.append(each.passage.line)
            numbers.append(groups.setdefault(each.passage.group, len(groups)))
            write(each)
        _write_rows(part, lines, numbers, tally)
        not_read = {
            group: UnreadTexts(left_out=each.left_out, unread=each.unread) for group, each in sorted(unread.items())
        }
    digest = file_digest(part.source)
    if stamp(part.source) != before:
        raise BrokenPartError(f"{part.source}: was written while it was read; start again when it is whole")
    common = dict(reasons.most_common(MOST_REASONS))
    if left := reasons.total() - sum(common.values()):
        common["others"] = left
    made = PartManifest(
        source=part.name, size=before[0], modified=before[1], digest=digest,
        shard=str(part.shard) if part.shard else None, measuring=measuring,
        scores=WrittenFile.of(part.scores), rows=WrittenFile.of(part.rows), measured=len(tally),
        skipped=reasons.total(), reasons=common, groups=tuple(groups), counts=tally.counts, unread=not_read,
    )  # fmt: skip
    with drafted(part, part.manifest) as draft:
        draft.write_text(made.model_dump_json(indent=1) + "\n", "utf-8")
    return made


def _forget(manifest: Path) -> None:
    """Take an older manifest away before the files that it speaks of are replaced; its folder is there then.

    Raises:
        MultiplexError: the disk refuses.
    """
    try:
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.unlink(missing_ok=True)
    except OSError as error:
        raise MultiplexError(f"{manifest}: {error.strerror or error}") from error


_scorers = dict[str, Scorer]()


def _scorer(measuring: Measuring) -> Scorer:
    """The models of this process, loaded once for a way of measuring.

    One thread: with several, the last digits of a tone depend on how many there are. Processes fill the cores.
    """
    from threadpoolctl import threadpool_limits

    if measuring.key not in _scorers:
        _scorers[measuring.key] = Scorer(measuring.evaluator())
    threadpool_limits(1)
    return _scorers[measuring.key]


def _own_rows(part: CorpusPart, measuring: Measuring) -> Iterator[Passage | Skipped]:
    """The part's rows. A shard takes whole blocks: what is embedded together is the same as without shards."""
    try:
        for number, row in enumerate(read(str(part.source), measuring.columns)):
            if part.shard is None or _has(part.shard, part.name, number // BATCH):
                yield row
    except UsageError as error:
        raise BrokenPartError(str(error)) from error


@lru_cache(maxsize=8)
def _has(shard: Shard, name: str, block: int) -> bool:
    return shard.has(f"{name} {block}")


def _write_rows(part: CorpusPart, lines: array[float], groups: array[float], tally: Tally) -> None:
    """Write the figures as float64 in this machine's order, row by row: line, group, then the columns of the tally."""
    import numpy as np

    with drafted(part, part.rows) as draft, draft.open("wb") as out:
        for start in range(0, len(tally), CHUNK):
            stop = min(start + CHUNK, len(tally))
            out.write(np.column_stack([lines[start:stop], groups[start:stop], tally[start:stop]]).tobytes())


@contextmanager
def _writing(part: CorpusPart, *, grouped: bool) -> Iterator[Write]:
    """What takes the scores in, a text at a time; the file has its name once all are in."""
    if part.form == "jsonl":
        with (
            drafted(part, part.scores) as draft,
            draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as out,
        ):
            yield lambda scored: print(_line(scored, grouped=grouped), file=out)
        return
    check_parquet(str(part.source))
    import pyarrow
    import pyarrow.parquet as parquet

    schema = pyarrow.schema([
        ("id", pyarrow.string()), ("line", pyarrow.int64()), ("group", pyarrow.string()),
        ("reference_count", pyarrow.int64()), ("entropy", pyarrow.float64()), ("score", pyarrow.string()),
    ])  # fmt: skip
    waiting: list[dict[str, object]] = []
    with drafted(part, part.scores) as draft, parquet.ParquetWriter(draft, schema) as out:

        def flush() -> None:
            out.write_table(pyarrow.Table.from_pylist(waiting, schema))
            waiting.clear()

        def write(scored: Scored | Unread) -> None:
            passage, of = scored.passage, scored.measures if isinstance(scored, Scored) else None
            values = (passage.id, passage.line, passage.group if grouped else None, of and of.n, of and of.entropy,
                      _line(scored, grouped=grouped))  # fmt: skip
            waiting.append(dict(zip(schema.names, values, strict=True)))
            if len(waiting) == CHUNK:
                flush()

        yield write
        flush()


def _line(scored: Scored | Unread, *, grouped: bool) -> str:
    made = as_object(scored, grouped=grouped) if isinstance(scored, Scored) else unread_object(scored, grouped=grouped)
    return escape_json(json.dumps(made, ensure_ascii=False))
