"""A comparison of two runs in words: on the terminal, as Markdown, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.bench.analysis.compare import ComparedCondition, RunComparison
from multiplex.bench.analysis.figure_change import FigureChange, FigureName
from multiplex.content import open_draft
from multiplex.errors import UsageError
from multiplex.text.markdown import escape_markdown

if TYPE_CHECKING:
    from rich.console import Console

HEAD = ("", "before", "after", "after - before", "95% interval", "p")
_LABELS: Mapping[FigureName, tuple[str, str]] = {
    "macro0": ("entropy, 0 where no reference, %", ".1f"),
    "macro": ("entropy of answers with a reference, %", ".1f"),
    "micro": ("entropy, micro average, %", ".1f"),
    "unprompted macro0": ("entropy without names from the prompts, %", ".1f"),
    "tone positive": ("positive tone", ".3f"),
    "tone negative": ("negative tone", ".3f"),
    "words": ("words an answer", ".0f"),
    "seconds": ("seconds an answer", ".1f"),
    "input_tokens": ("input tokens an answer", ".0f"),
    "output_tokens": ("output tokens an answer", ".0f"),
}
"""What each figure is called, and how it is printed."""


def rows(condition: ComparedCondition) -> list[tuple[str, ...]]:
    """The changes of one condition, a row of HEAD each."""
    return [(_LABELS[name][0], *_cells(change, _LABELS[name][1])) for name, change in condition.changes.items()]


def title(condition: ComparedCondition) -> str:
    """Whose the changes are and what they stand on, a line."""
    name = ", ".join(filter(None, (condition.model, condition.strategy, condition.language)))
    said = [f"{name}: {condition.paired} answers to {condition.questions} questions in both"]
    said += [f"{condition.same} of them equal"] if condition.paired else []
    said += [f"{condition.unfinished_before} without a measure before"] if condition.unfinished_before else []
    said += [f"{condition.unfinished_after} without a measure after"] if condition.unfinished_after else []
    said += [f"{condition.only_before} units only before"] if condition.only_before else []
    said += [f"{condition.only_after} units only after"] if condition.only_after else []
    return "; ".join(said)


def as_markdown(comparison: RunComparison) -> str:
    """The whole comparison as a Markdown page."""
    return "\n".join(_markdown(comparison)) + "\n"


def write(comparison: RunComparison, path: Path) -> None:
    """Write the comparison as its file's ending says.

    Raises:
        UsageError: the ending is neither .md nor .json.
        MultiplexError: the file cannot be written.
    """
    if path.suffix not in (".md", ".json"):
        raise UsageError(f"--output {path}: end it in .md or .json")
    text = as_markdown(comparison) if path.suffix == ".md" else comparison.model_dump_json(indent=2) + "\n"
    with open_draft(path) as out:
        out.write(text)


def print_comparison(comparison: RunComparison, console: Console) -> None:
    """The comparison as tables on a terminal."""
    from rich.text import Text

    from multiplex.text.console import make_table, print_table

    for line in _lines(comparison):
        console.print(Text(line), soft_wrap=True)
    for condition in comparison.conditions:
        table = make_table(HEAD, title=Text(title(condition)), title_justify="left")
        for row in rows(condition):
            table.add_row(*(Text(cell) for cell in row))
        console.print()
        print_table(console, table)


def _lines(comparison: RunComparison) -> Iterator[str]:
    yield f"before: {comparison.before}; after: {comparison.after}; measured by scoring {comparison.scoring}"
    yield "Made alike: nothing that shapes answers has changed." if not comparison.changed else "What has changed:"
    yield from (f"- {line}" for line in comparison.changed)
    if comparison.versions:
        yield f"Versions: {'; '.join(comparison.versions)}"


def _markdown(comparison: RunComparison) -> Iterator[str]:
    yield "# Two runs compared"
    for line in _lines(comparison):
        yield ("" if line.startswith("- ") else "\n") + escape_markdown(line)
    for condition in comparison.conditions:
        yield f"\n## {escape_markdown(title(condition))}\n"
        yield from (_row(cells) for cells in (HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *rows(condition)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"


def _cells(change: FigureChange, form: str) -> tuple[str, ...]:
    low, high = change.difference.low, change.difference.high
    around = f"{low:{form}} to {high:{form}}" if low is not None and high is not None else "none"
    p = "none" if change.p is None else f"{change.p:.4f}"
    value = change.difference.value
    return (_shown(change.before, form), _shown(change.after, form), _shown(value, f"+{form}"), around, p)


def _shown(value: float | None, form: str) -> str:
    return "none" if value is None else f"{value:{form}}"
