"""How references are found: one protocol, with the local extractor here and the judge in `judge.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import Reference, cued_in, find_in, with_capitals
from multiplex.evaluation.languages.reading import Cued, LanguageReader, Reading
from multiplex.evaluation.languages.recognition import ENGLISH
from multiplex.text.sentences import Sentence

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
        self.reader = LanguageReader(self.gazetteer)

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The named, concept and place references, in order."""
        return self.written(sentences, question)

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
        asked = self.reader.ids_in(with_capitals(question), reading)
        return find_in(sentences, self.gazetteer, question, foreign=foreign, asked=asked)

    def _english(self, sentence: Sentence, languages: Sequence[str]) -> list[Cued]:
        """What English finds in a sentence that is partly in it."""
        return cued_in(sentence.text, self.gazetteer) if ENGLISH in languages else []
