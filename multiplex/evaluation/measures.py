"""Measures one answer: how widely it spreads over perspectives, and in what tone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from multiplex.errors import UsageError
from multiplex.evaluation import pds
from multiplex.evaluation.frame import FRAME, HEADLINE_CUES, checked_cues, checked_frame
from multiplex.evaluation.gazetteer import Gazetteer
from multiplex.evaluation.references import Reference, Span, count, find_in, masked, pairs
from multiplex.evaluation.sentences import Sentence, split
from multiplex.evaluation.tokens import count_words

if TYPE_CHECKING:
    import numpy as np

    from multiplex.evaluation.implied import Implied
    from multiplex.evaluation.sentiment import Sentiment
    from multiplex.llm.embeddings import Embedder


class Tone(BaseModel):
    """Mean sentence-level probabilities, which sum to 1. More positive is not better."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    positive: float
    neutral: float
    negative: float


class Measures(BaseModel):
    """What was measured in one text, over one frame and one choice of cues.

    Dictionaries hold every perspective of the frame as a key, but for `stance`, which holds those
    that a sentence refers to. A figure that does not exist (an entropy without references) is None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: tuple[str, ...]
    cues: tuple[str, ...]
    references: tuple[Reference, ...]
    """Everything found, of every cue, echoes of the question and perspectives out of frame too."""
    counts: dict[str, int]
    """(sentence, perspective) pairs with an accepted cue that is no echo of the question."""
    n: int
    """Their sum: how many references the figures below stand on."""
    shares: dict[str, float]
    """PDS, 0..1; all 0.0 where n = 0."""
    entropy: float | None
    """Percent, 0..100."""
    entropy_unprompted: float | None
    """The same without the entities that stood in the prompt."""
    effective: float | None
    excluded: float
    dominance: float | None
    out_of_frame: float | None
    """Of all pairs with an accepted cue, the share outside the frame, 0..1."""
    expected_perspectives: float | None
    """E[S_5]; None under five references."""
    per_100_words: float
    """References per 100 words."""
    implied: dict[str, int]
    """Sentences without any written cue that the classifier places in a perspective."""
    places: dict[str, int]
    """Sentences that merely name a place or nationality of a perspective."""
    sentiment: Tone
    stance: dict[str, Tone]
    """The tone of the sentences that refer to a perspective."""
    words: int

    def summary(self) -> dict[str, Any]:
        """The `measures` object of the JSON that `multiplex answer` prints."""
        return {
            "references": self.n,
            "shares": dict(self.shares),
            "entropy": self.entropy,
            "effective": self.effective,
            "excluded": self.excluded,
            "dominance": self.dominance,
            "out_of_frame": self.out_of_frame,
            "sentiment": self.sentiment.model_dump(),
            "words": self.words,
        }


class Evaluator:
    """Measures texts; one evaluator serves many texts and threads, and remembers none of them.

    The gazetteer and the models are loaded at the first measurement, once.
    """

    def __init__(
        self,
        frame: Sequence[str] = FRAME,
        cues: Sequence[str] = HEADLINE_CUES,
        sentiment_model: str | None = None,
        *,
        gazetteers: Path | None = None,
    ) -> None:
        """Takes the perspectives to count over, the cues that make a headline, and where to read.

        `sentiment_model` is a `transformers` text-classification model; by default the built-in
        head. `gazetteers` is a folder of YAML files; by default the one that ships.

        Raises:
            UsageError: the frame or the cues name something unknown, or too little.
        """
        self.frame = checked_frame(frame)
        self.cues = checked_cues(cues)
        self._sentiment_model = sentiment_model
        self._folder = gazetteers
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def measure(self, text: str, *, question: str = "", scaffold: Sequence[Span] = (), prompt: str = "") -> Measures:
        """Everything that is measured in one text.

        `question`: references that repeat its words are flagged as echoes and left out of the
        figures. `scaffold`: (start, end) of what our own code wrote; it is left out of everything.
        `prompt`: what the model was told; `entropy_unprompted` leaves out the entities it names.

        Raises:
            UsageError: the text, its scaffold taken away, holds no word; or a span is not in it.
            ContentError: a gazetteer or a trained head is missing or wrong.
        """
        visible = masked(text, scaffold)
        sentences = split(visible)
        if not sentences:
            raise UsageError("nothing to measure: the text holds no word outside its scaffold")
        loaded = self._load()
        written = find_in(sentences, loaded.gazetteer, question)
        tones, implied = loaded.read(sentences, {reference.sentence for reference in written})
        references = tuple(sorted((*written, *implied), key=lambda reference: (reference.start, reference.end)))
        counts = count(references, self.frame, self.cues)
        n = sum(counts.values())
        headline = pairs(references, self.cues)
        named_in_prompt = loaded.gazetteer.ids_in(prompt)
        unprompted = count(
            (found for found in references if found.entity not in named_in_prompt), self.frame, self.cues
        )
        words = count_words(visible)
        return Measures(
            frame=self.frame,
            cues=self.cues,
            references=references,
            counts=counts,
            n=n,
            shares=pds.shares(counts),
            entropy=pds.entropy_percent(counts),
            entropy_unprompted=pds.entropy_percent(unprompted),
            effective=pds.effective(counts),
            excluded=pds.excluded(counts),
            dominance=pds.dominance(counts),
            out_of_frame=(len(headline) - n) / len(headline) if headline else None,
            expected_perspectives=pds.expected_perspectives(counts),
            per_100_words=100.0 * n / words,
            implied=count(references, self.frame, ("implied",)),
            places=count(references, self.frame, ("place",), include_echo=True),
            sentiment=_tone(tones, range(len(sentences))),
            stance={
                name: _tone(tones, [sentence for sentence, perspective in sorted(headline) if perspective == name])
                for name in self.frame
                if counts[name]
            },
            words=words,
        )

    def preload(self) -> None:
        """Load what `measure` needs now, in whichever thread has time for it."""
        self._load().read(split("Ready."), set())

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(self._folder, self._sentiment_model)
            return self._loaded


class _Loaded:
    """The gazetteer and the models, read-only once here; one text at a time goes through the models."""

    def __init__(self, folder: Path | None, sentiment_model: str | None) -> None:
        from multiplex.evaluation.implied import Implied
        from multiplex.evaluation.sentiment import Sentiment
        from multiplex.llm.embeddings import Embedder

        self.gazetteer = Gazetteer.load(folder)
        self._embedder: Embedder = Embedder()
        self._sentiment: Sentiment = Sentiment(self._embedder, sentiment_model)
        self._implied: Implied = Implied.load()
        # A fast tokenizer is not safe to share between threads.
        self._lock = threading.Lock()

    def read(self, sentences: Sequence[Sentence], told: set[int]) -> tuple[np.ndarray, list[Reference]]:
        """The tone of every sentence, shape (n, 3), and what the sentences without a written cue imply."""
        texts = [sentence.text for sentence in sentences]
        with self._lock:
            embeddings = self._embedder.encode(texts)
            tones = self._sentiment.score(texts, embeddings)
        silent = [number for number in range(len(sentences)) if number not in told]
        implied = []
        if silent:
            for number, (perspective, score) in zip(silent, self._implied.classify(embeddings[silent]), strict=True):
                if perspective is not None:
                    at = sentences[number]
                    implied.append(
                        Reference(at.start, at.end, at.text, "", perspective, "implied", number, score=score)
                    )
        return tones, implied


def _tone(tones: np.ndarray, sentences: Iterable[int]) -> Tone:
    positive, neutral, negative = tones[list(sentences)].mean(axis=0).tolist()
    return Tone(positive=positive, neutral=neutral, negative=negative)
