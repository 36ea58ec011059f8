"""What strangers do to a server: counted each time, logged once a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from multiplex.serve.http.logs import log

MINUTE = 60.0


class EventTally:
    """Counts events by reason; a line in the log says how many there were since the last one of that reason.

    Args:
        event: what the line is called.
        each: told the reason of every event, for the metrics.
    """

    def __init__(self, event: str, each: Callable[[str], None], clock: Callable[[], float] = monotonic) -> None:
        self._event, self._each, self._clock = event, each, clock
        self._since: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def count(self, reason: str, peer: str) -> None:
        """Count one; `peer` is the newest of those who did it."""
        self._each(reason)
        self._since[reason] += 1
        now = self._clock()
        if reason not in self._logged or now - self._logged[reason] >= MINUTE:
            log(self._event, reason=reason, count=self._since.pop(reason), peer=peer)
            self._logged[reason] = now
