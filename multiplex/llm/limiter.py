"""How many calls may be under way at one endpoint and model, and when all of them must wait."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Limiter:
    """Admits at most `limit` calls at once; `hold` makes every call not yet admitted wait.

    One limiter belongs to one endpoint, one model and one event loop, so that a Retry-After that one
    call was given holds back the others too.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)
        self._free_at = 0.0

    def hold(self, seconds: float) -> None:
        """Admit nobody for this many seconds."""
        self._free_at = max(self._free_at, asyncio.get_running_loop().time() + seconds)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        try:
            while (wait := self._free_at - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(wait)
        except BaseException:
            self._places.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()
