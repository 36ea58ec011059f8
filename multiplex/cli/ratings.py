"""Carries out `multiplex bench ratings`: takes rating files in, lets a model rate, prints what the ratings come to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table as Printed
from rich.text import Text

from multiplex.bench.analysis.ratings import Ratings, read_ratings
from multiplex.bench.ratings import judge
from multiplex.bench.ratings.blind import Form, Key, make_sheet
from multiplex.bench.ratings.blind_folder import shown_text
from multiplex.bench.ratings.folder import accept_files, find_kept, keep, known_keys
from multiplex.bench.ratings.rubric import Rubric
from multiplex.bench.report.rating_tables import false_claims, make_tables
from multiplex.bench.report.tables import Table
from multiplex.bench.store.store import Store
from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import shown_tokens
from multiplex.text.console import SafeConsole, make_table, print_table
from multiplex.text.terminal import escape_json


@dataclass(frozen=True)
class RatingsOrder:
    """What the command line asked for; `judge` is a model that is to rate `set`, or the only one there is."""

    folder: Path
    files: tuple[Path, ...]
    judge: ModelSpec | None
    set: str | None
    as_json: bool


def carry_out(order: RatingsOrder) -> int:
    """Take the files in, all or none, let the model rate, and print the figures of all ratings that the run keeps.

    The exit code: 0, or 1 where the model left a question without marks.

    Raises:
        ContentError: a file is wrong; nothing was kept.
        UsageError: nothing was handed out, or there are no ratings.
        MultiplexError: the model rated nothing, or the disk refuses.
    """
    told, whole = SafeConsole(stderr=True), True
    if order.files:
        new, again = accept_files(order.folder, order.files)
        told.print(Text(f"{len(new)} ratings taken in, {len(again)} were there already", "dim"), soft_wrap=True)
    if order.judge is not None:
        whole = asyncio.run(_judge(order.folder, order.judge, order.set, told))
    found = read_ratings(order.folder)
    if found is None:
        known_keys(order.folder)
        raise UsageError(f"{order.folder}: no ratings yet; give the files that raters saved, or --rater judge")
    if order.as_json:
        print(escape_json(found.model_dump_json(indent=2)))
    else:
        print_ratings(found, SafeConsole())
    return 0 if whole else 1


async def _judge(folder: Path, spec: ModelSpec, name: str | None, told: Console) -> bool:
    """Let a model rate a set; whether every question has its marks."""
    keys, rubric = known_keys(folder), Rubric.load()
    key = _chosen(keys, name)
    if key.rubric != rubric.digest:
        raise UsageError(f"set {key.set} was made with another rubric; make a new one with `multiplex bench blind`")
    kept = find_kept(folder, keys, key.set, spec.name, spec.place)
    with Store.read(folder) as store:

        def text_of(form: Form, unit: str) -> str:
            return shown_text(store, form, unit)

        sheet = make_sheet(key, text_of)
    chat = Chat(spec, transport="whole")
    try:
        accepted = await judge.rate(sheet, key, rubric, chat, kept, lambda rating: keep(folder, rating))
    finally:
        await chat.aclose()
    rated = len(accepted.rating.ratings)
    cost = "" if (spent := accepted.usage) is None else f"; {spent.calls:,} calls, tokens: {shown_tokens(spent)}"
    told.print(Text(f"{spec.name} rated {rated} answers of set {key.set}{cost}", "dim"), soft_wrap=True)
    for number, why in sorted(accepted.unread.items()):
        told.print(Text(f"question {number} is not counted: {why}", "yellow"), soft_wrap=True)
    if accepted.unread:
        told.print(Text("the same command asks these questions again, and no other", "dim"), soft_wrap=True)
    return not accepted.unread


def _chosen(keys: Mapping[str, Key], name: str | None) -> Key:
    there = ", ".join(keys)
    if name is None and len(keys) > 1:
        raise UsageError(f"several sets were handed out; name one with --set: {there}")
    if name is not None and name not in keys:
        raise UsageError(f"--set {name!r}: this run has no such set; there are: {there}")
    return keys[name] if name is not None else next(iter(keys.values()))


def print_ratings(found: Ratings, console: Console) -> None:
    """The tables of `rating_tables`, and what raters called false."""
    for table in make_tables(found):
        console.print(Text(table.title, "bold"))
        print_table(console, _printed(table))
        if table.note:
            console.print(Text(table.note, "dim"), soft_wrap=True)
        console.print()
    for lead, lines in false_claims(found):
        console.print(Text(lead, "bold"), soft_wrap=True)
        for line in lines:
            console.print(Text(f"- {line}"), soft_wrap=True)


def _printed(table: Table) -> Printed:
    """A report's table; a column without a letter in it holds figures."""
    several = len(table.groups) > 1
    head = (*(["model"] if several else []), *table.head)
    rows = [(*([name] if several else []), *row) for name, group in table.groups for row in group]
    words = {place for place in range(len(head)) if any(sign.isalpha() for row in rows for sign in row[place])}
    printed = make_table(head, words, padding=(0, 2))
    for row in rows:
        printed.add_row(*map(Text, row))
    return printed
