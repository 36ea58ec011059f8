"""Shows what is there: every run of a folder, and all that is known of one unit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from multiplex.bench.store.records import Record, Score
from multiplex.bench.store.schema import DATABASE
from multiplex.bench.store.store import Store
from multiplex.council.answer import Answer, Voice
from multiplex.errors import MultiplexError, UsageError
from multiplex.evaluation import Measures
from multiplex.llm.usage import Usage, total
from multiplex.present.depth import LABELS, shown
from multiplex.present.numbers import number
from multiplex.text.console import make_table, print_table
from multiplex.text.terminal import visible

_HEAD = ("run", "questions", "models", "strategies", "units", "tokens", "last change")
_NUMBERS = frozenset({"questions", "units", "tokens"})


def list_runs(folder: Path, console: Console) -> None:
    """Print a table of the runs in this folder, by name; beneath it a line for each that cannot be read.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"--dir {folder}: no such folder; `multiplex bench run` makes it")
    table = make_table(_HEAD, range(len(_HEAD)))
    for column in table.columns:
        column.no_wrap = column.header not in ("run", "models")  # the names that users choose give way
        column.justify = "right" if column.header in _NUMBERS else "left"
    unread = []
    for path in sorted(folder.glob(f"*/{DATABASE}")):
        try:
            table.add_row(*(_plain(cell) for cell in _row(path.parent)))
        except MultiplexError as error:
            unread.append(str(error))
    if table.row_count:
        print_table(console, table)
    elif not unread:
        console.print(Text(f"no run in {folder}; `multiplex bench run` makes one"), soft_wrap=True)
    for line in unread:
        console.print(_plain(line, "yellow"), soft_wrap=True)


def _row(folder: Path) -> list[str]:
    with Store.read(folder) as store:
        of, spent = store.overview(), total(store.spent().values())
    units = f"{of.done:,} done\n{of.failed:,} failed\n{of.pending:,} pending"
    changed = of.changed.replace("T", "\n").replace("+00:00", " UTC")
    models, strategies = "\n".join(of.models), "\n".join(of.strategies)
    return [folder.name, f"{of.questions:,}", models, strategies, units, _tokens(spent), changed]


def show(store: Store, unit_id_prefix: str, console: Console) -> None:
    """Print one unit: its question, its answer with the voices, what failed, what was measured and what it cost.

    Raises:
        UsageError: no unit's id begins so, or several do.
    """
    record = _named(store, unit_id_prefix)
    unit = record.unit
    where = [
        unit.model,
        unit.strategy,
        f"epoch {unit.epoch}",
        unit.question_id,
        unit.language,
        unit.domain,
        _CUED[unit.cued],
    ]
    console.print(Text(f"unit {unit.id}", "bold"))
    console.print(_plain(", ".join(part for part in where if part), "dim"))
    console.print()
    console.print(_plain(unit.question))
    console.print()
    if record.answer is not None:
        _print_answer(record.answer, console)
    elif record.failure is None:
        console.print(Text("pending: not answered yet", "yellow"))
    _print_failures(store, unit.id, console)
    if record.score is not None:
        _print_score(record.score, console)
    elif record.answer is not None and unit.closed is None:
        console.print(Text("not measured yet: `multiplex bench score` does it", "dim"), soft_wrap=True)
    _print_calls(store, unit.id, console)


_CUED = {True: "cued", False: "not cued", None: ""}


def _named(store: Store, prefix: str) -> Record:
    found = store.named(prefix) if prefix else []
    if not found:
        raise UsageError(f"{store.path}: no unit's id begins with {prefix!r}; results.csv of the report lists them")
    if len(found) > 1:
        raise UsageError(f"{store.path}: several units' ids begin with {prefix!r}: {', '.join(found)}; give more of it")
    record = store.record(found[0])
    if record is None:
        raise AssertionError(f"unit {found[0]} was there a moment ago")
    return record


def _print_answer(answer: Answer, console: Console) -> None:
    console.print(Rule("answer", style="dim"))
    console.print(_plain(answer.text))
    said = answer.rounds or answer.voices
    several = any(voice.round > 1 for voice in said)
    for voice in said:
        console.print(Rule(_plain(_title(voice, several)), style="dim"))
        console.print(_plain(voice.text) if voice.error is None else _plain(f"lost: {voice.error}", "yellow"))
        if voice.note is not None:
            console.print(_plain(voice.note, "yellow"), soft_wrap=True)
    console.print(Rule(style="dim"))
    for note in answer.notes:
        console.print(_plain(note, "yellow"), soft_wrap=True)


def _title(voice: Voice, several: bool) -> str:
    return f"the {voice.title} voice" + (f", round {voice.round}" if several else "")


def _print_failures(store: Store, unit_id: str, console: Console) -> None:
    for at, failure in store.failures(unit_id):
        console.print(_plain(f"failed at {at}: {failure.kind}: {failure.message}", "red"), soft_wrap=True)


def _print_score(score: Score, console: Console) -> None:
    table = make_table(["", ""], show_header=False)
    if score.measures is not None:
        for name, value in _figures(score.measures):
            table.add_row(name, value)
    if score.retention is not None:
        table.add_row(
            f"mean {score.retention.coverage.kind} with the voices", number(score.retention.coverage.mean, ".0%")
        )
    if table.row_count:
        print_table(console, table)
    if score.note is not None:
        console.print(_plain(score.note, "yellow"), soft_wrap=True)


def _figures(measures: Measures) -> Iterator[tuple[str, str]]:
    """What was measured, a name and a value each; `–` where a figure does not exist."""
    yield "references (n)", f"{measures.n}"
    yield "entropy", number(measures.entropy, ".1f", "%")
    for name, label in LABELS.items():
        yield label.name, shown(measures.depth, name)
    yield "entropy without names from the prompts", number(measures.entropy_unprompted, ".1f", "%")
    yield "out of frame", number(measures.out_of_frame, ".0%")
    yield "words", f"{measures.words:,}"
    if (tone := measures.sentiment) is not None:
        yield "positive / neutral / negative", f"{tone.positive:.2f} / {tone.neutral:.2f} / {tone.negative:.2f}"
    for perspective in measures.frame:
        share = measures.shares[perspective] if measures.n else None
        yield f"share of {perspective}", number(share, ".0%")


def _print_calls(store: Store, unit_id: str, console: Console) -> None:
    calls = store.calls(unit_id)
    spent = total(call.usage for call in calls if call.error is None)
    line = (
        f"{spent.calls} calls answered, tokens {_tokens(spent)}, {sum(call.seconds for call in calls):.1f} s of calls"
    )
    again = sum(call.attempts - 1 for call in calls)
    console.print(Text(line + (f", {again} attempts made again" if again else ""), "dim"), soft_wrap=True)
    for call in calls:
        if call.error is not None:
            console.print(_plain(f"call failed: {call.error.kind}: {call.error.message}", "red"), soft_wrap=True)


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None or usage.output_tokens is None:
        return "not reported"
    return f"{usage.input_tokens + usage.output_tokens:,}"


def _plain(text: str, style: str = "") -> Text:
    """Foreign text as text: no markup, and nothing that a terminal would obey."""
    return Text(visible(text), style)
