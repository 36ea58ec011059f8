from __future__ import annotations

import asyncio

import pytest

from multiplex.llm.pacing import Pacing


async def test_one_goes_on_in_each_round_in_the_order_of_asking() -> None:
    turns, went = Pacing(), list[tuple[int, int]]()
    rounds = 0

    async def count() -> None:
        nonlocal rounds
        while len(went) < 6:
            rounds += 1
            await asyncio.sleep(0)

    async def go(number: int) -> None:
        await turns.take()
        went.append((rounds, number))

    await asyncio.gather(count(), *map(go, range(6)))
    assert [number for _, number in went] == [0, 1, 2, 3, 4, 5]
    assert len({at for at, _ in went}) == 6


async def test_one_that_left_is_passed_over() -> None:
    turns = Pacing()
    first, left, stays = (asyncio.create_task(turns.take()) for _ in range(3))
    await first
    left.cancel()
    await stays
    with pytest.raises(asyncio.CancelledError):
        await left
    await turns.take()
