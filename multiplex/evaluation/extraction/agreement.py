"""How far two extractors agree on which sentences refer to which perspective, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from multiplex.evaluation.extraction.frame import FRAME, HEADLINE_CUES, checked_cues
from multiplex.evaluation.extraction.references import Reference, pairs
from multiplex.text.sentences import Sentence

Names = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many units (sentences, or pairs of a sentence and a perspective) each extractor calls a reference."""

    both: int = 0
    first: int = 0
    """The first extractor alone."""
    second: int = 0
    neither: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.both + other.both,
            self.first + other.first,
            self.second + other.second,
            self.neither + other.neither,
        )


@dataclass(frozen=True, slots=True)
class Reliability:
    """The counts, and Krippendorff's alpha: 1 is agreement, 0 what chance would give, below 0 worse than chance.

    Where alpha is undefined it is None, and `undefined` says why (empty where it is defined).
    """

    counts: Counts
    alpha: float | None
    undefined: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair of a sentence and a perspective that only one extractor, `who`, calls a reference."""

    id: str
    sentence: int
    """From 0, as in `Reference.sentence`."""
    text: str
    perspective: str
    who: str


@dataclass(frozen=True)
class Agreement:
    """Of two extractors over the same texts; `overall` is over all (sentence, perspective) pairs of the frame."""

    names: Names
    frame: tuple[str, ...]
    cues: tuple[str, ...]
    texts: int
    sentences: int
    perspectives: dict[str, Reliability]
    overall: Reliability

    def summary(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return asdict(self)


class Comparison:
    """Adds up two extractors' references text by text; what it holds does not grow with the texts.

    `names` are the extractors'. Echoes of the question count like any reference unless `include_echo` is false:
    the two tell an echo in their own ways, and whether a sentence refers to a perspective is another matter.

    Raises:
        UsageError: the cues name something unknown, or nothing.
    """

    def __init__(
        self,
        frame: Sequence[str] = FRAME,
        cues: Sequence[str] = HEADLINE_CUES,
        names: Names = ("local", "judge"),
        *,
        include_echo: bool = True,
    ) -> None:
        self.frame = tuple(frame)
        self.cues = checked_cues(cues)
        self.names = names
        self._include_echo = include_echo
        self._texts = self._sentences = 0
        self._counts = dict.fromkeys(self.frame, Counts())

    def add(
        self, text_id: str, sentences: Sequence[Sentence], first: Iterable[Reference], second: Iterable[Reference]
    ) -> tuple[Difference, ...]:
        """Counts one text; where the two differ in it, by sentence and then as the frame is ordered.

        Raises:
            ValueError: a reference names a sentence that the text does not have.
        """
        a, b = (self._said(references, len(sentences)) for references in (first, second))
        self._texts += 1
        self._sentences += len(sentences)
        for perspective in self.frame:
            ours, theirs = (sum(1 for _, name in said if name == perspective) for said in (a, b))
            both = sum(1 for _, name in a & b if name == perspective)
            alone = Counts(both, ours - both, theirs - both, len(sentences) - ours - theirs + both)
            self._counts[perspective] += alone
        order = {name: place for place, name in enumerate(self.frame)}
        return tuple(
            Difference(text_id, number, sentences[number].text, name, self.names[0 if (number, name) in a else 1])
            for number, name in sorted(a ^ b, key=lambda pair: (pair[0], order[pair[1]]))
        )

    def result(self) -> Agreement:
        """The agreement over all texts added so far."""
        return Agreement(
            names=self.names,
            frame=self.frame,
            cues=self.cues,
            texts=self._texts,
            sentences=self._sentences,
            perspectives={name: reliability(counts) for name, counts in self._counts.items()},
            overall=reliability(sum(self._counts.values(), start=Counts())),
        )

    def _said(self, references: Iterable[Reference], sentences: int) -> frozenset[tuple[int, str]]:
        said = pairs(references, self.cues, include_echo=self._include_echo)
        for number, _ in said:
            if not 0 <= number < sentences:
                raise ValueError(f"a reference names sentence {number} of a text of {sentences}")
        return frozenset(pair for pair in said if pair[1] in self._counts)


def agreement(
    first: Iterable[Iterable[Reference]],
    second: Iterable[Iterable[Reference]],
    texts: Iterable[Sequence[Sentence]],
    frame: Sequence[str] = FRAME,
    cues: Sequence[str] = HEADLINE_CUES,
    names: Names = ("local", "judge"),
) -> Agreement:
    """Of two extractors' references, given text by text beside each text's sentences.

    Raises:
        UsageError: the cues name something unknown, or nothing.
        ValueError: there are not as many lists of references as texts, or a reference lies in none of the sentences.
    """
    comparison = Comparison(frame, cues, names)
    for number, (sentences, ours, theirs) in enumerate(zip(texts, first, second, strict=True)):
        comparison.add(str(number), sentences, ours, theirs)
    return comparison.result()


def reliability(counts: Counts) -> Reliability:
    """Krippendorff's alpha for two coders who say yes or no (nominal) of each unit, none of them missing.

    Computed by the `krippendorff` package; it takes about 100 bytes for each unit that the two differ on, for as long
    as it computes. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, for binary data and two observers:
    1 - (n - 1) D / (n_yes n_no), with D such units, and n = n_yes + n_no answers of both coders together.
    """
    differing = counts.first + counts.second
    if not (counts.both or counts.neither or differing):
        return Reliability(counts, None, "there is no sentence")
    if not (counts.both or differing):
        return Reliability(counts, None, "neither ever says yes")
    if not (counts.neither or differing):
        return Reliability(counts, None, "both always say yes")
    import numpy as np
    from krippendorff import alpha

    # Units of one value pool: m answers alike add m (m - 1) / (m - 1) = m coincidences, as m / 2 such units would.
    units = np.ones((differing + 2, 2), dtype=np.int64)
    units[:2] = [[2 * counts.neither, 0], [0, 2 * counts.both]]
    return Reliability(counts, float(alpha(value_counts=units, level_of_measurement="nominal")))
