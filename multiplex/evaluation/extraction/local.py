"""How references are found: one protocol, with the local extractor here and the judge in `judge.py`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from multiplex.evaluation.extraction.facets import OF_PERSPECTIVE
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import Reference, find_in
from multiplex.text.sentences import Sentence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multiplex.evaluation.extraction.implied import Implied
    from multiplex.llm.embeddings import Embedder

ExtractorName = Literal["local", "judge", "both"]


class Extractor(Protocol):
    """Whatever finds references in the sentences of a text."""

    name: str

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The references in order of place; `Reference.sentence` is a place in `sentences`."""
        ...


class Local:
    """The default: gazetteers and rules for what is written, a classifier of embeddings for what is implied.

    It needs no network, and gives the same references for the same text each time. Threads may share it.
    """

    name = "local"

    def __init__(self, gazetteers: Path | None = None) -> None:
        """`gazetteers` is a folder of YAML files; by default the one that ships.

        Raises:
            ContentError: a gazetteer is missing or wrong.
        """
        self.gazetteer = shipped_gazetteer() if gazetteers is None else Gazetteer.load(gazetteers)
        self._implied: Implied | None = None
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """References of all four cues; only sentences without a written one are asked what they imply."""
        written = self.written(sentences, question)
        silent = unreferred(sentences, written)
        embeddings = self.embedder.encode([sentences[number].text for number in silent])
        return in_order(*written, *self.implied(sentences, silent, embeddings))

    def written(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The named, concept and place references, without any model."""
        return find_in(sentences, self.gazetteer, question)

    def implied(
        self, sentences: Sequence[Sentence], silent: Sequence[int], embeddings: NDArray[np.floating]
    ) -> list[Reference]:
        """What the sentences numbered `silent` imply; `embeddings` are their rows, shape (len(silent), 384).

        Raises:
            ContentError: the trained head is missing or wrong.
        """
        if not silent:
            return []
        with self._lock:
            if self._implied is None:
                from multiplex.evaluation.extraction.implied import Implied

                self._implied = Implied.load()
        found = []
        for number, (perspective, score) in zip(silent, self._implied.classify(embeddings), strict=True):
            if perspective is not None:
                at = sentences[number]
                facets = OF_PERSPECTIVE[perspective]
                found.append(
                    Reference(at.start, at.end, at.text, "", perspective, "implied", number, score=score, facets=facets)
                )
        return found

    @property
    def embedder(self) -> Embedder:
        """The embeddings that the classifier reads."""
        with self._lock:
            if self._embedder is None:
                from multiplex.llm.embeddings import Embedder

                self._embedder = Embedder()
            return self._embedder


def unreferred(sentences: Sequence[Sentence], written: Sequence[Reference]) -> list[int]:
    """The numbers of the sentences that hold no written cue."""
    told = {reference.sentence for reference in written}
    return [number for number in range(len(sentences)) if number not in told]


def in_order(*references: Reference) -> tuple[Reference, ...]:
    """References by their place in the text."""
    return tuple(sorted(references, key=lambda reference: (reference.start, reference.end)))
