"""Pieces of an answer on their way out: gathered while the reader is slow, kept alive while the voices think."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from multiplex.serve.conversation.turn import Piece, Said
from multiplex.serve.openai.schema import ApiError

STOPPING = "the server was told to stop before this answer was whole; ask again"


class Running:
    """The answers under way, so that a server that must stop can end each with a named cause."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Task[None], Callable[[], object]] = {}
        self.closing = False

    def __len__(self) -> int:
        return len(self._under_way)

    def watch(self, task: asyncio.Task[None], close: Callable[[], object] | None = None) -> None:
        """Hold the task of an answer until it is done; `close` ends it early, by default by cancelling it."""
        self._under_way[task] = close or task.cancel
        task.add_done_callback(self._under_way.__delitem__)

    def close(self) -> None:
        """End every answer that is still under way; its reader is told why."""
        self.closing = True
        for end in list(self._under_way.values()):
            end()

    async def over(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def gathered(self, pieces: AsyncIterator[Piece], every: float) -> AsyncIterator[list[Piece]]:
        """What has come since the last look, neighbours joined; an empty list after `every` seconds of silence.

        The answer is made at its own pace, whatever the reader's; leaving early ends it.

        Raises:
            MultiplexError: as `pieces`.
            ApiError: 503, the server stops.
        """
        waiting: list[Piece] = []
        news = asyncio.Event()

        async def hear() -> None:
            try:
                async for piece in pieces:
                    waiting.append(piece)
                    news.set()
            finally:
                news.set()

        task = asyncio.create_task(hear())
        self.watch(task)
        try:
            while not (task.done() and not waiting):
                try:
                    async with asyncio.timeout(every):
                        await news.wait()
                except TimeoutError:
                    yield []
                    continue
                news.clear()
                batch, waiting[:] = joined(waiting), []
                if batch:
                    yield batch
                elif not task.done():
                    await asyncio.sleep(0)
            if task.cancelled() and self.closing:
                raise ApiError(503, STOPPING, kind="server_error", code="server_stopping", retry_after=5)
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, neighbouring ones of the answer made one; each voice stays by itself."""
    out: list[Piece] = []
    for piece in pieces:
        if out and isinstance(piece, Said) and isinstance(out[-1], Said):
            out[-1] = Said(out[-1].text + piece.text)
        else:
            out.append(piece)
    return out
