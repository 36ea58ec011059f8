"""The batch API of OpenAI and of those who copy it: a file of requests goes up, a file of replies comes down.

`/v1/files` and `/v1/batches`. An endpoint answers within a day, at about half the price, in any order.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

from multiplex.errors import CallError, MultiplexError, UsageError
from multiplex.llm.error_mapping import explain, read_told, safe
from multiplex.llm.protocol import read_error

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from multiplex.llm.chat import Chat

T = TypeVar("T")

MOST_REQUESTS = 50_000  # of one batch, by OpenAI's rules
MOST_BYTES = 200_000_000  # of its file
ENDPOINT = "/v1/chat/completions"
PATIENCE = 10  # times the longest silence: what a file may take to go up or come down
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_ABSENT = frozenset({404, 405, 501})
_PASSING = frozenset({"server", "rate_limited", "timeout", "unreachable"})
_FULL = "token_limit_exceeded"  # what OpenAI calls a batch for which there is no room beside those that wait


class NoBatchesError(UsageError):
    """An endpoint takes no batch of these calls: it made none, and would make none if asked again."""


class UnlistedError(CallError):
    """An endpoint does not list its batches, or in no way that can be read."""


class PassingError(CallError):
    """An endpoint is away, busy or late; the same request may go well later. `wait` is in seconds, where it says so."""

    def __init__(self, kind: str, message: str, wait: float = 0.0) -> None:
        super().__init__(kind, message)
        self.wait = wait


@dataclass(frozen=True)
class BatchStatus:
    """A batch as its endpoint describes it.

    Attributes:
        state: the endpoint's word, in lower case: `validating`, `in_progress`, `finalizing`, `completed`, `failed`,
            `expired`, ...
        completed, failed, total: requests, as far as the endpoint counts them; else 0.
        replies, errors: ids of the files of replies and of refused requests; None where there is none (yet).
        why: what the endpoint says of a batch that failed; else empty.
        full: whether it failed because the endpoint has no room for its tokens now.
    """

    id: str
    state: str
    completed: int = 0
    failed: int = 0
    total: int = 0
    replies: str | None = None
    errors: str | None = None
    why: str = ""
    full: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ENDED


@dataclass(frozen=True)
class BatchReply:
    """What came of one request: its `custom_id`, the HTTP status, and the body of the response or of the error.

    A request that was never made (expired, cancelled) has status 0.
    """

    custom_id: str
    status: int
    body: Mapping[str, Any]


class BatchEndpoint:
    """The batches of one chat's endpoint.

    Every method raises CallError where the endpoint refuses, PassingError (one of them) where it may not do so later,
    and UsageError where the key's variable is not set.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def upload(self, path: Path) -> str:
        """Send a file of requests up; its id there.

        Raises:
            NoBatchesError: the endpoint has none, or takes no such file.
        """
        refused = list[CallError | NoBatchesError]()
        for step, fields in (
            ("/files", {"purpose": "batch"}),  # by OpenAI's rules, then by Together's
            ("/files/upload", {"purpose": "batch-api", "file_name": path.name}),
        ):
            try:
                return await self._upload(path, step, fields)
            except PassingError:
                raise
            except (CallError, NoBatchesError) as error:
                refused.append(error)
        raise refused[0]

    async def _upload(self, path: Path, step: str, fields: Mapping[str, str]) -> str:
        with path.open("rb") as file:
            async with self._asking(PATIENCE, step) as client:
                made: Any = await client.post(
                    step, cast_to=object, body=fields, files=[("file", (path.name, file))],
                    options={"headers": {"Content-Type": "multipart/form-data"}},
                )  # fmt: skip
        return self._known(made.get("id") if isinstance(made, Mapping) else None, "the file it took has no id")

    async def create(self, file_id: str) -> BatchStatus:
        """Have the requests of a file answered within a day.

        Raises:
            NoBatchesError: the endpoint has none, or refuses this one for good.
        """
        body = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h"}
        async with self._asking(step="/batches") as client:
            made: Any = await client.post("/batches", cast_to=object, body=body)
        return self._status(made.get("job", made) if isinstance(made, Mapping) else made)

    async def find(self, file_id: str) -> BatchStatus | None:
        """The batch that was made of a file; None where there is none. The whole list is read.

        Raises:
            UnlistedError: the endpoint has no such list, or none that can be read.
        """
        after: str | None = None
        while True:
            query = {"limit": "100", **({"after": after} if after else {})}
            async with self._asking() as client:
                asked = client.get("/batches", cast_to=object, options={"params": query})
                page: Any = await _known_there(asked, _ABSENT)
            if page is None:
                raise UnlistedError("server", f"{self._at} does not list its batches")
            rows = page.get("data") if isinstance(page, Mapping) else page
            if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
                raise UnlistedError("server", f"{self._at}: its list of batches cannot be read")
            for row in rows:
                if row.get("input_file_id") == file_id:
                    return self._status(row)
            last = str(rows[-1].get("id")) if rows else None
            if not isinstance(page, Mapping) or not page.get("has_more") or last is None:
                return None
            if last == after:
                raise UnlistedError("server", f"{self._at}: its list of batches does not go on after {last}")
            after = last

    async def status(self, batch_id: str) -> BatchStatus | None:
        """How a batch stands; None where the endpoint knows no such batch."""
        async with self._asking() as client:
            found: Any = await _known_there(client.get(f"/batches/{batch_id}", cast_to=object))
        return None if found is None else self._status(found)

    async def download(self, file_id: str, path: Path) -> bool:
        """Append a file of the endpoint, and the end of a line, to `path`; whether it was there.

        Raises:
            MultiplexError: the disk refuses.
        """
        async with self._asking(PATIENCE) as client:
            reply: Any = await _known_there(client.files.content(file_id))
            if reply is None:
                return False
            chunks = await reply.aiter_bytes()
            with _appended(path) as out:
                async for chunk in chunks:
                    out.write(chunk)
                out.write(b"\n")
        return True

    def _status(self, row: Any) -> BatchStatus:
        state = row.get("status") if isinstance(row, Mapping) else None
        if not isinstance(state, str):
            raise CallError("server", f"{self._at}: what it says of a batch cannot be read ({safe(str(row))})")
        counts = row.get("request_counts")
        counts = counts if isinstance(counts, Mapping) else {}
        completed, failed, total = (_count(counts.get(name)) for name in ("completed", "failed", "total"))
        said = row.get("errors") or row.get("error") or ""
        told = read_error(said["data"] if isinstance(said, Mapping) and "data" in said else said)
        full = told.code == _FULL or "enqueued token" in told.message.lower()
        batch_id = self._known(row.get("id"), "a batch of it has no id")
        replies, errors = (row.get(name) or None for name in ("output_file_id", "error_file_id"))
        return BatchStatus(batch_id, state.lower(), completed, failed, total, replies, errors, safe(told.message), full)

    def _known(self, name: Any, otherwise: str) -> str:
        if not isinstance(name, str) or not name:
            raise CallError("server", f"{self._at}: {otherwise}")
        return name

    @property
    def _at(self) -> str:
        return f"{self._chat.spec.name} at {self._chat.spec.place}"

    def _asking(self, patience: int = 1, step: str = "") -> _Asking:
        return _Asking(self._chat, patience, step)


