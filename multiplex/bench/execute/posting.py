"""Sends planned batches and brings home what came of those that ended.

The intent stands in the run before anything is sent, and the endpoint's id of the uploaded file before a batch is made
of it: a process that died in between finds the batch again by that file, and makes no second one. A batch for which
its endpoint has no room is held: it goes up again when none of its model is out, in halves where it had no room alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from multiplex.bench.execute.batching import halve, request_file
from multiplex.bench.store.batch_log import Batch, BatchLog, CollectedReplies
from multiplex.errors import CallError, MultiplexError, UsageError
from multiplex.llm.batches import (
    BatchEndpoint,
    BatchReply,
    BatchStatus,
    NoBatchesError,
    PassingError,
    UnlistedError,
    read_reply,
)
from multiplex.llm.chat import Chat


class BatchLostError(MultiplexError):
    """What a batch brought cannot be had: what it asked must be asked, and paid for, again, or be waited for."""

    exit_code = 3


class BatchStoppedError(MultiplexError):
    """A batch failed or was cancelled at its endpoint: a further start sends again what is missing."""

    exit_code = 3


Troubles = list[CallError | BatchLostError | BatchStoppedError]


@dataclass(frozen=True)
class Post:
    """The batches of one run on their way.

    Attributes:
        say: is told, in a line, what a person should know.
        redo_lost: whether the calls of a batch that the endpoint has lost are sent again.
    """

    folder: Path
    chats: Mapping[str, Chat]
    log: BatchLog
    say: Callable[[str], None]
    redo_lost: bool = False

    async def send(self) -> Troubles:
        """Send what can be sent now; what hindered it, of the batches that stay where they are.

        Raises:
            UsageError: the key's variable is not set, or a batch is of a model that is not named.
            NoBatchesError: an endpoint takes no batches; those of its model that were not sent are given up.
        """
        troubles, away = Troubles(), set[str]()
        for batch in self._due():
            if batch.model in away:
                continue
            try:
                await self._send(batch)
            except NoBatchesError:
                for each in self.log.batches("planned", "held"):
                    if each.number == batch.number or (each.model == batch.model and each.file is None):
                        self.log.discard(each)
                        request_file(self.folder, each.number).unlink(missing_ok=True)
                raise
            except (CallError, BatchLostError) as error:
                troubles.append(error)
                if isinstance(error, PassingError):
                    away.add(batch.model)
        return troubles

    async def fetch(self) -> tuple[int, Troubles]:
        """Ask after every batch that is out, and take in what came of those that ended; how many, and what is wrong.

        Raises:
            UsageError: the key's variable is not set, or a batch is of a model that is not named.
        """
        held = {batch.number for batch in self.log.batches("held")}
        ended, troubles, away = list[Batch](), Troubles(), set[str]()
        for batch in self.log.batches("sent"):
            if batch.model in away:
                continue
            try:
                if await self._fetch(batch):
                    ended.append(batch)
            except (CallError, BatchLostError, BatchStoppedError) as error:
                troubles.append(error)
                if isinstance(error, PassingError):
                    away.add(batch.model)
        refused = {batch.model for batch in self.log.batches("held") if batch.number not in held}
        for model in refused - {batch.model for batch in (*self.log.batches("sent"), *ended)}:
            self._halve(model)
        return len(ended), troubles

    def _due(self) -> list[Batch]:
        """The batches to send now: all, but of a model that has one held the smallest, when none of it is out."""
        waiting, held = self.log.batches("planned", "held"), self.log.batches("held")
        due = [batch for batch in waiting if batch.model not in {each.model for each in held}]
        busy = {batch.model for batch in self.log.batches("sent")}
        for model in sorted({batch.model for batch in held} - busy):
            due.append(min((batch for batch in waiting if batch.model == model), key=lambda batch: batch.calls))
        return due

    def _halve(self, model: str) -> None:
        """Divide the smallest batch of a model whose endpoint had no room for it alone."""
        batch = min((each for each in self.log.batches("held") if each.model == model), key=lambda each: each.calls)
        path = request_file(self.folder, batch.number)
        if batch.calls > 1 and path.exists():
            self.log.divide(batch, halve(self.folder, batch, self.log.next_number()))
            path.unlink()

    async def _send(self, batch: Batch) -> None:
        path, endpoint = request_file(self.folder, batch.number), BatchEndpoint(self._chat(batch))
        made: BatchStatus | None = None
        if batch.file is not None:  # an earlier start may have made the batch, and not have heard its id
            made = await self._find(endpoint, batch.file)
        if made is None and batch.file is None:
            if not path.exists():
                self.say(f"{path} is gone: its {batch.calls:,} calls are collected anew")
                self.log.discard(batch)
                return
            batch = replace(batch, file=await endpoint.upload(path))
            self.log.keep(batch)
        if made is None:
            made = await endpoint.create(batch.file or "")
        self.log.keep(replace(batch, state="sent", batch=made.id))

    async def _find(self, endpoint: BatchEndpoint, file: str) -> BatchStatus | None:
        try:
            return await endpoint.find(file)
        except UnlistedError as error:
            if self.redo_lost:
                return None
            raise BatchLostError(
                f"{error}, so that one made of the file {file} before the last start ended is not found; see its page: "
                "if it has none, --redo-damaged makes it"
            ) from error

    async def _fetch(self, batch: Batch) -> bool:
        endpoint = BatchEndpoint(self._chat(batch))
        status = await endpoint.status(batch.batch or "")
        if status is None:
            return self._lose(batch, "its endpoint knows it no more; is the key that of the account that sent it?")
        if not status.ended:
            done = f"{status.completed:,} of {status.total:,} done" if status.total else "no count yet"
            self.say(f"batch {batch.batch}: {status.state}, {done}")
            return False
        if status.state == "failed" and status.replies is None and status.errors is None:
            return self._unmade(batch, status)
        requests = request_file(self.folder, batch.number)
        path = requests.with_suffix(".replies")
        path.unlink(missing_ok=True)
        try:
            for file in (status.replies, status.errors):
                if file is not None and not await endpoint.download(file, path):
                    return self._lose(batch, f"its file {file} is gone from its endpoint", path)
            path.touch()
            if (lacking := _lacking(path, status, self.log.customs(batch))) is not None:
                return self._lose(batch, lacking, path)
            requests.unlink(missing_ok=True)
            found = self.log.collect(batch, _replies(path))
        finally:
            path.unlink(missing_ok=True)
        self._report(batch, status, found)
        return True

    def _unmade(self, batch: Batch, status: BatchStatus) -> bool:
        """Hold a batch of which no request was made where its endpoint has no room for it, else end it."""
        if status.full:
            self.say(f"batch {batch.batch}: no room at its endpoint ({status.why}); its {batch.calls:,} calls wait")
            self.log.keep(replace(batch, state="held", file=None, batch=None))
            return False
        request_file(self.folder, batch.number).unlink(missing_ok=True)
        self.log.discard(batch)
        raise _stopped(batch, status, 0)

    def _lose(self, batch: Batch, why: str, came: Path | None = None) -> bool:
        """Give up, where that was asked for, what did not come of a batch; `came` is the file of what did."""
        if not self.redo_lost:
            raise BatchLostError(
                f"batch {batch.batch}: {why}; the same command asks for it again, and --redo-damaged sends "
                f"what is missing of its {batch.calls:,} calls again and pays for that"
            )
        request_file(self.folder, batch.number).unlink(missing_ok=True)
        found = self.log.collect(batch, _replies(came) if came is not None and came.exists() else ())
        left = batch.calls - found.answered - found.refused
        self.say(f"batch {batch.batch}: {why}; {left:,} of its {batch.calls:,} calls are sent again")
        return True

    def _report(self, batch: Batch, status: BatchStatus, found: CollectedReplies) -> None:
        came = found.answered + found.refused
        for count, what in (
            (found.unknown, "of its lines name no call of it, and are left out"),
            (found.doubled, "of its lines name a call for the second time, and are left out"),
        ):
            if count:
                self.say(f"batch {batch.batch}: {count:,} {what}")
        if status.state in ("failed", "cancelled"):
            raise _stopped(batch, status, came)
        left = batch.calls - came
        again = f", {left:,} are sent again" if left else ""
        self.say(f"batch {batch.batch}: {status.state}, {found.answered:,} answered, {found.refused:,} refused{again}")

    def _chat(self, batch: Batch) -> Chat:
        if batch.model not in self.chats:
            raise UsageError(f"a batch of model {batch.model!r} is out; name that model too, with --models")
        return self.chats[batch.model]


def _stopped(batch: Batch, status: BatchStatus, came: int) -> BatchStoppedError:
    why, what = f" ({status.why})" if status.why else "", "failed" if status.state == "failed" else "was cancelled"
    return BatchStoppedError(
        f"batch {batch.batch} {what} at its endpoint{why}: "
        f"{came:,} of {batch.calls:,} replies came and are kept; the same command sends the others again"
    )


def _lacking(path: Path, status: BatchStatus, customs: set[str]) -> str | None:
    """Why a file of replies is not whole; None where every line can be read, and each call that ended has one."""
    found = set[str]()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if (reply := read_reply(line)) is None:
                return f"line {number} of its replies cannot be read; was the file cut?"
            found.add(reply.custom_id)
    ended = status.completed + (status.failed if status.errors is not None else 0)
    ended = len(customs) if status.state == "completed" else min(ended, len(customs))
    whole = len(found & customs)
    return f"{ended:,} calls are done, and its files hold {whole:,} replies" if whole < ended else None


def _replies(path: Path) -> Iterator[BatchReply]:
    with path.open("rb") as file:
        for line in file:
            if line.strip() and (reply := read_reply(line)) is not None:
                yield reply
