"""What a question will take, told before it is asked: it is asked of stand-ins, so that calls and prompts are real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace

from multiplex.council.order import is_essay_checked
from multiplex.llm.dry_run import FakeChat
from multiplex.llm.prices import Prices
from multiplex.llm.usage import Usage, total
from multiplex.serve.conversation.graph_cache import Graphs
from multiplex.serve.conversation.memory import Memory
from multiplex.serve.conversation.request import TurnRequest
from multiplex.serve.conversation.turn import Ended, happenings, with_stances


@dataclass(frozen=True)
class CostEstimate:
    """Calls, and tokens where a model is not this machine's own; `usd` None where a price is not known.

    Attributes:
        paid: whether any call leaves this machine's own model, and so may cost money.
        revisions: further calls at most, one for each essay that is revised after its check.
        places: where the models are called, the one that writes the answers first.
    """

    calls: int
    paid: bool
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    revisions: int = 0
    places: tuple[str, ...] = ()


async def estimated(asked: Iterable[TurnRequest], prices: Prices, stance: tuple[str, ...] = ()) -> CostEstimate:
    """What these will take in all; retries are not counted. Nothing is sent, and no key is needed.

    `stance` are the options between which the voices of a council are asked to choose.

    Raises:
        UsageError: a question cannot be asked.
    """
    ways = list(asked)
    paid = not all(chat.spec.local for each in ways for chat in (each.chat, *each.voice_models.values()))
    spent = await asyncio.to_thread(lambda: asyncio.run(_rehearsed(ways, stance)))
    whole = total(spent.values())
    if not paid:
        return CostEstimate(whole.calls, paid=False, places=_places(ways))
    return CostEstimate(
        calls=whole.calls,
        paid=True,
        input_tokens=whole.input_tokens,
        output_tokens=whole.output_tokens,
        usd=prices.total(spent),
        revisions=sum(
            is_essay_checked(each.chat.spec, each.offer.council) for each in ways if each.offer.council is not None
        ),
        places=_places(ways),
    )


def _places(ways: Iterable[TurnRequest]) -> tuple[str, ...]:
    found = dict[str, None]()
    for each in ways:
        seats = each.offer.council.perspectives if each.offer.council is not None else ()
        voices = [each.voice_models[name] for name in seats if name in each.voice_models]
        found |= dict.fromkeys(chat.spec.place for chat in (each.chat, *voices))
    return tuple(found)


async def _rehearsed(ways: Iterable[TurnRequest], stance: tuple[str, ...]) -> dict[str, Usage]:
    """By model, what stand-ins heard and said."""
    spent: dict[str, Usage] = {}
    nothing = Memory()
    for asked in ways:
        voices = {name: FakeChat(chat.spec) for name, chat in asked.voice_models.items()}
        main = FakeChat(asked.chat.spec)
        rehearsal = replace(asked, chat=main, voice_models=voices)
        async with aclosing(happenings(rehearsal, nothing, Graphs(nothing))) as happening:
            async for event in happening:
                if isinstance(event, Ended) and stance and asked.offer.council is not None:
                    await with_stances(rehearsal, event, stance)
        for chat in (main, *voices.values()):
            spent[chat.spec.name] = spent.get(chat.spec.name, Usage()) + total(chat.spent)
    return spent
