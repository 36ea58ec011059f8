"""What happens while a question is answered, as LangGraph custom stream events and to whoever watches.

An event is a plain dict with `type` and `strategy`. The types:

- `voice.started`: persona, perspective, title, round
- `voice.quoted`: persona, perspective, says (a position of the sourcebook that a small model's voice will show)
- `voice.delta`: persona, tokens (pieces received so far)
- `voice.finished`: persona, perspective, text, seconds, usage, note, round, positions, quoted, scaffold, asks
- `voice.failed`: persona, perspective, error, seconds, round
- `synthesis.started`
- `synthesis.drafted`: words; an essay that is now read against its voices
- `synthesis.checked`: findings (a list of dicts, as `council.answer.Finding`); where one is open, a revision follows
- `synthesis.delta`: text (the next piece of the answer, which has passed its check)
- `synthesis.restarted`: reason; the pieces before it are void; failed, and true, where the voices follow unconnected
- `answer.delta`, `answer.restarted`: the same for an answer of one call, where it is streamed
- `done`: text (the whole answer)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Emit = Callable[[Event], None]


def silent(_: Event) -> None:
    """For answers that nobody watches."""


def writer(strategy: str) -> Emit:
    """The stream writer of the running LangGraph node; it adds the strategy to every event."""
    from langgraph.config import get_stream_writer

    write = get_stream_writer()
    return lambda event: write({"strategy": strategy, **event})
