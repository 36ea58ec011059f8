"""Measures texts: finds their references, reads their tone, and puts the figures together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.errors import UsageError
from multiplex.evaluation.corpus import Passage
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, checked_cues
from multiplex.evaluation.extraction.frames import Frame, load_frames
from multiplex.evaluation.extraction.local import Local, in_order, unreferred
from multiplex.evaluation.extraction.references import Reference, Span, in_frame, masked
from multiplex.evaluation.measures import Measures, measures, spread
from multiplex.evaluation.retention.masking import PLACEHOLDER
from multiplex.evaluation.sentiment import spoken
from multiplex.text.sentences import Sentence, split

if TYPE_CHECKING:
    import numpy as np

    from multiplex.evaluation.sentiment import Sentiment

BATCH = 64  # texts whose sentences are embedded together


class Evaluator:
    """Measures texts; one evaluator serves many texts and threads, and remembers none of them.

    The gazetteer and the models are loaded at the first measurement, once.
    """

    def __init__(
        self,
        frame: str | Frame | Sequence[str | Frame] | None = None,
        cues: Sequence[str] = HEADLINE_CUES,
        sentiment_model: str | None = None,
        *,
        sentiment: bool = True,
        implied: bool | None = None,
        gazetteers: Path | None = None,
    ) -> None:
        """Takes the frame to count over, the cues that make a headline, and where to read.

        `frame` is a frame's name, the path of a frame file, or at least two perspectives of the default; of several
        frames the first makes the figures and the others stand beside it.
        `sentiment_model` is a `transformers` text-classification model; by default the built-in head. Without
        `sentiment` no tone is read. `implied` says whether the sentences without a written cue are asked what they
        imply; by default where the tone is read, whose embeddings serve for both, or the cues hold it. `gazetteers`
        is a folder of YAML files; by default the one that ships.

        Raises:
            UsageError: the frame or the cues name something unknown, or too little.
            ContentError: a frame file is not of the form.
        """
        self.frames = load_frames(frame)
        self.frame = self.frames[0].names
        self.cues = checked_cues(cues)
        self.reads_tone = sentiment
        self.reads_implied = implied if implied is not None else sentiment or "implied" in self.cues
        self._sentiment_model = sentiment_model
        self._folder = gazetteers
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._loaded: tuple[Local, Sentiment | None] | None = None

    def measure(
        self,
        text: str,
        *,
        question: str = "",
        scaffold: Sequence[Span] = (),
        quoted: Sequence[Span] = (),
        prompt: str = "",
    ) -> Measures:
        """Everything that is measured in one text.

        `question`: references that repeat its words are flagged as echoes and left out of the
        figures. `scaffold`: (start, end) of what our own code wrote; it is left out of everything. `quoted`: spans
        that stand so in a sourcebook; they count, and `n_own` and `entropy_own` leave them out.
        `prompt`: what the model was told; `entropy_unprompted` leaves out the entities it names.

        Raises:
            UsageError: the text, its scaffold taken away, holds no word; or a span is not in it.
            ContentError: a gazetteer or a trained head is missing or wrong.
        """
        passage = Passage("", text, 1, question=question, prompt=prompt, scaffold=tuple(scaffold), quoted=tuple(quoted))
        return self.measured(self.extracted([self.prepared(passage)]))[0]

    def prepared(self, passage: Passage) -> Prepared:
        """The passage cut into sentences, its scaffold taken away.

        Raises:
            UsageError: no word is left, or a scaffold span is not in the text.
        """
        text = masked(passage.text, passage.scaffold)
        sentences = split(text)
        if not sentences:
            raise UsageError("nothing to measure: the text holds no word outside its scaffold")
        return Prepared(passage, text, tuple(sentences))

    def extracted(self, batch: Sequence[Prepared]) -> list[Extracted]:
        """The local extractor's references, and the embeddings that finding the implied ones took."""
        local, _ = self._load()
        written = [self.written(each) for each in batch]
        if not self.reads_implied:
            return [Extracted(each, found) for each, found in zip(batch, written, strict=True)]
        said = [nameless(each.sentences, found) for each, found in zip(batch, written, strict=True)]
        silent = [unreferred(each.sentences, found) for each, found in zip(batch, written, strict=True)]
        every = self.reads_tone and self._sentiment_model is None  # the built-in tone reads every embedding too
        places = [range(len(texts)) if every else some for texts, some in zip(said, silent, strict=True)]
        with self._turn:
            rows = local.embedder.encode(
                [texts[number] for texts, numbers in zip(said, places, strict=True) for number in numbers]
            )
        result = []
        for each, found, some, numbers in zip(batch, written, silent, places, strict=True):
            own, rows = rows[: len(numbers)], rows[len(numbers) :]
            implied = local.implied(each.sentences, some, own[some] if every else own)
            result.append(Extracted(each, in_order(*found, *self.at_home(implied)), own if every else None))
        return result

    def written(self, text: Prepared) -> tuple[Reference, ...]:
        """The local extractor's references but for the implied ones, without any model."""
        return self.at_home(self._load()[0].written(text.sentences, text.passage.question))

    def at_home(self, references: Sequence[Reference]) -> tuple[Reference, ...]:
        """References that were found in the default frame, in this evaluator's."""
        return in_frame(references, self.frames[0])

    def measured(self, batch: Sequence[Extracted], tones: Sequence[np.ndarray] | None = None) -> list[Measures]:
        """The figures of a batch. `tones`, where another has read them, are arrays of shape (sentences, 3)."""
        local, sentiment = self._load()
        if tones is None and sentiment is not None:
            with self._turn:
                tones = _tones(sentiment, batch)
        return [
            measures(
                each.text.sentences,
                each.references,
                self.frame,
                self.cues,
                text=each.text.text,
                named_in_prompt=local.gazetteer.ids_in(each.text.passage.prompt),
                quoted=each.text.passage.quoted,
                tones=tones[number] if tones is not None else None,
                implied_asked=self.reads_implied,
            ).model_copy(
                update={
                    "frame_name": self.frames[0].name,
                    "beside": tuple(spread(each.references, other, self.cues) for other in self.frames[1:]),
                }
            )
            for number, each in enumerate(batch)
        ]

    def preload(self) -> None:
        """Load what `measure` needs now, in whichever thread has time for it."""
        self.measure("Ready.")

    @property
    def local(self) -> Local:
        """The local extractor, loaded."""
        return self._load()[0]

    def _load(self) -> tuple[Local, Sentiment | None]:
        with self._lock:
            if self._loaded is None:
                local = Local(self._folder)
                sentiment: Sentiment | None = None
                if self.reads_tone:
                    from multiplex.evaluation.sentiment import Sentiment

                    sentiment = Sentiment(local.embedder, self._sentiment_model)
                self._loaded = (local, sentiment)
            return self._loaded


