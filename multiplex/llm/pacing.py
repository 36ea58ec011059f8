"""One thing in each round of a busy event loop, so that whoever knocks is heard in between."""

from __future__ import annotations

import asyncio
from collections import deque


class Pacing:
    """Lets one task of those that ask for a turn go on in each round of the event loop that runs them.

    A loop does everything that is ready before it looks at what came in. Where two hundred calls begin in one round,
    a newcomer waits for the last of them; where they take turns they are as fast, and it waits for one.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False  # this round's turn

    async def take(self) -> None:
        """Wait for a turn, first come first served; at once where this round's is free."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._pass_on, loop)
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled
                turn.set_result(None)
                loop.call_soon(self._pass_on, loop)
                return
        self._taken = False
