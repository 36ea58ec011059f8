"""Sends planned batches and brings home what came of those that ended.

The intent stands in the run before anything is sent, and the endpoint's id of the uploaded file before a batch is made
of it: a process that died in between finds the batch again by that file, and makes no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from multiplex.bench.execute.batching import request_file
from multiplex.bench.store.batch_log import Batch, BatchLog, CollectedReplies
from multiplex.errors import MultiplexError, UsageError
from multiplex.llm.batches import BatchEndpoint, BatchReply, BatchStatus, NoBatchesError, UnlistedError, read_reply
from multiplex.llm.chat import Chat


class BatchLostError(MultiplexError):
    """What a batch brought cannot be had: what it asked must be asked, and paid for, again, or be waited for."""

    exit_code = 3


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

    async def send(self) -> int:
        """Send every planned batch; how many there were.

        Raises:
            CallError: an endpoint cannot be reached or refuses.
            BatchLostError: whether an earlier start made a batch cannot be known.
            NoBatchesError: an endpoint takes no batches; those of its model that were not sent are given up.
        """
        planned = self.log.batches("planned")
        for batch in planned:
            try:
                await self._send(batch)
            except NoBatchesError:
                for each in self.log.batches("planned"):
                    if each.number == batch.number or (each.model == batch.model and each.file is None):
                        self.log.collect(each, ())
                        request_file(self.folder, each.number).unlink(missing_ok=True)
                raise
        return len(planned)

    async def fetch(self) -> int:
        """Ask after every batch that is out, and take in what came of those that ended; how many ended.

        Raises:
            CallError: an endpoint cannot be reached or refuses.
            BatchLostError: a batch failed, was cancelled, or its replies cannot be had now.
        """
        ended, troubles = 0, list[BatchLostError]()
        for batch in self.log.batches("sent"):
            try:
                ended += await self._fetch(batch)
            except BatchLostError as error:
                troubles.append(error)
        if troubles:
            raise BatchLostError("; ".join(map(str, troubles)))
        return ended

    async def _send(self, batch: Batch) -> None:
        path, endpoint = request_file(self.folder, batch.number), BatchEndpoint(self._chat(batch))
        made: BatchStatus | None = None
        if batch.file is not None:  # an earlier start may have made the batch, and not have heard its id
            made = await self._find(endpoint, batch.file)
        if made is None and batch.file is None:
            if not path.exists():
                self.say(f"{path} is gone: its {batch.calls:,} calls are collected anew")
                self.log.collect(batch, ())
                return
            batch = replace(batch, file=await endpoint.upload(path))
            self.log.keep(batch)
        if made is None:
            made = await endpoint.create(batch.file or "")
        self.log.keep(replace(batch, state="sent", batch=made.id))
        path.unlink(missing_ok=True)

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
        path = request_file(self.folder, batch.number).with_suffix(".replies")
        path.unlink(missing_ok=True)
        try:
            for file in (status.replies, status.errors):
                if file is not None and not await endpoint.download(file, path):
                    return self._lose(batch, f"its file {file} is gone from its endpoint")
            path.touch()
            if (lacking := _lacking(path, status)) is not None:
                return self._lose(batch, lacking)
            found = self.log.collect(batch, _replies(path))
        finally:
            path.unlink(missing_ok=True)
        self._report(batch, status, found)
        return True

    def _lose(self, batch: Batch, why: str) -> bool:
        """Give a batch up, where that was asked for."""
        if not self.redo_lost:
            raise BatchLostError(
                f"batch {batch.batch}: {why}; the same command asks for it again, and --redo-damaged sends "
                f"its {batch.calls:,} calls again and pays for them"
            )
        self.say(f"batch {batch.batch}: {why}; its {batch.calls:,} calls are sent again")
        self.log.collect(batch, ())
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
            why = f" ({status.why})" if status.why else ""
            what = "failed" if status.state == "failed" else "was cancelled"
            raise BatchLostError(
                f"batch {batch.batch} {what} at its endpoint{why}: "
                f"{came:,} of {batch.calls:,} replies came and are kept; the same command sends the others again"
            )
        left = batch.calls - came
        again = f", {left:,} are sent again" if left else ""
        self.say(f"batch {batch.batch}: {status.state}, {found.answered:,} answered, {found.refused:,} refused{again}")

    def _chat(self, batch: Batch) -> Chat:
        if batch.model not in self.chats:
            raise UsageError(f"a batch of model {batch.model!r} is out; name that model too, with --models")
        return self.chats[batch.model]


def _lacking(path: Path, status: BatchStatus) -> str | None:
    """Why a file of replies is not whole; None where it is: every line can be read, and all that ended are there."""
    whole = answered = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if (reply := read_reply(line)) is None:
                return f"line {number} of its replies cannot be read; was the file cut?"
            whole += 1
            answered += reply.status == 200
    if whole < status.completed + (status.failed if status.errors is not None else 0):
        return f"{status.completed:,} calls are done, and its files hold {whole:,} replies"
    return None


def _replies(path: Path) -> Iterator[BatchReply]:
    with path.open("rb") as file:
        for line in file:
            if line.strip() and (reply := read_reply(line)) is not None:
                yield reply
