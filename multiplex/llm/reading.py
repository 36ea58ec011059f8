"""Reads the replies of chat endpoints, streamed or whole: the one reader that every transport uses."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from multiplex.content import storable
from multiplex.llm.protocol import Ending, EndpointError, Told, find_ending, find_error, read_error, read_usage
from multiplex.llm.reasoning import Manner, ThinkingFilter
from multiplex.llm.usage import Usage

LONGEST = 4_000_000  # characters of a reply, thinking included, where the call sets no limit: a million tokens
CHARACTERS = 40  # of a token at most, as a bound for replies to calls that set a limit
SLACK = 20_000  # characters beyond that
MOST_BYTES = 64_000_000  # of a response, with everything around the text
_BOM = b"\xef\xbb\xbf"
_PARTS = ("text", "output_text")
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
_SAID = ("content", "refusal", "tool_calls", "function_call")


@dataclass(frozen=True)
class Completion:
    """What came, thinking left out.

    Attributes:
        text: the words with any thinking; see `multiplex.llm.reasoning`.
        ending: how it ended; None where the endpoint did not say so.
        finish: the endpoint's own word for that.
        usage: one call, and its tokens.
        refusal: the model's words where it declines to answer.
        reasoned: whether thinking came beside the text.
        unclosed: whether it was cut off before the thinking in the text ended, as far as is known of the model.
        tools: names of the tools that the model calls.
        error: what the endpoint says went wrong with the choice.
        heard: whether any choice came at all.
        too_long: whether the rest was not read, since it is longer than the call can have asked for.
        message_id: LangChain's, where its callbacks saw the pieces.
        logprobs: the endpoint's own objects, one a token; empty where it sent none.
    """

    text: str
    ending: Ending | None
    finish: str
    usage: Usage
    refusal: str = ""
    reasoned: bool = False
    unclosed: bool = False
    tools: tuple[str, ...] = ()
    error: Told | None = None
    heard: bool = True
    too_long: bool = False
    message_id: str | None = None
    logprobs: tuple[Any, ...] = ()


Shown_co = TypeVar("Shown_co", covariant=True)


class ReplySink(Protocol[Shown_co]):
    """Takes a reply in, event by event, and says what of it may be shown or passed on: where nothing, what is false."""

    @property
    def begun(self) -> bool:
        """Whether anything came that belongs to a chat completion."""

    @property
    def too_long(self) -> bool:
        """Whether the rest need not be read."""

    def take(self, event: Any, kind: str = "") -> Shown_co | None:
        """Take in one event or a whole reply."""

    def close(self) -> Shown_co | None:
        """What is still shown, once nothing more comes."""


class ReplyReader:
    """A reply as it comes in; `choice` is what the endpoint sent last of the one that is read, `said` its new words.

    Args:
        max_tokens: the call's limit, which bounds how long the reply can be; None sets none.
        manner: how the model thinks, as far as its earlier replies told.
        hold: whether nothing is shown before the end of thinking, or of the reply.
    """

    def __init__(self, max_tokens: int | None = None, manner: Manner | None = None, *, hold: bool = False) -> None:
        self.begun = self.too_long = False
        self.choice: Mapping[str, Any] = {}
        self.said: Mapping[str, Any] = {}
        self._by_deltas = False
        self._index: int | None = None  # of the choice that is read: some endpoints send more than were asked for
        self._most = LONGEST if max_tokens is None else min(LONGEST, CHARACTERS * max_tokens + SLACK)
        self._visible = ThinkingFilter(manner, hold=hold)
        self._pieces: list[str] = []
        self._refusal: list[str] = []
        self._half = ""  # the first half of a character whose second comes with the next piece
        self._length = 0
        self._finish = ""
        self._usage: Any = None
        self._reasoned = self._heard = False
        self._tools: list[str] = []
        self._logprobs: list[Any] = []
        self._error: Told | None = None

    def take(self, event: Any, kind: str = "") -> str:
        """Take in one event or a whole reply; what may be shown of it now.

        A field of the wrong kind raises what Python raises.

        Raises:
            EndpointError: it tells of an error.
        """
        if not isinstance(event, Mapping):
            raise TypeError(f"an object is expected, not {type(event).__name__}")
        choices = event.get("choices") or ()
        error = read_error(event) if kind == "error" else find_error(event)
        if error is not None and not choices:
            raise EndpointError(error)
        self.begun = self.begun or "choices" in event
        self.choice = self._choose(choices)
        self.said = self._find_said()
        self._count(event)
        if not self.choice:
            return ""
        self._heard = True
        self._error = error or find_error({"choices": (), "error": self.choice.get("error")}) or self._error
        return self._read(self.choice)

    def _choose(self, choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        if self._index is None and choices:
            self._index = min(choice.get("index") or 0 for choice in choices)
        return next((choice for choice in choices if (choice.get("index") or 0) == self._index), {})

    def _find_said(self) -> Mapping[str, Any]:
        """What the choice adds: its delta, or its message, unless that repeats at the end what deltas have said."""
        delta, message = self.choice.get("delta") or {}, self.choice.get("message") or {}
        self._by_deltas = self._by_deltas or any(delta.get(name) for name in _SAID)
        if self._by_deltas:
            return delta
        return message if any(message.get(name) for name in _SAID) else delta or message

    def _count(self, event: Mapping[str, Any]) -> None:
        """Keep the newest report of tokens, at one of the places where endpoints put it, but one of nothing at all."""
        places = (event, self.choice, event.get("x_groq") or {})
        usage = next((place["usage"] for place in places if place.get("usage") is not None), None)
        if usage is not None and (self._usage is None or read_usage(usage, spoke=True).output_tokens):
            self._usage = usage

    def _read(self, choice: Mapping[str, Any]) -> str:
        finish = choice.get("finish_reason")
        self._finish = self._finish if finish in (None, "") else str(finish)
        said = self.said
        text, thought, refusal = read_content(said)
        thoughts = [thought, *(value for name in THOUGHTS if isinstance(value := said.get(name), str))]
        self._reasoned = self._reasoned or any(thoughts)
        self._refusal.append(refusal)
        for call in said.get("tool_calls") or ():
            if name := (call.get("function") or {}).get("name"):
                self._tools.append(str(name))
        if isinstance(logprobs := choice.get("logprobs"), Mapping):
            self._logprobs += logprobs.get("content") or ()
        self._length += len(text) + max(map(len, thoughts))
        if self._length > self._most:
            self.too_long = True
            text = text[: max(0, len(text) - (self._length - self._most))]
        return self._hear(text)

    def _hear(self, text: str) -> str:
        text = _join(self._half + text)
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        if not (text := storable(text.removesuffix(self._half))):
            return ""
        self._pieces.append(text)
        return self._visible.feed(text)

    def close(self) -> str:
        """What may still be shown, once nothing more comes.

        Raises:
            ValueError: nothing came that belongs to a chat completion.
        """
        if not self.begun:
            raise ValueError("it held nothing")
        rest = self._visible.feed("", last=True)
        return "" if self._unclosed else rest

    @property
    def _ending(self) -> Ending | None:
        return "cut" if self.too_long else find_ending(self._finish)

    @property
    def _unclosed(self) -> bool:
        return self._ending == "cut" and self._visible.unclosed

    @property
    def spent(self) -> Usage:
        """What the reply has cost so far, as the endpoint reported it; nothing where it reported nothing."""
        return Usage() if self._usage is None else read_usage(self._usage, spoke=bool(self._pieces))

    def finished(self) -> Completion:
        """What was said."""
        text = "".join(self._pieces)
        usage = read_usage(self._usage, spoke=bool(text or self._reasoned))
        refusal = "".join(self._refusal).strip()
        return Completion(
            text, self._ending, self._finish, usage, refusal, self._reasoned, self._unclosed, tuple(self._tools),
            self._error, self._heard, self.too_long, logprobs=tuple(self._logprobs),
        )  # fmt: skip


def read_content(said: Mapping[str, Any]) -> tuple[str, str, str]:
    """The text, the thinking and the refusal of a message, whose content is a text, one part, or a list of them."""
    content, refusal = said.get("content"), said.get("refusal") or ""
    if content is None or isinstance(content, str):
        return content or "", "", refusal
    parts = [content] if isinstance(content, Mapping) else content
    text, thought = "", ""
    for part in parts:
        kind = "text" if isinstance(part, str) else part.get("type", "text")
        if kind in _PARTS:
            text += part if isinstance(part, str) else part.get("text") or ""
        elif kind == "refusal":
            refusal += part.get("refusal") or ""
        else:
            thought += str(part.get(kind) or kind)
    return text, thought, refusal


def _join(text: str) -> str:
    """The text with the halves of a character, which pieces may part, put together."""
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


class TooLargeError(Exception):
    """A response goes on beyond what any reply takes."""


class BrokenOffError(Exception):
    """A response ended, with nothing wrong to be seen on its connection, before it was whole."""


Shown = TypeVar("Shown")


async def read_response(chunks: AsyncIterator[bytes], reader: ReplySink[Shown]) -> AsyncGenerator[Shown]:
    """Read a response to its end, or up to [DONE]; yields what may be shown.

    A stream of events and a reply in one piece are told apart by how they begin, whatever was asked for.

    Raises:
        EndpointError: the endpoint tells of an error.
        TooLargeError: the response is larger than any reply.
        BrokenOffError: nothing came but blank lines and comments, which keep a connection open, or half of an object.
        ValueError, TypeError, AttributeError: it is no chat completion.
    """
    events, head, total, heard = Events(), b"", 0, False
    whole: list[bytes] = []
    async for chunk in chunks:
        total += len(chunk)
        if total > MOST_BYTES:
            raise TooLargeError
        if whole:
            whole.append(chunk)
            continue
        if len(head) < len(_BOM):
            head = (head + chunk).removeprefix(_BOM).lstrip()
            if len(head) < len(_BOM):
                continue
            if head.startswith((b"{", b"[")):
                whole.append(head)
                continue
            chunk = head
        for kind, data in events.feed(chunk):
            heard = True
            if data == b"[DONE]":
                return
            if shown := reader.take(json.loads(data.decode()), kind):
                yield shown
            if reader.too_long:
                return
    if head.startswith((b"{", b"[")):
        body = _read_object(b"".join(whole) or head)
        if shown := reader.take(body[0] if isinstance(body, list) and len(body) == 1 else body):
            yield shown
        return
    for kind, data in events.feed(b"\n\n"):  # an endpoint may leave out the last empty line
        heard = True
        if data != b"[DONE]" and (shown := reader.take(json.loads(data.decode()), kind)):
            yield shown
    if not heard and (not head or head.startswith(b":")):
        raise BrokenOffError("the response ended before any of the answer came; is --base-url right?")


def _read_object(body: bytes) -> Any:
    """What a body in one piece says."""
    try:
        return json.loads(body.decode())
    except ValueError:
        if body.rstrip().endswith((b"}", b"]")):
            raise
        raise BrokenOffError("the answer broke off before it was whole") from None


class Events:
    """Server-sent events, cut out of bytes that come in pieces of any size. What has no data is passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The kind and the data of each event that these bytes complete."""
        text = self._rest + chunk
        held = b"\r" if text.endswith(b"\r") else b""  # may be half of a line's end
        text = text.removesuffix(b"\r") if held else text
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        for line in lines:
            name, _, value = line.partition(b":")
            if name in (b"data", b"error"):  # a field of llama.cpp's servers up to 2025, for the event of that name
                self._kind = "error" if name == b"error" else self._kind
                self._data.append(value.removeprefix(b" "))
            elif name == b"event":
                self._kind = value.strip().decode("ascii", "replace")
            elif not line:
                kind, data = self._kind, b"\n".join(self._data).strip()
                self._kind = ""
                self._data.clear()
                if data:
                    yield kind, data
