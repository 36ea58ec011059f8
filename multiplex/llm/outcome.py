"""Whether a reply that came is an answer, and why not."""

from __future__ import annotations

from multiplex.content import storable
from multiplex.errors import CallError
from multiplex.llm.error_mapping import safe
from multiplex.llm.protocol import EndpointError
from multiplex.llm.reading import Completion
from multiplex.llm.reasoning import without_thinking
from multiplex.llm.usage import Usage


class UnusableError(Exception):
    """A reply came and is no answer.

    `attempts` is how many attempts in all make sense (None: as many as the settings allow); `usage` what it took.
    """

    def __init__(self, error: CallError, attempts: int | None, usage: Usage) -> None:
        super().__init__(str(error))
        self.error, self.attempts, self.usage = error, attempts, usage


def read_answer(said: Completion, at: str, room: str) -> str:
    """The text of a reply, thinking left out.

    `at` names the model and its endpoint; `room` says what gives a reply that was cut off more tokens.

    Raises:
        UnusableError: it is no answer, or not the whole of one.
        EndpointError: the endpoint tells of an error.
    """
    text = storable(without_thinking(said.text))
    if said.error is not None:
        raise EndpointError(said.error)
    if (found := _find_fault(said, text, room)) is not None:
        kind, why, attempts = found
        raise UnusableError(CallError(kind, f"{at}: {why}"), attempts, said.usage)
    return text


def check_end(said: Completion, at: str, *, passed: bool) -> None:
    """Whether a reply that is passed on ended as one; `passed`: something of it was.

    A refusal, a filter's end, a limit that was reached and calls of tools are its caller's to read.

    Raises:
        UnusableError: it did not, or nothing came.
        EndpointError: the endpoint tells of an error.
    """
    if said.error is not None:
        raise EndpointError(said.error)
    fault = _find_break(said)
    if fault is None and not passed and said.ending == "whole":
        fault = _find_nothing(said)
    if fault is not None:
        kind, why, attempts = fault
        raise UnusableError(CallError(kind, f"{at}: {why}"), attempts, said.usage)


def note_rest(at: str) -> str:
    """What a reader is told of a reply that was too long to be one (`Completion.too_long`)."""
    return f"{at} sent more than the call can have asked for; the rest was not read"


def _find_fault(said: Completion, text: str, room: str) -> tuple[str, str, int | None] | None:
    """The kind of error, why, and how many attempts make sense: another would mostly be paid for the same."""
    if said.refusal:
        return "declined", f"the model declines to answer: {safe(said.refusal)}", 1
    if said.ending == "declined":
        part = f" after {len(text.split())} words" if text else ""
        return "declined", f"stopped by the endpoint's content filter{part} ({safe(said.finish)})", 1
    if (fault := _find_break(said)) is not None:
        return fault
    if said.ending == "tools":
        return "empty", f"the model called a tool in place of answering ({safe(', '.join(said.tools)) or 'unnamed'})", 1
    if text and not said.unclosed:
        return None
    if said.ending == "cut":
        return "cut_off", f"the token limit was spent before the answer began; {room}", 1
    return _find_nothing(said)


def _find_break(said: Completion) -> tuple[str, str, int | None] | None:
    if not said.heard:
        return "server", "the reply holds no answer (no choice in it)", 2
    if said.ending is None:
        return "server", "the answer broke off, or the endpoint does not say how it ended (no finish_reason)", None
    if said.ending == "broken":
        return "server", f"the answer is not whole: it ended with {safe(said.finish)!r}", None
    return None


def _find_nothing(said: Completion) -> tuple[str, str, int | None]:
    if said.reasoned or said.text.strip():
        return "empty", "only reasoning came, no answer", 1
    return "empty", "the reply is empty", 2
