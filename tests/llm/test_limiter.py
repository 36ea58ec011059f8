from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.error_mapping import FailedAttempt
from multiplex.llm.limiter import Limiter, LimiterSlot, adaptive
from multiplex.llm.spec import ModelSpec, parse_spec
from tests.backend import Backend, Body, Say
from tests.properties import examples

REFUSED = FailedAttempt(CallError("rate_limited", "429"), wait=0.01)


async def calls(
    limiter: Limiter, count: int, failure: Callable[[int], FailedAttempt | None] = lambda _: None
) -> list[int]:
    """Make so many calls, each one turn of the loop long; how many were under way as each began."""
    seen: list[int] = []

    async def one(number: int) -> None:
        place = limiter.place()
        try:
            async with place:
                seen.append(limiter.in_flight)
                await asyncio.sleep(0)
                if (failed := failure(number)) is not None:
                    raise failed.error
        except CallError:
            place.failed(failed)

    await asyncio.gather(*map(one, range(count)))
    return seen


async def entered(limiter: Limiter, count: int) -> list[LimiterSlot]:
    places = [limiter.place() for _ in range(count)]
    for place in places:
        await place.__aenter__()
    return places


async def leave(places: Sequence[LimiterSlot], failure: FailedAttempt | None = None) -> None:
    for place in places:
        await place.__aexit__(failure and CallError, failure and failure.error, None)
        if failure is not None:
            place.failed(failure)


async def test_without_a_most_the_limit_stays() -> None:
    limiter = Limiter(3)
    assert max(await calls(limiter, 50)) == 3
    await calls(limiter, 10, lambda n: REFUSED)
    assert limiter.limit == 3


async def test_a_clean_round_doubles_the_limit_up_to_the_most() -> None:
    limiter = Limiter(4, most=13)
    seen = await calls(limiter, 4)
    assert (limiter.limit, max(seen)) == (8, 4)
    await calls(limiter, 7)
    assert limiter.limit == 8
    assert max(await calls(limiter, 200)) == limiter.limit == 13
    assert limiter.notes[0] == "all is well; up to 8 calls at once (before: 4)"


async def test_a_limit_that_is_not_used_does_not_grow() -> None:
    limiter = Limiter(4, most=100)
    for _ in range(20):
        await calls(limiter, 3)
    assert limiter.limit == 4


async def test_a_wave_of_refusals_lowers_the_limit_once_and_the_next_wave_again() -> None:
    limiter = Limiter(16, most=100)
    await leave(await entered(limiter, 16), REFUSED)
    assert limiter.limit == 8
    await leave(await entered(limiter, 8), REFUSED)
    assert limiter.limit == 4
    assert [note.split("; ")[1] for note in limiter.notes] == [
        "every call waits 0.01 s, then at most 8 calls at once (before: 16)",
        "every call waits 0.01 s, then at most 4 calls at once (before: 8)",
    ]


async def test_after_a_refusal_the_limit_climbs_by_steps_and_only_calls_made_since_count() -> None:
    limiter = Limiter(8, most=100)
    before = await entered(limiter, 8)
    await leave(before[:1], REFUSED)
    await leave(before[1:])  # went well, but under the limit that was too high
    assert limiter.limit == 4
    await calls(limiter, 4)
    assert limiter.limit == 6
    await calls(limiter, 6)
    assert limiter.limit == 8


async def test_a_timeout_takes_back_the_growth_and_no_more() -> None:
    limiter = Limiter(4, most=100)
    await calls(limiter, 12)
    assert limiter.limit == 16
    late = FailedAttempt(CallError("timeout", "late"), attempts=2)
    for expected in (8, 4, 4):
        await leave(await entered(limiter, 1), late)
        assert limiter.limit == expected


async def test_calls_that_slow_down_stop_the_growth() -> None:
    """An endpoint that queues what it cannot serve does not refuse: calls take longer the more there are."""
    now = 0.0
    limiter = Limiter(4, most=1000, clock=lambda: now)
    for _ in range(10):
        places = await entered(limiter, limiter.limit)
        now += 1.0 * max(1, len(places) / 8)  # it serves eight at a time
        await leave(places)
    assert limiter.limit == 32  # at 16 a call takes twice as long as at 8, at 32 four times


async def test_refusals_that_name_no_time_pause_everything_longer_each_wave() -> None:
    now = 0.0
    limiter = Limiter(8, most=100, clock=lambda: now)
    bare = FailedAttempt(CallError("rate_limited", "429"))
    for expected in (1.0, 2.0, 4.0):
        await leave(await entered(limiter, 2), bare)
        assert limiter.held == expected
        now += expected
    await leave(await entered(limiter, 1))
    await leave(await entered(limiter, 1), bare)
    assert limiter.held == 1.0


