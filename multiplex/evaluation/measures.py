"""What is measured in one text: how widely it spreads over perspectives, and in what tone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from multiplex.evaluation.depth.figures import Depth, measure_depth
from multiplex.evaluation.extraction.frames import DEFAULT, Frame
from multiplex.evaluation.extraction.references import Reference, Span, count, in_frame, pairs
from multiplex.evaluation.renamed import Renamed
from multiplex.evaluation.statistics import diversity
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words

if TYPE_CHECKING:
    import numpy as np

    from multiplex.evaluation.languages.reading import Reading


class Tone(BaseModel):
    """Mean sentence-level probabilities, which sum to 1. More positive is not better."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    positive: float
    neutral: float
    negative: float


class Spread(BaseModel):
    """How widely the same references spread over another frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    frame_name: str
    frame: tuple[str, ...]
    counts: dict[str, int]
    n: int
    shares: dict[str, float]
    entropy: float | None
    out_of_frame: float | None


class Measures(Renamed):
    """What was measured in one text, over one frame and one choice of cues.

    Dictionaries hold every perspective of the frame as a key, but for `stance`, which holds those
    that a sentence refers to. A figure that does not exist (an entropy without references) is None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    former_names: ClassVar = {"hill_number": "effective", "berger_parker": "dominance"}

    frame: tuple[str, ...]
    cues: tuple[str, ...]
    references: tuple[Reference, ...]
    """Everything found, of every cue, echoes of the question and perspectives out of frame too."""
    counts: dict[str, int]
    """(sentence, perspective) pairs with an accepted cue that is no echo of the question."""
    counts_by_words: dict[str, float]
    """Words of the referring sentences, a sentence's words split among its perspectives of the frame."""
    n: int
    """Their sum: how many references the figures below stand on."""
    shares: dict[str, float]
    """PDS, 0..1; all 0.0 where n = 0."""
    entropy: float | None
    """Percent, 0..100."""
    entropy_unprompted: float | None
    """The same without the entities that stood in the prompt."""
    hill_number: float | None
    """Of order 1: how many equally invoked perspectives spread as widely, 1..K."""
    excluded: float
    berger_parker: float | None
    """Berger-Parker index: the largest share."""
    out_of_frame: float | None
    """Of all pairs with an accepted cue, the share outside the frame, 0..1."""
    expected_perspectives: float | None
    """E[S_5]; None under five references."""
    per_100_words: float
    """References per 100 words."""
    implied: dict[str, int] | None
    """Sentences that a judge places in a perspective by their meaning alone; None where no judge was asked."""
    places: dict[str, int]
    """Sentences that merely name a place or nationality of a perspective."""
    sentiment: Tone | None
    """The tone of the whole text; None where it was not asked for."""
    stance: dict[str, Tone]
    """The tone of the sentences that refer to a perspective."""
    words: int
    depth: Depth | None = None
    """How deep it goes beyond naming; None in languages other than English, and in records from before it was."""
    n_own: int | None = None
    """References outside what stands so in the sourcebook; None where nothing of the text does."""
    entropy_own: float | None = None
    """Percent, over those; None where there are none."""
    frame_name: str = DEFAULT
    beside: tuple[Spread, ...] = ()
    """The spread over further frames."""
    language: str = "en"
    """ISO 639 code of the language of most of the text."""
    unread: dict[str, str] = Field(default_factory=dict)
    """Of names, concepts, labels, depth and tone those that are not measured in this language, with the reason."""
    unread_sentences: dict[str, int] = Field(default_factory=dict)
    """Sentences in languages whose names and concepts are not read, by language; the rest of the text is measured."""

    def summary(self) -> dict[str, Any]:
        """The `measures` object of the JSON that `multiplex answer` prints.

        `references`, `effective` and `dominance` are former names, kept for one version.
        """
        own = {"reference_count": self.n_own, "references": self.n_own, "entropy": self.entropy_own}
        return {
            "reference_count": self.n,
            "references": self.n,
            "shares": dict(self.shares),
            "entropy": self.entropy,
            "depth": self.depth.scalars() if self.depth else None,
            "hill_number": self.hill_number,
            "effective": self.hill_number,
            "excluded": self.excluded,
            "berger_parker": self.berger_parker,
            "dominance": self.berger_parker,
            "out_of_frame": self.out_of_frame,
            "sentiment": self.sentiment.model_dump() if self.sentiment else None,
            "words": self.words,
            **({"frames": [each.model_dump(mode="json") for each in self.beside]} if self.beside else {}),
            **({"language": self.language, "unread": dict(self.unread)} if self.unread else {}),
            **({"unread_sentences": dict(self.unread_sentences)} if self.unread_sentences else {}),
            **({} if self.n_own is None else {"own_words": own}),
        }


