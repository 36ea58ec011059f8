"""POST /v1/responses: the chat API's answers in the form of OpenAI's responses API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from multiplex.llm.relay import Passed
from multiplex.serve.conversation.turn import Ended, Piece, Said, Thought
from multiplex.serve.openai.chunks import finish, usage_of
from multiplex.serve.openai.completions import complete
from multiplex.serve.openai.response_schema import ResponseRequest, as_chat, in_responses
from multiplex.serve.openai.schema import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from multiplex.council.answer import Answer
    from multiplex.serve.service import Caller, Service

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED = (
    "instructions", "temperature", "top_p", "max_output_tokens", "max_tool_calls", "reasoning", "text", "truncation",
    "user",
)  # fmt: skip


async def respond(service: Service, caller: Caller, request: Request, body: ResponseRequest) -> Response:
    """The answer to one request, streamed or whole.

    Raises:
        ApiError: it cannot be answered.
    """
    chat = as_chat(body)
    try:
        return await complete(service, caller, request, chat, ResponseForm(body))
    except ApiError as error:
        told = error.body.error
        if told.param is not None:
            param = in_responses(told.param, body)
            error.body.error = told.model_copy(
                update={"param": param, "message": told.message.replace(f"{told.param}: ", f"{param}: ", 1)}
            )
        raise


class ResponseForm:
    """A response as it grows: every piece makes events, and the response holds all items that are done."""

    def __init__(self, asked: ResponseRequest) -> None:
        self.id = f"resp_{uuid4().hex}"
        self._number = 0
        self._items: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._calls: dict[int, dict[str, Any]] = {}
        given = {name: value for name in _ECHOED if (value := getattr(asked, name)) is not None}
        self._metadata = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in (asked.metadata or {}).items()
        }
        self._response: dict[str, Any] = {
            "id": self.id,
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": self._metadata,
            "model": asked.model,
            "output": [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "tool_choice": asked.tool_choice or "auto",
            "tools": asked.tools or [],
            "usage": None,
            **given,
        }

    def first(self) -> bytes:
        """The events that say what is asked."""
        return b"".join(
            self._event(kind, response=self._response) for kind in ("response.created", "response.in_progress")
        )

    def piece(self, piece: Piece, extras: Mapping[str, Any]) -> bytes:
        """A piece as events; the last closes the response and carries `extras`."""
        return b"".join(self._taken(piece, extras))

    def last(self, _: Answer | None) -> bytes:
        """Nothing: the last piece closed the response."""
        return b""

    def failure(self, error: ApiError) -> bytes:
        """The events that end a stream which went wrong; OpenAI's clients raise the second."""
        told = error.body.error
        code = told.code or told.type
        self._response |= {"status": "failed", "error": {"code": code, "message": told.message}}
        failed = self._event("response.failed", response=self._response)
        return failed + self._event("error", code=code, message=told.message, param=told.param, error=told.model_dump())

    def whole(self, pieces: Sequence[Piece], end: Ended, extras: Mapping[str, Any]) -> dict[str, Any]:
        """The response to a request without a stream."""
        for piece in (*(each for each in pieces if not isinstance(each, Ended)), end):
            self.piece(piece, extras)
        return self._response

    def _taken(self, piece: Piece, extras: Mapping[str, Any]) -> Iterator[bytes]:
        if isinstance(piece, Thought):
            yield from self._opened("reasoning")
            yield from self._summary(piece.text.strip())
        elif isinstance(piece, Said):
            yield from self._text("output_text", piece.text, None)
        elif isinstance(piece, Passed):
            if text := piece.delta.get("content"):
                yield from self._text("output_text", text, piece.logprobs)
            if text := piece.delta.get("refusal"):
                yield from self._text("refusal", text, None)
            for place, call in enumerate(piece.delta.get("tool_calls") or ()):
                yield from self._call(call, call.get("index", place))
        else:
            yield from self._ended(piece, extras)

    def _ended(self, end: Ended, extras: Mapping[str, Any]) -> Iterator[bytes]:
        yield from self._closed()
        for place, call in sorted(self._calls.items()):
            yield from self._call_done(call, place)
        usage, why = usage_of(end.answer), _INCOMPLETE.get(finish(end))
        self._response |= {
            "status": "completed" if why is None else "incomplete",
            "incomplete_details": None if why is None else {"reason": why},
            "metadata": {**self._metadata, "multiplex": json.dumps(extras, ensure_ascii=False)},
            "multiplex": dict(extras),
            "output": self._items,
            "usage": usage
            and {
                "input_tokens": usage["prompt_tokens"],
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": usage["completion_tokens"],
                "output_tokens_details": usage.get("completion_tokens_details", {"reasoning_tokens": 0}),
                "total_tokens": usage["total_tokens"],
            },
        }
        yield self._event(f"response.{self._response['status']}", response=self._response)

    def _opened(self, kind: str) -> Iterator[bytes]:
        """Begin an item of this kind where none is open; another kind's is closed first."""
        if self._open is not None and self._open["type"] == kind:
            return
        yield from self._closed()
        if kind == "reasoning":
            item: dict[str, Any] = {"id": f"rs_{uuid4().hex}", "type": kind, "summary": []}
        else:
            item = {"id": f"msg_{uuid4().hex}", "type": kind, "status": "in_progress", "role": "assistant"}
            item["content"] = []
        self._open = item
        self._items.append(item)
        yield self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)

    def _summary(self, text: str) -> Iterator[bytes]:
        item = self._open
        if item is None:
            raise AssertionError("a reasoning item is open")
        part = {"type": "summary_text", "text": text}
        at = self._at(item) | {"summary_index": len(item["summary"])}
        item["summary"].append(part)
        yield self._event("response.reasoning_summary_part.added", **at, part={**part, "text": ""})
        yield self._event("response.reasoning_summary_text.delta", **at, delta=text)
        yield self._event("response.reasoning_summary_text.done", **at, text=text)
        yield self._event("response.reasoning_summary_part.done", **at, part=part)

    def _text(self, kind: str, text: str, logprobs: Mapping[str, Any] | None) -> Iterator[bytes]:
        yield from self._opened("message")
        item = self._open
        if item is None:
            raise AssertionError("a message is open")
        parts, name = item["content"], "text" if kind == "output_text" else "refusal"
        if not parts or parts[-1]["type"] != kind:
            yield from self._part_done(item)
            new: dict[str, Any] = {"type": kind, name: ""} | (
                {"annotations": [], "logprobs": []} if kind == "output_text" else {}
            )
            parts.append(new)
            at = self._at(item) | {"content_index": len(parts) - 1}
            yield self._event("response.content_part.added", **at, part=new)
        parts[-1][name] += text
        at = self._at(item) | {"content_index": len(parts) - 1, "delta": text}
        if kind == "output_text":
            said = list((logprobs or {}).get("content") or ())
            parts[-1]["logprobs"] += said
            at["logprobs"] = said
        yield self._event(f"response.{kind}.delta", **at)

    def _part_done(self, item: Mapping[str, Any]) -> Iterator[bytes]:
        if item["type"] != "message" or not item["content"]:
            return
        part, at = item["content"][-1], self._at(item) | {"content_index": len(item["content"]) - 1}
        if part["type"] == "output_text":
            yield self._event("response.output_text.done", **at, text=part["text"], logprobs=part["logprobs"])
        else:
            yield self._event("response.refusal.done", **at, refusal=part["refusal"])
        yield self._event("response.content_part.done", **at, part=part)

    def _closed(self) -> Iterator[bytes]:
        item, self._open = self._open, None
        if item is None:
            return
        yield from self._part_done(item)
        if "status" in item:
            item["status"] = "completed"
        yield self._event("response.output_item.done", output_index=self._items.index(item), item=item)

    def _call(self, call: Mapping[str, Any], place: int) -> Iterator[bytes]:
        """A tool's call, or a piece of it."""
        function = call.get("function") or {}
        if place not in self._calls:
            yield from self._closed()
            item = {"id": f"fc_{uuid4().hex}", "type": "function_call", "status": "in_progress", "arguments": ""}
            item |= {"call_id": call.get("id") or f"call_{uuid4().hex}", "name": function.get("name") or ""}
            self._calls[place] = item
            self._items.append(item)
            added = {**item}  # as it is now: its arguments are yet to come
            yield self._event("response.output_item.added", output_index=len(self._items) - 1, item=added)
        item = self._calls[place]
        if more := function.get("arguments"):
            item["arguments"] += more
            yield self._event("response.function_call_arguments.delta", **self._at(item), delta=more)

    def _call_done(self, item: dict[str, Any], _: int) -> Iterator[bytes]:
        item["status"] = "completed"
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield self._event("response.function_call_arguments.done", **self._at(item), **done)
        yield self._event("response.output_item.done", output_index=self._items.index(item), item=item)

    def _at(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {"item_id": item["id"], "output_index": next(i for i, each in enumerate(self._items) if each is item)}

    def _event(self, kind: str, **data: Any) -> bytes:
        made = {"type": kind, "sequence_number": self._number, **data}
        self._number += 1
        text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
        return f"event: {kind}\ndata: {text}\n\n".encode("utf-8", "replace")
