"""Pieces of an answer in the form that OpenAI's clients read: chunks of a stream, or one completion."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from multiplex.council.answer import Answer
from multiplex.llm.relay import Passed
from multiplex.llm.usage import total
from multiplex.serve.conversation.turn import Ended, Piece, Said, Thought
from multiplex.serve.openai.schema import ApiError

DONE = b"data: [DONE]\n\n"
ALIVE = b": the voices are thinking\n\n"
ALIVE_EVERY = 10.0  # seconds of silence after which a stream says so


class ReplyFormat(Protocol):
    """How the answer to one request is written: as a chat completion or as a response."""

    @property
    def id(self) -> str:
        """The answer's id."""

    def first(self) -> bytes:
        """What is sent before anything is known."""

    def piece(self, piece: Piece, extras: Mapping[str, Any]) -> bytes:
        """A piece as events; the last piece carries `extras`."""

    def last(self, answer: Answer | None) -> bytes:
        """What ends a stream that went well."""

    def failure(self, error: ApiError) -> bytes:
        """What ends a stream that went wrong."""

    def whole(self, pieces: Sequence[Piece], end: Ended, extras: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request without a stream."""


@dataclass(frozen=True)
class ChatForm:
    """Chunks of OpenAI's chat completions; `usage` says whether a stream ends with the cost."""

    model: str
    usage: bool = False
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
        if isinstance(piece, Passed):
            return self._chunk(piece.delta, logprobs=piece.logprobs)
        return self._chunk({"multiplex": dict(extras)}, finish(piece))

    def last(self, answer: Answer | None) -> bytes:
        """The event with the sum of all calls and no choice in it, where it is wanted, and the end."""
        if answer is None or not self.usage:
            return DONE
        return event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(answer)}) + DONE

    def failure(self, error: ApiError) -> bytes:
        """The error's envelope as an event."""
        return event(error.body.model_dump())

    def whole(self, pieces: Sequence[Piece], end: Ended, extras: Mapping[str, Any]) -> dict[str, Any]:
        """The completion that a request without a stream is answered with."""
        thoughts = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
        passed = [piece for piece in pieces if isinstance(piece, Passed)]  # one: the endpoint's message
        message: dict[str, Any] = {"role": "assistant", "content": said_of(pieces), "refusal": None}
        for piece in passed:
            message |= {name: value for name, value in piece.delta.items() if name != "content"}
        if not message["content"] and (message.get("tool_calls") or message["refusal"]):
            message["content"] = None
        message["multiplex"] = dict(extras)
        if thoughts:
            message["reasoning_content"] = thoughts
        logprobs = next((dict(piece.logprobs) for piece in passed if piece.logprobs is not None), None)
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish(end)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage_of(end.answer)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _chunk(
        self, delta: Mapping[str, Any], why: str | None = None, logprobs: Mapping[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": dict(delta), "logprobs": logprobs, "finish_reason": why}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})


def said_of(pieces: Iterable[Piece]) -> str:
    """The text of an answer's pieces."""
    said = ""
    for piece in pieces:
        if isinstance(piece, Said):
            said += piece.text
        elif isinstance(piece, Passed):
            said += piece.delta.get("content") or ""
    return said


def finish(end: Ended) -> str:
    """Why an answer ended, in OpenAI's words."""
    return end.finish or ("length" if end.answer.cut else "stop")


def usage_of(answer: Answer) -> dict[str, Any] | None:
    """The tokens of all calls, those of the voices as reasoning; None where an endpoint did not report them.

    How much of a single call's were thinking is not known here, and not told.
    """
    spent, voices = answer.usage, total(voice.usage for voice in answer.rounds)
    if spent.input_tokens is None or spent.output_tokens is None:
        return None
    told = {
        "prompt_tokens": spent.input_tokens,
        "completion_tokens": spent.output_tokens,
        "total_tokens": spent.input_tokens + spent.output_tokens,
    }
    if not answer.rounds:
        return told
    return {**told, "completion_tokens_details": {"reasoning_tokens": voices.output_tokens or 0}}


def event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n\n"
