"""The attempts of one call at an endpoint: what is sent each time, and when it is tried again.

What the endpoint refuses of a request is changed, and the request sent again at once. After any other failure that may
pass the call waits and is made again. `Chat.complete` and `relay` both go through here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from multiplex.errors import CallError
from multiplex.llm.adaptation import Adapted, Change, adapt, find_change, learn
from multiplex.llm.connection import Connection
from multiplex.llm.error_mapping import FailedAttempt, explain, read_told
from multiplex.llm.outcome import UnusableError
from multiplex.llm.spec import ModelSpec
from multiplex.llm.usage import Usage, set_spent

LONGEST_BACKOFF = 8.0  # seconds; where the endpoint asks to wait longer, it is waited for longer


class Attempts:
    """The attempts of one call, each entered with `async with`; to iterate ends with the first that succeeds.

    Args:
        parameters: optional fields of the request, under OpenAI's names.
        fixed: those of the parameters that are never left out; where the endpoint refuses one the call fails.
        on_retry: is told of a failure after which another attempt is made.

    Attributes:
        number: of the attempt under way, from 1; a request sent again because of its form is the same attempt.
        lost: what the attempts that failed took.
    """

    def __init__(
        self,
        line: Connection,
        spec: ModelSpec,
        parameters: Mapping[str, Any],
        messages: Sequence[Mapping[str, Any]],
        *,
        fixed: Collection[str] = (),
        on_retry: Callable[[CallError], None] | None = None,
    ) -> None:
        self.number, self.lost = 1, Usage()
        self._line, self._spec, self._at = line, spec, f"{spec.name} at {spec.place}"
        self._parameters, self._messages, self._fixed = parameters, messages, frozenset(fixed)
        self._on_retry = on_retry
        self._found: list[Change] = []
        self._done = False
        self._shared = 0  # attempts that were refused with others, sent at once and too many

    def __iter__(self) -> Iterator[Attempt]:
        while not self._done:
            changes = [each for each in learn(self._line.changes, self._found) if self._may_make(each)]
            yield Attempt(self, adapt(self._parameters, self._messages, changes, self._at), changes)

    def _may_make(self, change: Change) -> bool:
        return change.field not in self._fixed or change.why not in ("unknown", "value")

    def _succeed(self) -> None:
        """Remember for later calls what the endpoint refused of this one.

        Only what was seen to help is learned: the words of others are no proof.
        """
        self._line.changes, self._done = learn(self._line.changes, self._found), True

    def _find_change(self, error: Exception, sent: Adapted, made: Sequence[Change]) -> Change | None:
        """What of the request the endpoint refuses, and can be changed; None where the failure is another.

        `made` are the changes that the request had: another call may have learned this one since.
        """
        if (told := read_told(error)) is None:
            return None
        change = find_change(told, sent.parameters, [message["role"] for message in sent.messages])
        if change is None or change in made or not self._may_make(change):
            return None
        return change

    def _explain(self, error: Exception, spent: Usage) -> FailedAttempt:
        """The failure of an attempt, with what the endpoint said it took."""
        if isinstance(error, UnusableError):
            failure, spent = FailedAttempt(error.error, error.attempts), error.usage
        elif isinstance(error, CallError) and str(error).startswith(self._at):
            failure = FailedAttempt(error, 2 if error.kind == "timeout" else None)
        else:
            failure = explain(error, self._spec, self._line.secret)
        set_spent(failure.error, spent)
        self.lost += spent
        return failure

    async def _wait(self, failure: FailedAttempt, cause: Exception, *, last: bool, shared: bool) -> None:
        """Return when the next attempt may be made; one that was refused with others counts for nothing, at first.

        Raises:
            CallError: there is none; its `spent` is what all attempts took.
        """
        self._shared += shared
        most = self._spec.retries + 1 + min(self._shared, self._spec.retries)
        if last or self.number >= min(most, failure.attempts or most):
            raise set_spent(failure.error, self.lost) from (cause if cause is not failure.error else cause.__cause__)
        if self._on_retry is not None:
            self._on_retry(failure.error)
        backoff = random.uniform(0, min(0.5 * 2 ** (self.number - 1), LONGEST_BACKOFF))
        await asyncio.sleep(max(failure.wait or 0.0, backoff))
        self.number += 1


class Attempt:
    """One request's turn: entering waits for a place at the limiter; a failure that may pass ends in the block.

    Attributes:
        sent: the request as it is to be sent.
        spent: what came so far has cost, read where the block fails.
        last: set where no attempt can follow, since the caller has used a part of the reply.
    """

    def __init__(self, of: Attempts, sent: Adapted, changes: Sequence[Change]) -> None:
        self.sent, self.last = sent, False
        self.spent: Callable[[], Usage] = Usage
        self._of, self._changes, self._place = of, changes, of._line.limiter.place()

    async def __aenter__(self) -> Attempt:
        await self._place.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        await self._place.__aexit__(kind, error, trace)
        if error is None:
            self._of._succeed()
        if not isinstance(error, Exception):
            return False
        if not self.last and (change := self._of._find_change(error, self.sent, self._changes)) is not None:
            self._of._found.append(change)
            return True
        failure = self._of._explain(error, self.spent())
        shared = self._place.failed(failure)
        await self._of._wait(failure, error, last=self.last, shared=shared)
        return True
