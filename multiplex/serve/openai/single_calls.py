"""Requests to `uniplex` and `contextual` that ask for more than words: passed to the endpoint, and its reply back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from time import perf_counter
from typing import Any

from multiplex.council.answer import Answer
from multiplex.council.seeds import call_seed
from multiplex.council.strategies import check_strategy, system_prompt
from multiplex.llm.chat import Chat
from multiplex.llm.relay import Closed, RelayRequest, relay
from multiplex.llm.tracing import each_inside, trace_answer
from multiplex.serve.conversation.turn import Ended, Piece, Said
from multiplex.serve.openai.fields import as_given, passed_on
from multiplex.serve.openai.schema import ChatRequest

_FIXED = ("temperature", "seed", "user")  # of the caller where they are given, else ours


async def passed(body: ChatRequest, strategy: str, chat: Chat, seed: int, question: str) -> AsyncIterator[Piece]:
    """The pieces of the endpoint's reply; the last is `Ended`.

    Raises:
        UsageError: a small model is asked as it may not be.
        MultiplexError: there is no answer, or the endpoint broke off in the middle of one.
    """
    check_strategy(strategy, chat.spec)
    system = system_prompt(strategy)
    messages = [*([{"role": "system", "content": system}] if system else []), *map(as_given, body.messages)]
    given = {name: value for name in _FIXED if (value := getattr(body, name)) is not None}
    ours: dict[str, Any] = {"temperature": chat.spec.temperature, "seed": call_seed(seed, strategy)}
    ours = {name: value for name, value in ours.items() if value is not None and name not in given}
    if "seed" in given:
        given["seed"] = call_seed(seed, strategy)
    asked = RelayRequest(messages, given | passed_on(body), ours, chat.spec.answer_tokens, bool(body.stream))
    started, text = perf_counter(), ""
    async with AsyncExitStack() as held:
        inside = held.enter_context(trace_answer((strategy,), seed))
        pieces = await held.enter_async_context(aclosing(each_inside(inside, relay(chat, asked))))
        async for piece in pieces:
            if isinstance(piece, Closed):
                answer = Answer(
                    strategy=strategy,
                    text=text,
                    model=chat.spec.name,
                    prompt=system,
                    usage=piece.usage,
                    seconds=perf_counter() - started,
                    cut=piece.finish == "length",
                    notes=piece.notes,
                )
                yield Ended(answer, question, finish=piece.finish)
                continue
            said = piece.delta.get("content") or ""
            text += said
            yield Said(said) if set(piece.delta) == {"content"} and piece.logprobs is None else piece
