"""Files that a part is written to until they are whole, and what a process that was killed has left of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiplex.bench.parts.plan import CorpusPart
from multiplex.content import sha256
from multiplex.errors import MultiplexError


@contextmanager
def drafted(part: CorpusPart, path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes the name `path`, of the part, once the block ends without an error.

    Raises:
        MultiplexError: the disk refuses.
    """
    draft = path.with_name(f"{_beginning(part)}{secrets.token_hex(8)}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise MultiplexError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


class Leftovers:
    """The drafts that lie in a folder now. Another process may write in some of them."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, list[tuple[Path, int]]] = {}
        for path in folder.rglob(".multiplex-*.part"):
            beginning = path.name[: -len("0123456789abcdef.part")]
            self._found.setdefault(beginning, []).append((path, _written(path)))

    def clear(self, part: CorpusPart) -> None:
        """Take those of a part away in which nothing was written while the part was measured: their writer is dead.

        Raises:
            MultiplexError: the disk refuses.
        """
        for path, written in self._found.pop(_beginning(part), ()):
            try:
                if _written(path) == written:
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise MultiplexError(f"{path}: cannot be taken away: {error.strerror or error}") from error


def _beginning(part: CorpusPart) -> str:
    return f".multiplex-{sha256(f'{part.name} {part.shard}')[:16]}-"


def _written(path: Path) -> int:
    """When a file was written, in ns; 0 where it is gone."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