async def test_cancelled_callers_give_their_places_back() -> None:
    limiter = Limiter(2)
    held = await entered(limiter, 2)
    waiting = [asyncio.create_task(entered(limiter, 1)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await leave(held[:1])
    await asyncio.sleep(0)  # the second is admitted, and cancelled before it can know
    waiting[1].cancel()
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    await asyncio.wait_for(waiting[2], 5)
    assert limiter.in_flight == 2


def test_a_model_on_this_machine_has_a_fixed_limit() -> None:
    assert adaptive(parse_spec("local"))._most == parse_spec("local").limit
    remote = parse_spec("m", "http://127.0.0.1:9/v1")
    assert [adaptive(remote, start)._most for start in (None, 5, 500)] == [200, 50, 500]


def test_processes_that_share_an_endpoint_keep_together_to_what_one_may_send() -> None:
    remote = parse_spec("m", "http://127.0.0.1:9/v1")
    limiters = [adaptive(remote, start, share=4) for start in (4, 21, 500)]
    assert [(each.limit, each._most) for each in limiters] == [(1, 10), (5, 50), (125, 125)]


# --- with a real endpoint


def spec_of(backend: Backend, **changes: object) -> ModelSpec:
    return parse_spec("m", backend.base_url).model_copy(update={"retries": 6, "timeout": 20.0, **changes})


async def ask(chat: Chat, count: int) -> None:
    try:
        replies = await asyncio.gather(*(chat.complete([HumanMessage(f"question {i}")]) for i in range(count)))
    finally:
        await chat.aclose()
    assert [reply.text for reply in replies] == ["fine."] * count


class Endpoint:
    """Refuses what comes beyond its capacity, and remembers the most that it had at once."""

    def __init__(self, backend: Backend, capacity: int = 1000) -> None:
        self._capacity, self._lock, self._under_way = capacity, threading.Lock(), 0
        self.most = self.refused = 0
        backend.script = self

    def __call__(self, body: Body, number: int) -> Say:  # noqa: ARG002
        with self._lock:
            self.most = max(self.most, self._under_way + 1)
            if self._under_way >= self._capacity:
                self.refused += 1
                return Say(status=429, headers={"Retry-After": "0.2"})
            self._under_way += 1
        time.sleep(0.05)
        with self._lock:  # before the reply leaves, so that the caller cannot be quicker
            self._under_way -= 1
        return Say("fine.")


async def test_a_real_429_holds_every_call_lowers_the_limit_says_so_and_it_grows_again(backend: Backend) -> None:
    said: list[str] = []
    limiter = adaptive(spec_of(backend), 6, said.append)

    def script(body: Body, number: int) -> Say:
        if number == 2:
            return Say(status=429, headers={"Retry-After": "2"})
        return Say("fine.", delay=0.05)

    backend.script = script
    await ask(Chat(spec_of(backend), limiter=limiter), 60)
    assert said[0] == "m: 429, too many requests; every call waits 2 s, then at most 3 calls at once (before: 6)"
    starts = sorted(began for began, _ in backend.times)
    gap = max(b - a for a, b in itertools.pairwise(starts))
    assert gap >= 1.0  # the calls that were under way as the refusal came had begun before it
    assert 6 < limiter.limit < 20  # climbed from 3 by single steps
    assert len(backend.requests) == 61


async def test_growth_finds_the_endpoints_capacity_and_no_call_is_lost_to_429(backend: Backend) -> None:
    endpoint = Endpoint(backend, capacity=10)
    limits: list[int] = []
    limiter = adaptive(spec_of(backend), 4, lambda _: limits.append(limiter.limit))
    await ask(Chat(spec_of(backend), limiter=limiter), 120)
    assert 10 < endpoint.most <= max(limits)
    assert 0 < endpoint.refused < 120
    assert 4 <= limiter.limit < max(limits)


async def test_of_calls_that_are_refused_together_one_has_used_an_attempt(backend: Backend) -> None:
    together = threading.Barrier(3)

    def script(_: Body, number: int) -> Say:
        if number < 3:
            together.wait(30)
        return Say(status=429, headers={"Retry-After": "0"})

    backend.script = script
    chat = Chat(spec_of(backend).model_copy(update={"retries": 1}), limiter=Limiter(3, 3))
    asked = (chat.complete([HumanMessage(f"question {i}")]) for i in range(3))
    assert [error.kind for error in await asyncio.gather(*asked, return_exceptions=True)] == ["rate_limited"] * 3  # type: ignore[union-attr]
    await chat.aclose()
    assert len(backend.requests) == 2 + 3 + 3  # after the first three the limit is one call at once


@pytest.mark.parametrize("limit", [1, 3])
async def test_an_endpoint_never_has_more_calls_than_a_fixed_limit(backend: Backend, limit: int) -> None:
    limiter = Limiter(limit)
    endpoint = Endpoint(backend)
    chat = Chat(spec_of(backend), limiter=limiter)
    assert chat.limiter is limiter
    await ask(chat, 8)
    assert endpoint.most == limit


OUTCOMES = st.sampled_from([None, "timeout", "rate_limited", "server"])


@examples(50)
@given(st.integers(1, 6), st.one_of(st.none(), st.integers(1, 40)), st.lists(OUTCOMES, max_size=40))
def test_whatever_comes_of_calls_none_is_admitted_beyond_the_limit_and_every_place_is_given_back(
    start: int, most: int | None, outcomes: list[str | None]
) -> None:
    limiter, limits = Limiter(start, most, clock=lambda: 0.0), set[int]()

    def outcome(number: int) -> FailedAttempt | None:
        limits.add(limiter.limit)
        kind = outcomes[number]
        return FailedAttempt(CallError(kind, kind), wait=0.0) if kind else None

    seen = asyncio.run(calls(limiter, len(outcomes), outcome))
    assert len(seen) == len(outcomes)
    assert max(seen, default=0) <= max(limits, default=0)
    assert all(1 <= limit <= max(start, most or 0) for limit in limits | {limiter.limit})
    assert limits <= {start} if most is None else True
    assert limiter.in_flight == 0
