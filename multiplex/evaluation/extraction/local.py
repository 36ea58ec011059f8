"""How references are found: one protocol, with the local extractor here and the judge in `judge.py`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from multiplex.evaluation.extraction.gazetteer import Gazetteer
from multiplex.evaluation.extraction.references import Reference, cued_in, find_in
from multiplex.evaluation.languages.reading import Cued, Reader, Reading
from multiplex.evaluation.languages.recognition import ENGLISH
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
        self.gazetteer = Gazetteer.load(gazetteers)
        self.reader = Reader(self.gazetteer)
        self._implied: Implied | None = None
        self._embedder: Embedder | None = None
        self._lock = threading.Lock()

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """References of all four cues; only sentences without a written one are asked what they imply."""
        written = self.written(sentences, question)
        silent = unreferred(sentences, written)
        embeddings = self.embedder.encode([sentences[number].text for number in silent])
        return in_order(*written, *self.implied(sentences, silent, embeddings))

    def written(
        self, sentences: Sequence[Sentence], question: str = "", reading: Reading | None = None
    ) -> tuple[Reference, ...]:
        """The named, concept and place references, without any model; by default every sentence is in English."""
        if reading is None:
            return find_in(sentences, self.gazetteer, question)
        foreign = {
            number: [
                *self._english(sentences[number], languages),
                *self.reader.match(sentences[number].text, languages),
            ]
            for number, languages in enumerate(reading.sentences)
            if languages and languages != (ENGLISH,)
        }
        if not foreign:
            return find_in(sentences, self.gazetteer, question)
        return find_in(sentences, self.gazetteer, question, foreign=foreign, asked=self.reader.ids_in(question))

    def _english(self, sentence: Sentence, languages: Sequence[str]) -> list[Cued]:
        """What English finds in a sentence that is partly in it."""
        return cued_in(sentence.text, self.gazetteer) if ENGLISH in languages else []

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
                found.append(Reference(at.start, at.end, at.text, "", perspective, "implied", number, score=score))
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
