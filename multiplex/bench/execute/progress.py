"""What a run shows while it runs: a live screen on a terminal, elsewhere a plain line every half minute."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from multiplex.bench.plan.budget import Budget
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.records import Failure
from multiplex.council.answer import Answer
from multiplex.text.terminal import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

INTERVAL = 30.0  # seconds between two plain lines
BAR = 30  # characters


class Progress:
    """Hears of units and shows how the run stands; a context manager. Time is monotonic: no clock disturbs it.

    Args:
        total: units of the run.
        already_done: those that earlier starts finished.
        state: one line on the calls under way, asked for whenever the run is shown, from another thread.
        budget: counts tokens and money as they are spent, those of earlier starts too.
        interval: seconds between two plain lines.
    """

    def __init__(
        self,
        console: Console,
        total: int,
        already_done: int = 0,
        state: Callable[[], str] = str,
        budget: Budget | None = None,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._console, self._total, self._already_done = console, total, already_done
        self._state, self._budget = state, budget or Budget()
        self._interval, self._clock = interval, clock
        self._started = clock()
        self._running = self._done = self._lost = 0
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        self._started = self._clock()
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._screen, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        else:
            self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._running = 0
        if self._live is not None:
            self._live.stop()
        if self._ticker is not None:
            self._ticker.join()
        self._print(self.line())

    def unit_started(self, unit: Unit) -> None:  # noqa: ARG002
        """A unit's work begins."""
        with self._lock:
            self._running += 1

    def unit_done(self, unit: Unit, answer: Answer) -> None:  # noqa: ARG002
        """A unit has its answer, with or without all its voices."""
        with self._lock:
            self._running -= 1
            self._done += 1
            self._lost += len(answer.lost)

    def unit_waiting(self, unit: Unit) -> None:  # noqa: ARG002
        """A unit goes on when replies have come, in a later start."""
        with self._lock:
            self._running -= 1

    def unit_failed(self, unit: Unit, failure: Failure) -> None:
        """A unit has no answer. The first failure of each kind is told in words, the others are counted."""
        with self._lock:
            self._running -= 1
            self._failed[failure.kind] += 1
            first = self._failed[failure.kind] == 1
        if first:
            self.note(
                f"{unit.id} ({unit.question_id}, {unit.model}, {unit.strategy}): {failure.kind}: {failure.message}"
            )

    def note(self, text: str) -> None:
        """Say one thing at once."""
        self._print(text, "yellow")

    def line(self) -> str:
        """How the run stands, on one line."""
        return " · ".join(part for part in (*self._counts(), *self._costs(), self._state()) if part)

    def _counts(self) -> list[str]:
        """Units, rate and time left. The rate is of this start alone: what came before took no time in it."""
        with self._lock:
            done, failed, running = self._done, self._failed.total(), self._running
        elapsed = self._clock() - self._started
        parts = [f"{self._already_done + done:,} of {self._total:,} units done"]
        if running:
            parts.append(f"{running} under way")
        if not done + failed or elapsed <= 0:
            return parts
        rate, left = (done + failed) / elapsed, self._total - self._already_done - done - failed
        parts.append(pace(rate))
        if left > 0:
            parts.append(f"about {span(left / rate)} left")
        return parts

    def _costs(self) -> list[str]:
        """Tokens and money, lost voices, failed units by kind."""
        tokens, usd = self._budget.tokens, self._budget.usd
        with self._lock:
            lost, failed = self._lost, self._failed.most_common()
        parts = ["tokens not reported" if tokens is None else f"{tokens:,} tokens"]
        if self._budget.prices.models:
            parts.append("money not known" if usd is None else f"${usd:.4f}" if usd < 1 else f"${usd:,.2f}")
        parts.append(f"{lost} {'voice' if lost == 1 else 'voices'} lost")
        if failed:
            parts.append(f"failed: {', '.join(f'{kind} {count}' for kind, count in failed)}")
        return parts

    def _screen(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        with self._lock:
            done = self._already_done + self._done
        bar = ProgressBar(total=max(1, self._total), completed=done, width=BAR)
        parts = (self._counts(), self._costs(), [self._state()])
        return Group(bar, *(Text(one_line(" · ".join(part))) for part in parts if any(part)))

    def _tick(self) -> None:
        while not self._ended.wait(self._interval):
            self._print(self.line())

    def _print(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self._console.print(Text(one_line(text), style), soft_wrap=True)


def span(seconds: float) -> str:
    """A length of time in words: `45 s`, `12 min`, `2 h 40 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def pace(rate: float) -> str:
    """So many a second, in words: `12 a minute`, `1.5 a minute`, `40 an hour`."""
    number, unit = (60 * rate, "a minute") if 60 * rate >= 1 else (3600 * rate, "an hour")
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
