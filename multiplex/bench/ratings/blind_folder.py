"""Hands a blind set out: reads the run, writes the raters' folder, and keeps the key in the run's own folder."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from multiplex.bench.ratings import blind
from multiplex.bench.ratings.blind import Form, Key
from multiplex.bench.ratings.rubric import Rubric, as_markdown
from multiplex.bench.store.store import Store
from multiplex.content import open_draft, read_text, storable
from multiplex.errors import ContentError, MultiplexError, UsageError, first_invalid

BLIND = "blind"
KEY = ".key.json"
PAGE, RUBRIC = "rate.html", "rubric.md"
FILE_LIMIT = 20_000_000  # bytes


@dataclass(frozen=True)
class HandedOut:
    """What was written: the folder for raters and the key; `left_out`: questions of the run that lack an answer."""

    folder: Path
    key: Key
    key_path: Path
    left_out: int


def hand_out(
    run: Path, store: Store, strategies: list[str], limit: int | None, seed: int | None, output: Path | None
) -> HandedOut:
    """Write `rate.html` and `rubric.md` of a new set into `output`, and its key into the run's `blind` folder.

    Without a seed one is drawn, so that nobody who knows this program can work the letters out. `output` is by
    default `rate-SET` in the current folder.

    Raises:
        UsageError: `strategies` or the limit do not fit the run, or the folder is not empty or inside the run.
        ContentError: the rubric is missing or wrong.
        MultiplexError: the disk refuses.
    """
    from multiplex.bench.ratings.page import page

    forms = blind.checked_forms(strategies)
    if output is not None:
        _check_folder(run, output)
    rubric = Rubric.load()
    seed = seed if seed is not None else secrets.randbelow(2**31)
    candidates = blind.find_candidates(store.records())
    usable = blind.find_usable(candidates, forms)
    chosen = blind.choose(usable, limit, seed)

    def text_of(form: Form, unit: str) -> str:
        return shown_text(store, form, unit)

    key = blind.make_key(chosen, forms, seed, rubric.digest, text_of)
    sheet = blind.make_sheet(key, text_of)
    folder = output if output is not None else Path(f"rate-{key.set}")
    if output is None:
        _check_folder(run, folder)
    path = run / BLIND / f"{key.set}{KEY}"
    for place in (path.parent, folder):
        _make_folder(place)
    for file, text in (
        (path, key.model_dump_json(indent=2) + "\n"),
        (folder / RUBRIC, as_markdown(rubric)),
        (folder / PAGE, page(sheet, rubric)),
    ):
        with open_draft(file) as out:
            out.write(text)
    return HandedOut(folder, key, path, len({each.question.id for each in candidates}) - len(usable))


def shown_text(store: Store, form: Form, unit: str) -> str:
    """What a reader sees of a stored answer.

    Raises:
        UsageError: the run has no such answer.
    """
    answer = store.answer(unit)
    text = blind.read_form(form, answer) if answer is not None else ""
    if not text:
        raise UsageError(f"{store.path}: unit {unit} has no answer to show")
    return storable(text)


def read_keys(run: Path) -> dict[str, Key]:
    """The keys of every set that was handed out from this run, by the set's name.

    Raises:
        ContentError: a key is damaged.
    """
    from pydantic import ValidationError

    keys = {}
    for path in sorted((run / BLIND).glob(f"*{KEY}")):
        try:
            key = Key.model_validate_json(read_file(path))
        except ValidationError as error:
            wrong = first_invalid(error)
            raise ContentError(path, f"is no key of a blind set ({wrong.problem})", field=wrong.field) from error
        keys[key.set] = key
    return keys


def read_file(path: Path) -> str:
    """The UTF-8 text of a key or a rating file.

    Raises:
        ContentError: it is absent, unreadable, too large, or not UTF-8.
    """
    return read_text(path, FILE_LIMIT, "no rating file is")


def _check_folder(run: Path, output: Path) -> None:
    if output.resolve().is_relative_to(run.resolve()):
        raise UsageError(f"--output {output}: inside the run, where the key is kept; hand out a folder elsewhere")
    try:
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise UsageError(f"--output {output}: not an empty folder; name another")
    except OSError as error:
        raise UsageError(f"--output {output}: cannot be read: {error.strerror or error}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
