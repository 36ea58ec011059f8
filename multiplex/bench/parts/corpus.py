"""The files of texts whose parts one folder holds: found by name, and written down there as `corpus.json`."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from multiplex.content import open_draft, storable
from multiplex.errors import MultiplexError, UsageError
from multiplex.text.listing import listed

ENDINGS = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".pq"})
CORPUS = "corpus.json"
MANIFEST = ".part.json"
_SHARD = re.compile(r"\.\d+-of-\d+$")


class Corpus(BaseModel):
    """The files of a folder or a pattern, or one file.

    Attributes:
        root: where the files lie, absolute, so that every machine of a cluster means the same.
        names: of the files, relative to `root`, with `/`, in order.
        by_rows: whether shards divide the rows of its one file; else they take whole files.
    """

    model_config = ConfigDict(frozen=True)
    root: Path
    names: tuple[str, ...]
    by_rows: bool


def find_corpus(source: str, folder: Path) -> Corpus:
    """The files that a file's name, a folder or a pattern means; `folder` is where their parts will go.

    Raises:
        UsageError: there is no such file, or none that can be read as texts; or `folder` is no folder of its own.
    """
    path = Path(source)
    if path.is_file():
        return _corpus(path.parent, [path], by_rows=True)
    if path.is_dir():
        root, found, deep = path, sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS), True
    else:
        root, found, deep = _matching(source)
    files = [each for each in found if each.is_file()]
    if not files:
        raise UsageError(f"{source}: no file of texts is there; a folder or a pattern of {', '.join(sorted(ENDINGS))}")
    out = folder.resolve()
    if any(out in file.resolve().parents for file in files):
        raise UsageError(f"--out {folder}: holds texts that are to be scored; give a folder of its own")
    if deep and root.resolve() in (out, *out.parents):
        raise UsageError(f"--out {folder}: lies among the texts, as which its files would be read; give one elsewhere")
    return _corpus(root, files, by_rows=False)


def _corpus(root: Path, files: Iterable[Path], *, by_rows: bool) -> Corpus:
    names, there = tuple(each.relative_to(root).as_posix() for each in files), root.resolve()
    for name in (str(there), *names):
        if (shown := storable(name)) != name:
            raise UsageError(f"{shown!r}: the name of these texts is not UTF-8; rename it")
    return Corpus(root=there, names=names, by_rows=by_rows)


def _matching(pattern: str) -> tuple[Path, list[Path], bool]:
    """What a pattern matches below its last folder without magic, and whether folders below that one match too."""
    root, pieces = Path(pattern[: len(pattern) - len(pattern.lstrip("/"))] or "."), Path(pattern).parts
    plain = next((number for number, piece in enumerate(pieces) if glob.has_magic(piece)), len(pieces))
    found = sorted(map(Path, glob.glob(pattern, recursive=True))) if plain < len(pieces) else []  # noqa: PTH207
    return root.joinpath(*pieces[:plain]), found, len(pieces) > plain + 1 or "**" in pattern


def begin_corpus(corpus: Corpus, folder: Path) -> None:
    """Write down in a folder what is measured into it, unless that stands there.

    Raises:
        UsageError: the folder holds parts of other files.
        MultiplexError: the disk refuses.
    """
    there = read_corpus(folder)
    if there is not None and there.root != corpus.root:
        raise UsageError(
            f"--out {folder}: holds what was measured of {there.root}, not of {corpus.root}; give another folder, or "
            f"delete {folder / CORPUS} if the same texts have moved"
        )
    check_strangers(folder, corpus.names)
    if there == corpus:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{folder}: cannot be made: {error.strerror or error}") from error
    with open_draft(folder / CORPUS) as out:
        out.write(corpus.model_dump_json(indent=1) + "\n")


def read_corpus(folder: Path) -> Corpus | None:
    """What is measured into a folder; None where nothing is.

    Raises:
        UsageError: that cannot be read.
    """
    path = folder / CORPUS
    try:
        return Corpus.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise UsageError(f"{folder}: a file stands where a folder is needed; give another") from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be read ({str(error).splitlines()[0]}); delete it, and start `multiplex score` again"
        ) from error


def check_strangers(folder: Path, names: Collection[str]) -> None:
    """Raises UsageError where a folder holds parts of files that have none of these names."""
    known = set(names)
    made = sorted(path.relative_to(folder).as_posix().removesuffix(MANIFEST) for path in folder.rglob(f"*{MANIFEST}"))
    if strange := [name for name in made if name not in known and _SHARD.sub("", name) not in known]:
        raise UsageError(
            f"{folder}: holds parts of files that are not, or no more, to be scored: {listed(strange)}; delete what "
            f"was made of them ({folder / strange[0]}.*), or give another folder"
        )
