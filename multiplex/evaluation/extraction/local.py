"""How references are found: one protocol, with the local extractor here and the judge in `judge.py`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import Reference, find_in
from multiplex.text.sentences import Sentence

if TYPE_CHECKING:
    from multiplex.llm.embeddings import Embedder

ExtractorName = Literal["local", "judge", "both"]


class Extractor(Protocol):
    """Whatever finds references in the sentences of a text."""

    name: str

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The references in order of place; `Reference.sentence` is a place in `sentences`."""
        ...


class Local:
    """The default: gazetteers and rules for what is written.

    It needs no network and no model, and gives the same references for the same text each time. Threads may share it.
    """

    name = "local"

    def __init__(self, gazetteers: Path | None = None) -> None:
        """`gazetteers` is a folder of YAML files; by default the one that ships.

        Raises:
            ContentError: a gazetteer is missing or wrong.
        """
        self.gazetteer = shipped_gazetteer() if gazetteers is None else Gazetteer.load(gazetteers)
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The named, concept and place references, in order."""
        return self.written(sentences, question)

    def written(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The named, concept and place references, without any model."""
        return find_in(sentences, self.gazetteer, question)

    @property
    def embedder(self) -> Embedder:
        """The embeddings that the tone is read from."""
        with self._lock:
            if self._embedder is None:
                from multiplex.llm.embeddings import Embedder

                self._embedder = Embedder()
            return self._embedder
