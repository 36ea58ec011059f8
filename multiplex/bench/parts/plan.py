"""What is to be scored, as parts: the files of a corpus, or a shard of one file's rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from multiplex.bench.parts.corpus import MANIFEST, Corpus
from multiplex.content import PROJECT, sha256
from multiplex.errors import UsageError
from multiplex.evaluation import Evaluator
from multiplex.evaluation.corpus import Columns
from multiplex.evaluation.extraction.frames import Frame
from multiplex.evaluation.statistics.summary import Tally
from multiplex.settings import Shard

Form = Literal["jsonl", "parquet"]
MOST_GROUPS = 1000  # that are summed up


class BrokenPartError(UsageError):
    """The texts of one part cannot be read; others can be measured all the same."""


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


class UnreadTexts(BaseModel):
    """How many texts are in no figure, and of what is measured, in how many texts it was not, by language."""

    model_config = ConfigDict(frozen=True)
    left_out: int
    unread: Mapping[str, Mapping[str, int]]


class WrittenFile(BaseModel):
    """A file beside a manifest: its name, its size in bytes, and its SHA-256."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> WrittenFile:
        """That file as it is now."""
        return cls(name=path.name, size=path.stat().st_size, digest=file_digest(path))


class PartManifest(BaseModel):
    """What was made of one part; it is written last, so that a part is done where it stands.

    Attributes:
        source: the part's name; `size` (bytes), `modified` (ns) and `digest` (SHA-256) of its file then.
        shard: which of its rows; None for all.
        scores, rows: the files of scores and of figures, beside this one.
        measured, skipped: rows.
        reasons: why rows were skipped, by how often; numbers in them are N.
        groups: the values of the grouping column, as the rows of figures number them.
        counts: references by perspective.
        unread: by group, of the texts in languages that are not read, or not for everything.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    size: int
    modified: int
    digest: str
    shard: str | None
    measuring: Measuring
    scores: WrittenFile
    rows: WrittenFile
    measured: int
    skipped: int
    reasons: Mapping[str, int]
    groups: tuple[str, ...]
    counts: Mapping[str, int]
    unread: Mapping[str, UnreadTexts] = {}

    @property
    def not_read(self) -> int:
        """How many texts are in no figure, for their language."""
        return sum(each.left_out for each in self.unread.values())


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
        return self._beside(f".scores.{self.form}")

    @property
    def rows(self) -> Path:
        """The file of figures that a summary is made of."""
        return self._beside(".rows.f64")

    @property
    def manifest(self) -> Path:
        """The file that says that the part is done."""
        return self._beside(MANIFEST)

    def _beside(self, ending: str) -> Path:
        return self.folder / f"{self.name}{f'.{self.shard}' if self.shard else ''}{ending}"


def corpus_parts(corpus: Corpus, folder: Path, shard: Shard | None) -> list[CorpusPart]:
    """The parts of a corpus that fall to this shard, in the order of their names; what is made goes to `folder`.

    Files are divided among shards by their names, the rows of a single file in blocks.
    """
    folder = folder.resolve()
    if corpus.by_rows:
        return [CorpusPart(corpus.root / name, name, folder, shard) for name in corpus.names]
    own = (name for name in corpus.names if shard is None or shard.has(name))
    return [CorpusPart(corpus.root / name, name, folder) for name in own]


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


def find_done(part: CorpusPart, measuring: Measuring) -> PartManifest | None:
    """The manifest of a part that was measured so, whose texts have not changed since and whose files are there.

    Raises:
        UsageError: its manifest cannot be read, or its texts are not there.
    """
    made = read_manifest(part.manifest)
    size, modified = stamp(part.source)
    if made is None or (made.measuring.key, made.size, made.modified) != (measuring.key, size, modified):
        return None
    whole = all(
        path.is_file() and path.stat().st_size == written.size
        for path, written in ((part.scores, made.scores), (part.rows, made.rows))
    )
    return made if whole else None


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


def file_digest(path: Path) -> str:
    """A file's SHA-256, as 64 hex digits.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def describe(**columns: Any) -> Measuring:
    """A measuring with the content that is here."""
    from multiplex.bench.execute.scoring import Scoring

    return Measuring(**columns, content=Scoring().content)
