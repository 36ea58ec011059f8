"""Carries out `multiplex score`: reads texts, measures them, prints each, and sums up."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from multiplex.content import check_apart, check_place, open_draft, storable
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import Evaluator, Frame
from multiplex.evaluation.corpus import Columns, Skipped, read
from multiplex.evaluation.extraction.local import ExtractorName
from multiplex.evaluation.languages.reading import languages_of
from multiplex.evaluation.scorer import Scored, Scorer, Unread
from multiplex.evaluation.statistics.summary import Summary, Tally
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import shown_tokens
from multiplex.present.frames import SpreadTally
from multiplex.present.score_page import ScorePage
from multiplex.present.summary import (
    as_line,
    as_object,
    as_summary,
    notes,
    print_agreement,
    print_frames,
    print_summary,
    unread_line,
    unread_object,
)
from multiplex.text.console import SafeConsole
from multiplex.text.terminal import escape_json, one_line

MOST_GROUPS = 1000
TOLD = 5  # skipped rows of one kind that are told one by one
EVERY_TEXT = ""  # the tally over all groups
ToneReader = Literal["classifier", "judge", "none"]


@dataclass(frozen=True)
class ScoreOrder:
    """What the command line asked for; `judge` is the chat model of the judge, where one is needed."""

    path: str
    columns: Columns
    frames: tuple[Frame, ...]
    cues: tuple[str, ...]
    extractor: ExtractorName = "local"
    tone: ToneReader = "classifier"
    sentiment_model: str | None = None
    judge: ModelSpec | None = None
    as_json: bool = False
    html: Path | None = None
    summary: Path | None = None
    strict: bool = False


def score(order: ScoreOrder) -> int:
    """Measure every text of the file; the exit code: 1 where a model failed on a text, or a row is bad and `strict`.

    Raises:
        UsageError: the file or an option is wrong, or no row could be measured.
        MultiplexError: the judge could not be asked, or the disk refuses.
    """
    aside = SafeConsole(stderr=True)
    out = aside if order.as_json else SafeConsole(soft_wrap=True)
    if order.summary is not None:
        check_place("--summary", order.summary)
    for flag, output in (("--summary", order.summary), ("--html", order.html)):
        check_apart(flag, output, Path(order.path))
    with ExitStack() as stack:
        scorer = stack.enter_context(_scorer(order))
        page = stack.enter_context(ScorePage(order.html)) if order.html else None
        bar = stack.enter_context(_bar(aside))
        file = Path(order.path)
        task = bar.add_task("measuring", total=file.stat().st_size if file.is_file() else None)
        passages = read(order.path, order.columns, progress=lambda done: bar.update(task, completed=done))
        texts = _Texts(order, scorer, page, stack, _Skips(order.path, aside))
        for each in scorer.score(passages):
            texts.take(each)
        texts.skips.count()
        bar.update(task, description="summing up")
        made = texts.summaries()
        bar.stop()
        sys.stdout.flush()
        _print(out, made, texts)
        if page is not None:
            page.finish(storable(order.path), made)
        if order.summary is not None:
            _write(order.summary, _summary(made, texts))
    return _told(aside, made, texts)


@dataclass
class _Texts:
    """Prints texts as they are measured, and adds them up by group.

    Attributes:
        stack: closes the tallies.
        tallies: by group; EVERY_TEXT over all.
        lost: of the skipped, those on which a model failed.
        unread: texts in a language that is not read.
    """

    order: ScoreOrder
    scorer: Scorer
    page: ScorePage | None
    stack: ExitStack
    skips: _Skips
    tallies: dict[str, Tally] = field(default_factory=dict)
    spreads: SpreadTally = field(default_factory=SpreadTally)
    skipped: int = 0
    lost: int = 0
    unread: int = 0

    def take(self, each: Scored | Skipped | Unread) -> None:
        """Count a row, and print it."""
        if isinstance(each, Skipped):
            self.skipped, self.lost = self.skipped + 1, self.lost + each.lost
            self.skips.tell(each)
        elif isinstance(each, Unread):
            self._leave_out(each)
        else:
            self._add(each)

    def summaries(self) -> dict[str, Summary]:
        """By group, those that have a text that was measured."""
        found = {name: tally.summary() for name, tally in sorted(self.tallies.items())}
        return {name: summary for name, summary in found.items() if summary is not None}

    def unread_groups(self, made: Mapping[str, Summary]) -> dict[str, dict[str, dict[str, int]]]:
        """By group of which no text was read, the languages of its texts and why they are not read."""
        return {name: self.tallies[name].unread for name in sorted(self.tallies) if name and name not in made}

    def _leave_out(self, each: Unread) -> None:
        self.unread += 1
        for tally in self._tallies_of(each):
            tally.leave_out(each.reading.language, dict(each.reading.why_not))
        if self.page is not None:
            self.page.add_unread(each)
        grouped = bool(self.order.columns.group)
        print(_line(unread_object(each, grouped=grouped)) if self.order.as_json else unread_line(each))

    def _add(self, each: Scored) -> None:
        for tally in self._tallies_of(each):
            tally.add(each.measures)
        self.spreads.add(each.passage.group or EVERY_TEXT, each.measures)
        if self.page is not None:
            self.page.add(each, self.scorer.entities)
        grouped = bool(self.order.columns.group)
        print(_line(as_object(each, grouped=grouped)) if self.order.as_json else as_line(each))

    def _tallies_of(self, each: Scored | Unread) -> list[Tally]:
        groups = {EVERY_TEXT, each.passage.group}
        for group in groups - self.tallies.keys():
            self.tallies[group] = self.stack.enter_context(_tally(len(self.tallies), self.order))
        return [self.tallies[group] for group in groups]


def _told(aside: Console, made: Mapping[str, Summary], texts: _Texts) -> int:
    """Say how many rows were measured; the exit code.

    Raises:
        UsageError: none was.
    """
    measured = made[EVERY_TEXT].texts if made else 0
    told = f"{measured:,} measured, {texts.skipped:,} skipped"
    told += f" ({texts.lost:,} by the model)" if texts.lost else ""
    aside.print(Text(told + (f", {texts.unread:,} not read for their language" if texts.unread else "")))
    if (usage := texts.scorer.usage) is not None:
        aside.print(Text(f"the judge: {usage.calls:,} calls; tokens: {shown_tokens(usage)}", "dim"))
    if not made:
        why = languages_of(texts.tallies[EVERY_TEXT].unread) if texts.unread else ""
        column = "; --text-column names the column that holds it" if texts.skipped > texts.lost else ""
        raise UsageError(f"{texts.order.path}: no text could be measured{why}{column}")
    return 1 if texts.lost or ((texts.skipped or texts.unread) and texts.order.strict) else 0


def _summary(made: Mapping[str, Summary], texts: _Texts) -> dict[str, object]:
    scorer, measured = texts.scorer, made[EVERY_TEXT].texts if made else 0
    rows = {"measured": measured, "skipped": texts.skipped, "not_read": texts.unread}
    judging = {} if scorer.usage is None else {"judge_usage": scorer.usage.model_dump()}
    return as_summary(made, scorer.agreement(), rows, texts.unread_groups(made), texts.spreads) | judging


def _line(made: dict[str, Any]) -> str:
    return escape_json(json.dumps(made, ensure_ascii=False))


class _Skips:
    """Tells of skipped rows: the first of each kind with their lines, the others by their number."""

    def __init__(self, path: str, aside: Console) -> None:
        self._path, self._aside = path, aside
        self._seen: Counter[str] = Counter()

    def tell(self, row: Skipped) -> None:
        """Print a skipped row, unless enough of its kind were."""
        kind = re.sub(r"\d+", "N", row.reason)
        self._seen[kind] += 1
        if self._seen[kind] <= TOLD:
            self._print(f"{self._path}:{row.line}: {one_line(row.reason)}; skipped")

    def count(self) -> None:
        """Print how many more there were of each kind."""
        for kind, times in self._seen.items():
            if times > TOLD:
                self._print(f"{self._path}: {times - TOLD:,} more like it: {kind}; skipped")

    def _print(self, line: str) -> None:
        self._aside.print(Text(line, "yellow"), soft_wrap=True)


def _scorer(order: ScoreOrder) -> Scorer:
    tone = order.tone == "classifier"
    evaluator = Evaluator(
        order.frames,
        order.cues,
        order.sentiment_model,
        sentiment=tone,
        implied=order.extractor == "judge",
    )
    if order.judge is None:
        return Scorer(evaluator)
    from multiplex.evaluation.extraction.judge import Judge

    return Scorer(evaluator, order.extractor, Judge(order.judge), judges_tone=order.tone == "judge")


def _tally(groups: int, order: ScoreOrder) -> Tally:
    """A further tally, where there are not too many."""
    if groups > MOST_GROUPS:
        raise UsageError(
            f"--group-by {order.columns.group}: more than {MOST_GROUPS:,} values; choose a column with fewer"
        )
    return Tally(order.frames[0].names, order.cues, order.frames[0].name)


def _bar(console: Console) -> Progress:
    """A bar on standard error; none where the texts' own lines run over the same terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal or sys.stdout.isatty(), transient=True,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip


def _print(out: Console, made: dict[str, Summary], texts: _Texts) -> None:
    for name, summary in made.items():
        out.print()
        print_summary(out, summary, name if name or len(made) == 1 else "all")
    if (agreement := texts.scorer.agreement()) is not None and made:
        out.print()
        print_agreement(out, agreement)
    print_frames(out, texts.spreads)
    if made:
        out.print(Text(notes(made[EVERY_TEXT]), "dim"))
    for name, of in texts.unread_groups(made).items():
        told = f"{one_line(name)}: none of its texts is in a language that is read{languages_of(of)}"
        out.print(Text(told, "yellow"))


def _write(path: Path, content: dict[str, object]) -> None:
    try:
        with open_draft(path) as out:
            out.write(escape_json(json.dumps(content, ensure_ascii=False, indent=2)) + "\n")
    except MultiplexError as error:
        raise MultiplexError(f"--summary {error}") from error
