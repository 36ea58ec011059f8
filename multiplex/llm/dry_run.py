"""A stand-in for a model, so that what a question would take can be told without sending anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from multiplex.errors import CallError
from multiplex.llm.chat import Chat
from multiplex.llm.spec import ModelSpec
from multiplex.llm.types import Call, Reply
from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

CHARACTERS = 4  # of a token, in English; other scripts have fewer
REPLY_TOKENS = {
    "multiplex:voice": 300,
    "multiplex:synthesis": 1200,
    "multiplex:check": 400,
    "multiplex:revision": 1200,
    "multiplex:solo-council": 1200,
    "multiplex:plan": 200,
}
"""What a reply is assumed to take, by the tag of its call: the prompts ask for up to 220 and up to 950 words."""
PLAIN_TOKENS = 600  # of an answer whose length no prompt bounds
TOKENS_A_WORD = 1.35
_FILLER = "Some hold this and others hold that. "


class FakeChat(Chat):
    """Hears what a model would be asked, and answers in filler of the length that is to be expected."""

    def __init__(self, spec: ModelSpec, words: int | None = None) -> None:
        super().__init__(spec)
        self.spent: list[Usage] = []
        self._words = words

    async def complete(
        self,
        messages: Sequence[BaseMessage],
        call: Call | None = None,
        *,
        on_delta: Callable[[str], None] | None = None,
        on_retry: Callable[[CallError], None] | None = None,  # noqa: ARG002
    ) -> Reply:
        """A reply that nobody wrote."""
        call = call or Call()
        given = round(sum(len(str(message.text)) for message in messages) / CHARACTERS)
        made = self._expected(call)
        if call.top_logprobs is not None:
            return self._alternatives(given)
        text = (_FILLER * (made * CHARACTERS // len(_FILLER) + 1))[: made * CHARACTERS].strip()
        usage = Usage(calls=1, input_tokens=given, output_tokens=made)
        self.spent.append(usage)
        if on_delta is not None:
            on_delta(text)
        return Reply(text, usage, 0.0)

    def _made(self, *, spec: ModelSpec | None = None, **_: object) -> FakeChat:
        """A copy is a stand-in too, and counts with this one: nothing may be sent."""
        other = FakeChat(spec or self.spec, self._words)
        other.spent = self.spent
        return other

    def _alternatives(self, given: int) -> Reply:
        usage = Usage(calls=1, input_tokens=given, output_tokens=1)
        self.spent.append(usage)
        return Reply('[[["A", -0.1], ["B", -2.4]]]', usage, 0.0)

    def _expected(self, call: Call) -> int:
        if self._words is not None:
            return round(self._words * TOKENS_A_WORD)
        expected = next((REPLY_TOKENS[tag] for tag in call.tags if tag in REPLY_TOKENS), PLAIN_TOKENS)
        return min(expected, call.max_tokens or expected)
