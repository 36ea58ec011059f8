"""Ends a text before the first of some sequences, as OpenAI's `stop` asks."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Lets a text through piece by piece up to the first stop sequence; `hit` says that it came."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = [sequence for sequence in sequences if sequence]
        self._waiting = ""
        self.hit = False

    def feed(self, piece: str, *, last: bool = False) -> str:
        """What may be said now; what could begin a stop sequence is held back, until `last`."""
        if self.hit:
            return ""
        self._waiting += piece
        places = [place for sequence in self._sequences if (place := self._waiting.find(sequence)) >= 0]
        if places:
            self.hit, end = True, min(places)
        else:
            end = len(self._waiting) - (0 if last else self._possible())
        said, self._waiting = self._waiting[:end], self._waiting[end:]
        return said

    def cut(self, text: str) -> str:
        """A whole text before the first stop sequence."""
        places = (place for sequence in self._sequences if (place := text.find(sequence)) >= 0)
        return text[: min(places, default=len(text))]

    def _possible(self) -> int:
        """How many trailing characters could be the beginning of a sequence."""
        return max(
            (
                length
                for sequence in self._sequences
                for length in range(1, len(sequence))
                if self._waiting.endswith(sequence[:length])
            ),
            default=0,
        )
