"""Pieces of an answer in the form that OpenAI's clients read: chunks of a stream, or one completion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from multiplex.council.answer import Answer
from multiplex.llm.usage import total
from multiplex.serve.conversation.turn import Ended, Piece, Said, Thought
from multiplex.serve.openai.schema import ApiError

DONE = b"data: [DONE]\n\n"
ALIVE = b": the voices are thinking\n\n"
ALIVE_EVERY = 10.0  # seconds of silence after which a stream says so


@dataclass(frozen=True)
class Form:
    """What every chunk and the whole completion of one request have in common."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def first(self) -> bytes:
        """The chunk that says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece, extras: Mapping[str, Any]) -> bytes:
        """A piece as an event; the last one says why the answer ended and carries `extras`."""
        if isinstance(piece, Thought):
            return self._chunk({"reasoning_content": piece.text})
        if isinstance(piece, Said):
            return self._chunk({"content": piece.text})
        return self._chunk({"multiplex": dict(extras)}, finish(piece.answer))

    def usage(self, answer: Answer) -> bytes:
        """The event with the sum of all calls, and no choice in it."""
        return event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(answer)})

    def whole(self, thoughts: str, said: str, end: Ended, extras: Mapping[str, Any]) -> dict[str, Any]:
        """The completion that a request without a stream is answered with."""
        message = {"role": "assistant", "content": said, "refusal": None, "multiplex": dict(extras)}
        if thoughts:
            message["reasoning_content"] = thoughts
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish(end.answer)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage_of(end.answer)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: Mapping[str, Any], why: str | None = None) -> bytes:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": why}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})


def failure(error: ApiError) -> bytes:
    """The event that ends a stream which went wrong."""
    return event(error.body.model_dump())


def finish(answer: Answer) -> str:
    """Why an answer ended, in OpenAI's words."""
    return "length" if answer.cut else "stop"


def usage_of(answer: Answer) -> dict[str, Any] | None:
    """The tokens of all calls, those of the voices as reasoning; None where an endpoint did not report them."""
    spent, voices = answer.usage, total(voice.usage for voice in answer.rounds)
    if spent.input_tokens is None or spent.output_tokens is None:
        return None
    return {
        "prompt_tokens": spent.input_tokens,
        "completion_tokens": spent.output_tokens,
        "total_tokens": spent.input_tokens + spent.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": voices.output_tokens or 0},
    }


def event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n\n"
