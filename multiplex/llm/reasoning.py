"""Removes what a reasoning model thinks aloud before it answers."""

from __future__ import annotations

import re

_OPEN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_LONGEST = len("</thinking>")


def without_thinking(text: str) -> str:
    """The answer alone: no `<think>` block, whether closed, left open, or closed without having been opened."""
    closed = list(_CLOSE.finditer(text))
    if closed and not _OPEN.search(text[: closed[0].start()]):
        text = text[closed[0].end() :]
    kept = []
    while opened := _OPEN.search(text):
        kept.append(text[: opened.start()])
        end = _CLOSE.search(text, opened.end())
        text = text[end.end() :] if end else ""
    return "".join([*kept, text]).strip()


class ThinkingFilter:
    """Lets a streamed reply through piece by piece, without its `<think>` blocks."""

    def __init__(self) -> None:
        self._waiting = ""
        self._thinking = False
        self._begun = False

    def feed(self, piece: str, *, last: bool = False) -> str:
        """The part of the reply that may be shown now; `last` lets go of what was held back."""
        self._waiting += piece
        shown = ""
        while mark := (_CLOSE if self._thinking else _OPEN).search(self._waiting):
            if not self._thinking:
                shown += self._waiting[: mark.start()]
            self._waiting = self._waiting[mark.end() :]
            self._thinking = not self._thinking
        held = 0 if last else self._possible_mark()
        split = len(self._waiting) - held
        if not self._thinking:
            shown += self._waiting[:split]
        self._waiting = self._waiting[split:]
        if not self._begun:
            shown = shown.lstrip()
            self._begun = bool(shown)
        return shown

    def _possible_mark(self) -> int:
        """How many trailing characters could still become a mark."""
        start = self._waiting.rfind("<", -_LONGEST)
        if start < 0:
            return 0
        tail = self._waiting[start:].lower()
        marks = ("<think>", "<thinking>", "</think>", "</thinking>")
        return len(tail) if any(mark.startswith(tail) for mark in marks) else 0
