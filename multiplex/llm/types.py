"""The types of one call: what differs from call to call, what comes back, and where replies are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from multiplex.llm.usage import Usage

if TYPE_CHECKING:
    from multiplex.errors import CallError


@dataclass(frozen=True)
class Reply:
    """What a model said.

    Attributes:
        text: without thinking.
        usage: of every attempt, those that failed too.
        seconds: with retries.
        cut: whether a token limit ended it.
        notes: what the endpoint refused of the request, a line each; the call went without it.
        message_id: the id under which LangChain's callbacks saw its pieces; None where they saw none.
    """

    text: str
    usage: Usage
    seconds: float
    cut: bool = False
    attempts: int = 1
    notes: tuple[str, ...] = ()
    message_id: str | None = None


@dataclass(frozen=True)
class Call:
    """How one call differs from another to the same model.

    `slot` pins a call to a place of the embedded server, whose cache then knows the prompt's beginning; `grammar`
    is GBNF. Both go to the embedded server only. `response_format` is OpenAI's (a JSON schema); where the endpoint
    refuses it the call goes on without, so the prompt must ask for the form too. `temperature` replaces the spec's.
    `top_logprobs` asks for so many alternatives of each token, 1..20; the reply's `text` is then the alternatives of
    its first tokens, as `multiplex.llm.logprobs` reads them, and not what the model said. `tags` mark the call in
    LangChain's and LangGraph's streams; `persona` names who speaks, for traces.
    """

    max_tokens: int | None = None
    seed: int | None = None
    slot: int | None = None
    grammar: str | None = None
    response_format: Mapping[str, Any] | None = None
    temperature: float | None = None
    top_logprobs: int | None = None
    tags: tuple[str, ...] = ()
    persona: str | None = None


class Ledger(Protocol):
    """Keeps the replies of one piece of work, each under the hash of its request."""

    async def begin(self, key: str) -> Reply | None:
        """The reply that stands under this key; None where there is none yet.

        Raises:
            MultiplexError: nothing can be written down any more, so that a call would be lost.
        """

    async def admit(self, key: str) -> None:
        """Return when a request may be sent: asked before each attempt, once the endpoint has room for it."""

    async def keep(self, key: str, reply: Reply) -> None:
        """Write a reply down; it is on disk when this returns.

        Raises:
            MultiplexError: the disk refuses.
        """

    async def fail(self, key: str, error: CallError, seconds: float, attempts: int) -> None:
        """Write down that a call failed for good."""
