"""Measures texts: finds their references, reads their tone, and puts the figures together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.errors import UsageError
from multiplex.evaluation.corpus import Passage
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, checked_cues
from multiplex.evaluation.extraction.frames import Frame, load_frames
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.extraction.references import Reference, Span, in_frame, masked, quoted_in
from multiplex.evaluation.languages.reading import Reading, UnreadError
from multiplex.evaluation.measures import Measures, measures, spread
from multiplex.evaluation.retention.masking import PLACEHOLDER
from multiplex.evaluation.sentiment import spoken
from multiplex.text.markup import blank_markup
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
        implied: bool = False,
        gazetteers: Path | None = None,
    ) -> None:
        """Takes the frame to count over, the cues that make a headline, and where to read.

        `frame` is a frame's name, the path of a frame file, or at least two perspectives of the default; of several
        frames the first makes the figures and the others stand beside it.
        `sentiment_model` is a `transformers` text-classification model; by default the built-in head. Without
        `sentiment` no tone is read. `implied` says that the references are a judge's, who alone
        finds implied ones. `gazetteers` is a folder of YAML files; by default the one that ships.

        Raises:
            UsageError: the frame or the cues name something unknown, or too little; or `implied` without a judge.
            ContentError: a frame file is not of the form.
        """
        self.frames = load_frames(frame)
        self.frame = self.frames[0].names
        self.cues = checked_cues(cues)
        self.reads_tone = sentiment
        if "implied" in self.cues and not implied:
            raise UsageError("cues: only a judge finds 'implied'; add --extractor judge, or leave it out")
        self._reads_implied = implied
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

    def prepared(self, passage: Passage, *, read_here: bool = True) -> Prepared:
        """The passage cut into sentences, its scaffold taken away, and what can be measured in its languages.

        Without `read_here` its references are a judge's, who reads any language.

        Raises:
            UsageError: no word is left, or a scaffold span is not in the text.
            UnreadError: it is in a language whose names are not read.
            ContentError: a language's file is wrong.
        """
        text = blank_markup(masked(passage.text, passage.scaffold))
        sentences = split(text)
        if not sentences:
            raise UsageError("nothing to measure: the text holds no word outside its scaffold and markup")
        reading = self._asked_of(self.local.reader.read(sentences))
        if not read_here:
            reading = reading.by_judge()
        elif "names" in dict(reading.why_not):
            raise UnreadError(reading)
        return Prepared(passage, text, tuple(sentences), reading if reading.sentences else None)

    def extracted(self, batch: Sequence[Prepared]) -> list[Extracted]:
        """The local extractor's references."""
        return [Extracted(each, self.written(each)) for each in batch]

    def written(self, text: Prepared) -> tuple[Reference, ...]:
        """The local extractor's references in one text, without any model."""
        return self.at_home(self._load()[0].written(text.sentences, text.passage.question, text.reading))

    def at_home(self, references: Sequence[Reference]) -> tuple[Reference, ...]:
        """References that were found in the default frame, in this evaluator's."""
        return in_frame(references, self.frames[0])

    def measured(self, batch: Sequence[Extracted], tones: Sequence[np.ndarray] | None = None) -> list[Measures]:
        """The figures of a batch. `tones`, where another has read them, are arrays of shape (sentences, 3)."""
        local, sentiment = self._load()
        judged = tones is not None
        if tones is None and sentiment is not None:
            with self._turn:
                tones = _tones(sentiment, batch, english=self._sentiment_model is None)
        return [
            measures(
                each.text.sentences,
                each.references,
                self.frame,
                self.cues,
                text=each.text.text,
                named_in_prompt=_named_in_prompt(local, each),
                quoted=each.text.passage.quoted,
                tones=tones[number] if tones is not None else None,
                implied_asked=self._reads_implied,
                reading=self._reading(each.text, judged),
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
        self.measure("This is a text of one sentence.")

    @property
    def local(self) -> Local:
        """The local extractor, loaded."""
        return self._load()[0]

    def _asked_of(self, reading: Reading) -> Reading:
        """The reading without reasons for what nobody asked."""
        return reading if self.reads_tone else _with_tone(reading)

    def _reading(self, text: Prepared, judged: bool) -> Reading | None:
        """What its languages allow, where the tone was read by a model that knows others than English."""
        reading = text.reading
        if reading is None or not (judged or self._sentiment_model is not None):
            return reading
        return _with_tone(reading)

    def _load(self) -> tuple[Local, Sentiment | None]:
        with self._lock:
            if self._loaded is None:
                local = Local(self._folder)
                sentiment: Sentiment | None = None
                if self.reads_tone:
                    from multiplex.evaluation.sentiment import Sentiment

                    sentiment = Sentiment(self._sentiment_model)
                self._loaded = (local, sentiment)
            return self._loaded


def _named_in_prompt(local: Local, of: Extracted) -> frozenset[str]:
    prompt = of.text.passage.prompt
    return local.reader.ids_in(prompt, of.text.reading) | quoted_in(of.references, prompt) if prompt else frozenset()


def _with_tone(reading: Reading) -> Reading:
    """The reading without a reason why the tone is not read: it is not asked for, or read by a model that can."""
    return replace(reading, why_not=tuple(each for each in reading.why_not if each[0] != "tone"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A passage, its text without the scaffold, and the sentences of that, at least one."""

    passage: Passage
    text: str
    sentences: tuple[Sentence, ...]
    reading: Reading | None = None
    """What can be measured in its languages; None for English."""

    def english(self) -> list[int]:
        """The numbers of the sentences in English."""
        return list(range(len(self.sentences))) if self.reading is None else self.reading.english()


@dataclass(frozen=True, slots=True)
class Extracted:
    """A text with its references."""

    text: Prepared
    references: tuple[Reference, ...]


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


def _tones(sentiment: Sentiment, batch: Sequence[Extracted], *, english: bool) -> list[np.ndarray]:
    """Shape (sentences, 3) for each text; NaN for sentences in other languages where the classifier reads `english`."""
    import numpy as np

    rows = [each.text.english() if english else list(range(len(each.text.sentences))) for each in batch]
    said = [nameless(each.text.sentences, each.references) for each in batch]
    texts = [spoken[number] for spoken, numbers in zip(said, rows, strict=True) for number in numbers]
    scores = sentiment.score(texts)
    tones = []
    for each, numbers in zip(batch, rows, strict=True):
        of = np.full((len(each.text.sentences), 3), np.nan)
        of[numbers], scores = scores[: len(numbers)], scores[len(numbers) :]
        tones.append(of)
    return tones