def measures(
    sentences: Sequence[Sentence],
    references: Sequence[Reference],
    frame: tuple[str, ...],
    cues: tuple[str, ...],
    *,
    text: str,
    named_in_prompt: frozenset[str] = frozenset(),
    quoted: Sequence[Span] = (),
    tones: np.ndarray | None = None,
    implied_asked: bool = False,
    reading: Reading | None = None,
) -> Measures:
    """The figures of one text, from its sentences (at least one), its references and, shape (n, 3), its tones.

    `text` is what the sentences were split from, its scaffold taken away. A row of `tones` is NaN where a sentence's
    tone is not read. `reading` says what its languages allow; None: English.

    Entities in `named_in_prompt` are left out of `entropy_unprompted`, references inside the [start, end) spans of
    `quoted` out of `n_own` and `entropy_own`.
    """
    references = tuple(references)
    counts = count(references, frame, cues)
    n = sum(counts.values())
    headline = pairs(references, cues)
    unprompted = count((found for found in references if found.entity not in named_in_prompt), frame, cues)
    own = count((found for found in references if not _within(found, quoted)), frame, cues) if quoted else None
    sentence_words = [count_words(sentence.text) for sentence in sentences]
    words = sum(sentence_words)
    stance = {}
    if tones is not None:
        for name in frame:
            if counts[name]:
                tone = _tone(tones, [sentence for sentence, of in sorted(headline) if of == name])
                if tone is not None:
                    stance[name] = tone
    return Measures(
        frame=frame,
        cues=cues,
        references=references,
        counts=counts,
        counts_by_words=diversity.by_words(headline, sentence_words, frame),
        n=n,
        shares=diversity.shares(counts),
        entropy=diversity.entropy_percent(counts),
        entropy_unprompted=diversity.entropy_percent(unprompted),
        hill_number=diversity.hill_number(counts),
        excluded=diversity.excluded(counts),
        berger_parker=diversity.berger_parker(counts),
        out_of_frame=(len(headline) - n) / len(headline) if headline else None,
        expected_perspectives=diversity.expected_perspectives(counts),
        per_100_words=100.0 * n / words,
        implied=count(references, frame, ("implied",)) if implied_asked else None,
        places=count(references, frame, ("place",), include_echo=True),
        sentiment=_tone(tones, range(len(sentences))) if tones is not None else None,
        stance=stance,
        words=words,
        depth=None
        if reading and "depth" in dict(reading.why_not)
        else measure_depth(text, sentences, references, frame, cues),
        n_own=None if own is None else sum(own.values()),
        entropy_own=None if own is None else diversity.entropy_percent(own),
        language=reading.language if reading else "en",
        unread=dict(reading.why_not) if reading else {},
        unread_sentences=dict(reading.unread) if reading else {},
    )


def spread(references: Sequence[Reference], frame: Frame, cues: tuple[str, ...]) -> Spread:
    """How widely references spread over a frame, whichever frame they were found in."""
    own = in_frame(references, frame)
    counts, every = count(own, frame.names, cues), len(pairs(own, cues))
    n = sum(counts.values())
    return Spread(
        frame_name=frame.name,
        frame=frame.names,
        counts=counts,
        n=n,
        shares=diversity.shares(counts),
        entropy=diversity.entropy_percent(counts),
        out_of_frame=(every - n) / every if every else None,
    )


def _within(found: Reference, spans: Sequence[Span]) -> bool:
    return any(start <= found.start and found.end <= end for start, end in spans)


def _tone(tones: np.ndarray, sentences: Iterable[int]) -> Tone | None:
    """The mean over those of the sentences whose tone was read; None where none was."""
    rows = tones[list(sentences)]
    rows = rows[rows[:, 0] == rows[:, 0]]
    if not len(rows):
        return None
    positive, neutral, negative = rows.mean(axis=0).tolist()
    return Tone(positive=positive, neutral=neutral, negative=negative)
