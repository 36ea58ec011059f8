"""A model file as it grows, part by part, so that a download that was killed goes on where it stopped."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO

from multiplex.errors import WeightsError
from multiplex.llm.local.weights import CHUNK, Places, Weights, in_words, remember

OTHER_WAYS = "run the same command again, or set MULTIPLEX_GGUF to a GGUF file that you have"


@dataclass(frozen=True)
class Mark:
    """A finished part: the file's size in bytes and its SHA-256 from the first byte on, once the part is in."""

    name: str
    size: int
    sha256: str


class Partial:
    """The growing file: appended to, marked at each finished part, and turned into the whole once its hash is right.

    Bytes behind the last mark are a part not yet finished; `rewind` drops them.
    """

    def __init__(self, weights: Weights, at: Places, file: BinaryIO) -> None:
        self.weights, self.at, self._file = weights, at, file
        self._hash = hashlib.sha256()
        self.size = 0
        self.marks: list[Mark] = []
        self._at_mark = self._hash.copy()
        self._read_back()

    def append(self, data: bytes) -> None:
        """Adds bytes at the end.

        Raises:
            WeightsError: they are more than the model has; everything fetched is then dropped.
            OSError: the disk refuses them.
        """
        if self.size + len(data) > self.weights.size:
            self.rewind(to_mark=False)
            raise WeightsError(f"what was fetched is longer than {self.weights.name} and was removed; {OTHER_WAYS}")
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def mark(self, name: str) -> None:
        """Notes on the disk that the part of this name is in, whole."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self.marks.append(Mark(name, self.size, self._hash.hexdigest()))
        self._at_mark = self._hash.copy()
        self._write_state()

    def rewind(self, to_mark: bool = True) -> None:
        """Drops the bytes behind the last mark, or all bytes and marks."""
        if not to_mark:
            self.marks, self._at_mark = [], hashlib.sha256()
            self._write_state()
        self.size = self.marks[-1].size if self.marks else 0
        self._hash = self._at_mark.copy()
        self._file.seek(self.size)
        self._file.truncate()

    def is_whole(self) -> bool:
        """Whether the bytes so far are the model, by size and hash."""
        return self.size == self.weights.size and self._hash.hexdigest() == self.weights.sha256

    def finish(self) -> None:
        """Makes the file the model's whole, at once, if it is.

        Raises:
            WeightsError: it is not; everything fetched is then removed.
        """
        if not self.is_whole():
            found = self._hash.hexdigest()
            self._file.close()
            self.at.part.unlink()
            self.at.state.unlink(missing_ok=True)
            raise WeightsError(
                f"what was fetched is not {self.weights.name} and was removed: {self.size:,} of {self.weights.size:,} "
                f"bytes, SHA-256 {found[:12]}…, not {self.weights.sha256[:12]}…; {OTHER_WAYS}"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.at.part.replace(self.at.whole)
        self.at.state.unlink(missing_ok=True)
        remember(self.at.whole, self.weights.sha256)

    def _read_back(self) -> None:
        """Hashes what is on the disk; keeps the marks that it bears out and the bytes behind them."""
        for mark in self._read_state():
            self._hash_up_to(mark.size)
            if (self.size, self._hash.hexdigest()) != (mark.size, mark.sha256):
                self.rewind()
                return
            self.marks.append(mark)
            self._at_mark = self._hash.copy()
        self._hash_up_to(self.weights.size + 1)
        if self.size > self.weights.size:
            self.rewind()

    def _hash_up_to(self, size: int) -> None:
        while self.size < size and (data := self._file.read(min(CHUNK, size - self.size))):
            self._hash.update(data)
            self.size += len(data)

    def _read_state(self) -> list[Mark]:
        try:
            marks = [Mark(**entry) for entry in json.loads(self.at.state.read_text("utf-8"))]
            sizes = [0, *(mark.size for mark in marks)]
        except (OSError, ValueError, TypeError):
            return []  # absent or spoilt: no part counts as finished
        named = [mark.name for mark in marks]
        ascending = all(isinstance(size, int) for size in sizes) and sizes == sorted(sizes)
        return marks if ascending and named == in_order(self.weights.parts)[: len(named)] else []

    def _write_state(self) -> None:
        draft = self.at.state.with_suffix(".new")
        draft.write_text(json.dumps([asdict(mark) for mark in self.marks]), "utf-8")
        draft.replace(self.at.state)


def in_order(parts: tuple[str, ...]) -> list[str]:
    """Packages by the number that ends their name: part2 before part10."""
    return sorted(parts, key=lambda part: int(re.findall("[0-9]+", part.partition("==")[0])[-1]))


@contextlib.contextmanager
def opened(weights: Weights, at: Places) -> Iterator[Partial]:
    """The model's growing file, with what an earlier attempt left in it.

    Raises:
        WeightsError: the disk is full or refuses; what was fetched so far stays.
    """
    try:
        at.part.touch()
        with at.part.open("r+b") as file:
            yield Partial(weights, at, file)
    except BrokenPipeError:
        raise  # no disk says this: it comes from where the progress is printed
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(weights, at) from error
        raise WeightsError(
            f"cannot write in {at.directory}: {error.strerror or error}; MULTIPLEX_CACHE moves it"
        ) from error


def disk_full(weights: Weights, at: Places) -> WeightsError:
    """The error for a disk that filled up under the download."""
    here = at.part.stat().st_size if at.part.exists() else 0
    return WeightsError(
        f"the disk is full at {at.directory}: {in_words(here)} of {in_words(weights.size)} are there; free some space "
        "and run the same command again (it goes on from there), or move the cache with MULTIPLEX_CACHE"
    )