class _Asking:
    """A client for one request; its errors become ours. `step` is the path of one without which there is no batch."""

    def __init__(self, chat: Chat, patience: int, step: str) -> None:
        self._chat, self._clock, self._step = chat, asyncio.timeout(patience * chat.spec.timeout), step
        self._secret = ""

    async def __aenter__(self) -> AsyncOpenAI:
        line = await self._chat.connection()
        if line.client is None:
            raise AssertionError("a caller's own chat model has no batches")
        self._secret = line.secret
        await self._clock.__aenter__()
        return line.client

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            await self._clock.__aexit__(kind, error, trace)
        except TimeoutError as late:
            error = late
        if not isinstance(error, Exception) or (isinstance(error, MultiplexError) and not isinstance(error, CallError)):
            return  # a fault on this side
        failed, status = explain(error, self._chat.spec, self._secret).error, getattr(error, "status_code", None)
        if self._step and status in _ABSENT:
            at = f"{self._chat.spec.name} at {self._chat.spec.place}"
            raise NoBatchesError(f"{at} has no batches ({status} at {self._step}); leave --batch out") from error
        if self._step and failed.kind == "bad_request":
            raise NoBatchesError(f"{failed} at {self._step}: it takes no such batch; leave --batch out") from error
        if failed.kind in _PASSING:
            told = read_told(error)
            raise PassingError(failed.kind, str(failed), (told and told.wait) or 0.0) from error
        raise failed from error


@contextmanager
def _appended(path: Path) -> Iterator[BinaryIO]:
    """A file to add to. Raises MultiplexError where the disk refuses; a broken connection raises what it does."""
    try:
        with path.open("ab") as out:
            yield out
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise MultiplexError(f"{path}: cannot be written: {error.strerror or error}; make room there") from error


async def _known_there(request: Awaitable[T], absent: frozenset[int] = frozenset({404})) -> T | None:
    """What the endpoint has there; None where it says, by one of these statuses, that it has nothing."""
    from openai import APIStatusError

    try:
        return await request
    except APIStatusError as error:
        if error.status_code in absent:
            return None
        raise


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def request_line(custom_id: str, body: Mapping[str, Any]) -> bytes:
    """One request as it stands in the file that goes up."""
    asked = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def read_reply(line: bytes) -> BatchReply | None:
    """What a line of the file that came down says; None where it cannot be read, or names no request."""
    try:
        row: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, Mapping) or not isinstance(row.get("custom_id"), str):
        return None
    response, error = row.get("response"), row.get("error")
    if isinstance(response, Mapping) and isinstance(response.get("body"), Mapping):
        status = response.get("status_code")
        return BatchReply(row["custom_id"], status if isinstance(status, int) else 200, response["body"])
    return BatchReply(row["custom_id"], 0, {"error": error} if isinstance(error, Mapping) else {})


Fate = Literal["answered", "refused", "undone"]


def fate(reply: BatchReply) -> Fate:
    """What a request came to: an answer, a refusal for good, or nothing that asking again would not mend."""
    if reply.status == 200:
        return "answered"
    return "undone" if reply.status in (0, 408, 409, 429) or reply.status >= 500 else "refused"
