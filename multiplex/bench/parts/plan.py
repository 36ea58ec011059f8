"""What is to be scored, as parts: the files of a folder or a pattern, or a shard of one file's rows."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from multiplex.content import PROJECT, sha256
from multiplex.errors import UsageError
from multiplex.evaluation import Evaluator
from multiplex.evaluation.corpus import Columns
from multiplex.evaluation.extraction.frames import Frame
from multiplex.evaluation.statistics.summary import Tally
from multiplex.settings import Shard

ENDINGS = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".pq"})
Form = Literal["jsonl", "parquet"]


class Measuring(BaseModel):
    """How texts are measured, always by the local extractor; parts measured by the same key can be joined.

    Attributes:
        tone: whether the tone is read; `sentiment_model` reads it, None for the built-in head.
        text, group, scaffold, question: the columns, as `multiplex.evaluation.corpus.Columns` has them.
        content: SHA-256 over the content that is read.
        version: of this package.
    """

    model_config = ConfigDict(frozen=True)
    frame: Frame
    cues: tuple[str, ...]
    tone: bool = True
    sentiment_model: str | None = None
    text: str = "text"
    group: str | None = None
    scaffold: str | None = None
    question: str | None = None
    content: str = ""
    version: str = Field(default_factory=lambda: version(PROJECT))

    @property
    def key(self) -> str:
        """16 hex digits, the same for the same measuring."""
        return sha256(self.model_dump_json())[:16]

    @property
    def columns(self) -> Columns:
        """The columns to read."""
        return Columns(self.text, self.group, self.scaffold, self.question)

    def tally(self) -> Tally:
        """An empty tally of texts that are measured so."""
        return Tally(self.frame.names, self.cues, self.frame.name)

    def evaluator(self) -> Evaluator:
        """An evaluator that measures so; nothing is loaded yet."""
        return Evaluator(self.frame, self.cues, self.sentiment_model, sentiment=self.tone)


class PartManifest(BaseModel):
    """What was made of one part; it is written last, so that a part is done where it stands.

    Attributes:
        source: the part's name; `size` (bytes) and `modified` (ns) of its file then.
        shard: which of its rows; None for all.
        scores: the name of the file of scores, beside this one; `digest` its SHA-256.
        measured, skipped: rows.
        reasons: why rows were skipped, by how often; numbers in them are N.
        groups: the values of the grouping column, as the rows of figures number them.
        counts: references by perspective.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    size: int
    modified: int
    shard: str | None
    measuring: Measuring
    scores: str
    digest: str
    measured: int
    skipped: int
    reasons: Mapping[str, int]
    groups: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class CorpusPart:
    """One piece of work: a file or some of its rows, and where what is made of it goes.

    Attributes:
        name: of the source, relative to where all sources lie, with `/`.
        shard: which blocks of its rows; None for all.
        folder: of everything that is made; it may not hold the sources.
    """

    source: Path
    name: str
    folder: Path
    shard: Shard | None = None

    @property
    def form(self) -> Form:
        """How its scores are written: as its texts are, where that is Parquet, else as JSON Lines."""
        return "parquet" if self.source.suffix.lower() in (".parquet", ".pq") else "jsonl"

    @property
    def scores(self) -> Path:
        """The file of scores, a row a text."""
        return self._beside(f"scores.{self.form}")

    @property
    def rows(self) -> Path:
        """The file of figures that a summary is made of."""
        return self._beside("rows.f64")

    @property
    def manifest(self) -> Path:
        """The file that says that the part is done."""
        return self._beside("part.json")

    def _beside(self, ending: str) -> Path:
        return self.folder / f"{self.name}{f'.{self.shard}' if self.shard else ''}.{ending}"


def find_parts(source: str, folder: Path, shard: Shard | None) -> list[CorpusPart]:
    """The parts of a file, a folder or a pattern that fall to this shard, in the order of their names.

    The files of a folder or pattern are divided among shards by their names, the rows of a single file in blocks.

    Raises:
        UsageError: there is no such file, or none that can be read as texts; or the sources lie in `folder`.
    """
    path = Path(source)
    if path.is_file():
        return [CorpusPart(path, path.name, folder, shard)]
    if path.is_dir():
        root, found = path, sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS)
    else:
        root = Path(source[: len(source) - len(source.lstrip("/"))] or ".")
        for piece in path.parts:
            if glob.has_magic(piece):
                break
            root = root / piece
        found = sorted(map(Path, glob.glob(source, recursive=True))) if glob.has_magic(source) else []  # noqa: PTH207
    parts = [CorpusPart(each, each.relative_to(root).as_posix(), folder) for each in found if each.is_file()]
    if not parts:
        raise UsageError(f"{source}: no file of texts is there; a folder or a pattern of {', '.join(sorted(ENDINGS))}")
    if any(folder.resolve() in part.source.resolve().parents for part in parts):
        raise UsageError(f"--out {folder}: holds texts that are to be scored; give a folder of its own")
    return [part for part in parts if shard is None or shard.has(part.name)]


def read_manifest(path: Path) -> PartManifest | None:
    """A part's manifest; None where it is not there.

    Raises:
        UsageError: it is there and cannot be read.
    """
    try:
        return PartManifest.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: is no manifest of a part ({str(error).splitlines()[0]}); delete it") from error


def is_done(part: CorpusPart, measuring: Measuring) -> bool:
    """Whether a part was measured so already, and its texts have not changed since.

    Raises:
        UsageError: its manifest cannot be read, or its texts are not there.
    """
    made = read_manifest(part.manifest)
    size, modified = stamp(part.source)
    return made is not None and (made.measuring.key, made.size, made.modified) == (measuring.key, size, modified)


def stamp(path: Path) -> tuple[int, int]:
    """A file's size in bytes, and when it was written, in ns.

    Raises:
        UsageError: it is not there.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    return found.st_size, found.st_mtime_ns


def describe(**columns: Any) -> Measuring:
    """A measuring with the content that is here."""
    from multiplex.bench.execute.scoring import Scoring

    return Measuring(**columns, content=Scoring().content)
