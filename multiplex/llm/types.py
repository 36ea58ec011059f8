"""Where replies are written down before they are used, so that no call is ever paid for twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from multiplex.errors import CallError
    from multiplex.llm.chat import Reply


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
