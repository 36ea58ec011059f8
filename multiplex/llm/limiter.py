"""How many calls may be under way at one endpoint and model, and when all of them must wait.

The number grows while all is well and falls when the endpoint pushes back: it doubles with every clean round until
the first refusal, then climbs by a fixed step; a wave of refusals halves it once. A round is as many calls as the
limit allows at once, all admitted since the limit last changed, so that a change is judged only by calls made under it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from types import TracebackType

from multiplex.llm.error_mapping import FailedAttempt
from multiplex.llm.spec import ModelSpec

MOST = 200  # calls at once; beyond it one process is busier with itself than the endpoint with it
LONGEST_PAUSE = 30.0  # seconds
SLOW_FACTOR, SLOW_SLACK = 2.0, 0.5  # calls slower than this over the fastest round (seconds) stand in a queue


class Limiter:
    """Admits at most `limit` calls at once, first come first served.

    It belongs to one endpoint, one model and one event loop, so that a Retry-After that one call was given holds
    back the others too. Without `most` the limit stays as it is and only waits are honoured.

    Attributes:
        limit: calls that may be under way at once, now.
        in_flight: calls under way; above `limit` for as long as calls last that a higher limit let in.
        notes: one line for every change that a user should know of; `on_change` is told each as it comes.
    """

    def __init__(
        self,
        limit: int,
        most: int | None = None,
        *,
        name: str = "",
        on_change: Callable[[str], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.limit = self._start = limit
        self.in_flight = 0
        self.notes: list[str] = []
        self._most = limit if most is None else max(limit, most)
        self._fixed = most is None
        self.on_change = on_change
        self._name, self._clock = name, clock
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = float("-inf")
        self._pause = 1.0
        self._admitted = 0  # calls ever; a call's number tells under which limit it began
        self._refused_at = self._changed_at = 0
        self._doubling = True
        self._fastest: float | None = None
        self._clean, self._seconds, self._peak = 0, 0.0, 0  # of the round under way

    def __str__(self) -> str:
        """How things stand, on one line."""
        waits = f", all wait {self.held:.0f} s" if self.held else ""
        return f"{self._name or 'calls'}: {self.in_flight} of {self.limit} in flight{waits}"

    @property
    def held(self) -> float:
        """Seconds for which nobody is admitted; 0 where calls may be made."""
        return max(0.0, self._free_at - self._clock())

    def hold(self, seconds: float) -> None:
        """Admit nobody for this many seconds."""
        self._free_at = max(self._free_at, self._clock() + seconds)

    def place(self) -> LimiterSlot:
        """A place for one call: `async with` waits for it and gives it back."""
        return LimiterSlot(self)

    async def _enter(self) -> int:
        """Wait for a place; the call's number among all that were admitted, from 1."""
        if not self._waiting and self._is_free():
            return self._take()
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # cancelled in the very moment in which it was admitted
                self._leave()
            raise

    def _take(self) -> int:
        self.in_flight += 1
        self._admitted += 1
        self._peak = max(self._peak, self.in_flight)
        return self._admitted

    def _is_free(self) -> bool:
        return self.in_flight < self.limit and not self.held

    def _admit(self) -> None:
        """Admit those who wait, as far as there is room; while all are held, come back when that ends."""
        while self._waiting and self._is_free():
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(self._take())
        if self._waiting and self.held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.held, self._held_long_enough)

    def _held_long_enough(self) -> None:
        self._timer = None
        self._admit()

    def _leave(self) -> None:
        self.in_flight -= 1
        if self._waiting:  # later: the call that leaves may have been told to hold the others
            asyncio.get_running_loop().call_soon(self._admit)

    def _new_round(self) -> None:
        self._clean, self._seconds, self._peak = 0, 0.0, self.in_flight

    def _served(self, number: int, seconds: float) -> None:
        """Count a call that went well; after a clean round that used every place, let more in."""
        self._pause = 1.0
        if number <= self._changed_at:
            return
        self._clean += 1
        self._seconds += seconds
        if self._fixed or self._clean < self.limit:
            return
        mean, full = self._seconds / self._clean, self._peak >= self.limit
        self._fastest = mean if self._fastest is None else min(mean, self._fastest)
        self._new_round()
        if full and self.limit < self._most and mean <= SLOW_FACTOR * self._fastest + SLOW_SLACK:
            self._grow()

    def _grow(self) -> None:
        before = self.limit
        more = before if self._doubling else max(1, self._start // 4)
        self._change(min(self._most, before + more))
        if self._doubling:  # the slow climb after a refusal is too many steps to tell
            self._note(f"all is well; up to {self.limit} calls at once (before: {before})")
        self._admit()

    def _failed(self, number: int, failure: FailedAttempt) -> bool:
        if number > self._changed_at:
            self._new_round()
        kind, wait, asked = failure.error.kind, failure.wait, failure.wait is not None
        if kind not in ("rate_limited", "timeout") and not asked:
            return False
        if wait is not None:
            self.hold(wait)
        if number <= self._refused_at:  # of a wave that has been answered
            return kind == "rate_limited"
        self._refused_at, self._doubling = self._admitted, False
        if kind == "rate_limited" and failure.attempts is None and wait is None and not self._fixed:
            wait = self._next_pause()
            self.hold(wait)
        why = {"rate_limited": "429, too many requests", "timeout": "no answer in time"}
        self._back_off(why.get(kind, "the endpoint asks to wait"), self._start if kind == "timeout" else 1, wait)
        return False

    def _back_off(self, why: str, floor: int, wait: float | None) -> None:
        before = self.limit
        if not self._fixed:
            self._change(max(min(floor, before), before // 2))
        told = [f"every call waits {wait:.3g} s"] if wait else []
        if self.limit < before:
            told.append(f"at most {self.limit} calls at once (before: {before})")
        if told:
            self._note(f"{why}; {', then '.join(told)}")

    def _change(self, limit: int) -> None:
        self.limit, self._changed_at = limit, self._admitted
        self._new_round()

    def _next_pause(self) -> float:
        """Seconds to wait where an endpoint refuses and does not say for how long: doubled until a call goes well."""
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause

    def _note(self, text: str) -> None:
        line = f"{self._name}: {text}" if self._name else text
        self.notes.append(line)
        if self.on_change is not None:
            self.on_change(line)


class LimiterSlot:
    """One call's place at a limiter: an async context manager, used once."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._number, self._began = 0, 0.0

    def failed(self, failure: FailedAttempt) -> bool:
        """Take in why this call failed, once its place is given back; whether it is a 429 that others had before it.

        Of calls that were sent at once and too many, one is as good as all: such a 429 says nothing of this call.

        A 429, or any failure that names a time to wait, holds every call and lowers the limit. A timeout takes back
        what the limit has grown, since a queue at the endpoint looks like this. Anything else ends the clean round.
        """
        return self._limiter._failed(self._number, failure)

    async def __aenter__(self) -> LimiterSlot:
        self._number = await self._limiter._enter()
        self._began = self._limiter._clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter._leave()
        if kind is None:
            self._limiter._served(self._number, self._limiter._clock() - self._began)


def steady(spec: ModelSpec) -> Limiter:
    """A limiter that never lets in more than the spec's limit, and fewer after an endpoint has refused some."""
    return Limiter(spec.limit, None if spec.local else spec.limit, name=spec.name)


def adaptive(
    spec: ModelSpec, start: int | None = None, on_change: Callable[[str], None] | None = None, share: int = 1
) -> Limiter:
    """A limiter that finds out how many calls an endpoint takes, from `start` (default: the spec's limit) upwards.

    Where as many processes as `share` call the endpoint, each begins with its part of `start` and grows to its part of
    what one alone would. A model on this machine has as many places as it has: its limit is fixed.
    """
    if spec.local:
        return Limiter(spec.limit, name=spec.name, on_change=on_change)
    start = spec.limit if start is None else start
    most = max(start, min(10 * start, MOST))
    return Limiter(max(1, start // share), max(1, most // share), name=spec.name, on_change=on_change)
