"""Who owns the connections of a Chat that is handed to `ask` and `answer`."""

from __future__ import annotations

import asyncio
import threading

from multiplex.answering import ask
from multiplex.council.order import Order
from multiplex.llm.chat import Chat
from multiplex.llm.spec import parse_spec
from tests.backend import Backend, Body, Say


async def test_a_question_that_is_over_leaves_a_callers_chat_open_for_the_one_beside_it(backend: Backend) -> None:
    first_is_over = threading.Event()

    def script(body: Body, n: int) -> Say:
        if body["messages"][-1]["content"] == "Slow?":
            assert first_is_over.wait(30)
        return Say("Well.")

    backend.script = script
    chat = Chat(parse_spec("m", backend.base_url).model_copy(update={"retries": 0}))
    slow = asyncio.create_task(ask(Order.of("Slow?", strategies=["uniplex"], model=chat)))
    quick, _ = await ask(Order.of("Quick?", strategies=["uniplex"], model=chat, voice_models={"african": chat}))
    first_is_over.set()
    result, error = await slow
    await chat.aclose()
    assert error is None
    assert quick["uniplex"].text == result["uniplex"].text == "Well."