@dataclass(frozen=True, slots=True)
class Prepared:
    """A passage, its text without the scaffold, and the sentences of that, at least one."""

    passage: Passage
    text: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Extracted:
    """A text with its references; `embeddings`, shape (sentences, 384), where every sentence's were made (nameless)."""

    text: Prepared
    references: tuple[Reference, ...]
    embeddings: np.ndarray | None = None


def nameless(sentences: Sequence[Sentence], references: Sequence[Reference]) -> list[str]:
    """The sentences as the tone is read from them: without handles and links, every name of a people or place masked.

    A classifier of tone may have learnt to like or dislike a people's name; whose name stands in a sentence is no tone.
    """
    texts = [sentence.text for sentence in sentences]
    for reference in sorted(references, key=lambda each: each.start, reverse=True):
        if reference.cue in ("named", "place"):
            offset = sentences[reference.sentence].start
            start, end = reference.start - offset, reference.end - offset
            text = texts[reference.sentence]
            if text[start:end] == reference.text:  # not masked yet for another perspective
                texts[reference.sentence] = text[:start] + PLACEHOLDER + text[end:]
    return [spoken(text) for text in texts]


def _tones(sentiment: Sentiment, batch: Sequence[Extracted]) -> list[np.ndarray]:
    import numpy as np

    texts = [text for each in batch for text in nameless(each.text.sentences, each.references)]
    known = [each.embeddings for each in batch if each.embeddings is not None]
    scores = sentiment.score(texts, np.vstack(known) if len(known) == len(batch) and known else None)
    ends = np.cumsum([len(each.text.sentences) for each in batch])
    return np.split(scores, ends[:-1]) if batch else []
