"""Sentence-level sentiment: VADER and embeddings through a logistic head, or a classifier of one's own choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiplex.content import content_root
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.extraction.logistic import load_head
from multiplex.llm.classifier import Classifier, meaning
from multiplex.llm.embeddings import DIMENSIONS, Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("positive", "neutral", "negative")  # the columns of a score
FEATURES = 3 * DIMENSIONS + 5

# What the labels of published classifiers mean; a label not named here stops the run rather than being guessed.
_MEANINGS = {
    "positive": {"positive", "pos", "very positive", "4 stars", "5 stars"},
    "neutral": {"neutral", "neu", "mixed", "3 stars"},
    "negative": {"negative", "neg", "very negative", "1 star", "2 stars"},
}


_ADDRESS = re.compile(r"@\w+|https?://\S+")


def spoken(sentence: str) -> str:
    """A sentence without handles and links, which have no tone; the whole where nothing else is left."""
    return " ".join(_ADDRESS.sub(" ", sentence).split()) or sentence


class Sentiment:
    """Probabilities of positive, neutral and negative, sentence by sentence.

    By default VADER's four scores, the MiniLM embedding and their products go through a logistic head trained on human
    ratings (`benchmarks/train_sentiment.py`). `model` is instead the folder, or the name on the Hugging Face hub, of a
    `transformers` text classifier; one that is not in the local cache is fetched, once. A classifier without a
    neutral class gives neutral 0. More positive is not better.

    Raises:
        ContentError: `eval/sentiment_head.json` is absent or wrong.
        UsageError: `model` cannot be loaded, or its labels do not say what is positive and what is negative.
    """

    def __init__(self, embedder: Embedder, model: str | None = None) -> None:
        self.model = model
        self._scorer = _Trained(embedder) if model is None else _Chosen(model)

    def score(self, sentences: Sequence[str], embeddings: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Shape (n, 3): columns positive, neutral, negative; each row sums to 1.

        `embeddings`, where the caller has them already, are the embedder's rows for these sentences in this order.

        Raises:
            ValueError: there are more or fewer embeddings than sentences.
        """
        import numpy as np

        if embeddings is not None and len(embeddings) != len(sentences):
            raise ValueError(f"{len(embeddings)} embeddings for {len(sentences)} sentences")
        if not sentences:
            return np.zeros((0, len(LABELS)))
        return self._scorer.score(sentences, embeddings)


def vader_features(sentences: Sequence[str]) -> NDArray[np.float64]:
    """VADER's neg, neu, pos (each 0..1), compound (-1..1) and the size of compound, shape (n, 5).

    Hutto and Gilbert, "VADER", ICWSM 2014. The size lets a linear head tell strong feeling from none.
    """
    import numpy as np
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    rows = np.zeros((len(sentences), 5))
    for row, sentence in zip(rows, sentences, strict=True):
        scores = analyzer.polarity_scores(sentence)
        row[:4] = [scores[name] for name in ("neg", "neu", "pos", "compound")]
        row[4] = abs(row[3])
    return rows


def features(embeddings: NDArray[np.floating], sentences: Sequence[str]) -> NDArray[np.float64]:
    """What the trained head reads, shape (n, FEATURES): the embedding, VADER's scores, and the embedding times
    compound and times its size, so that what a sentence is about can strengthen or turn what its words say."""
    import numpy as np

    vader = vader_features(sentences)
    products = [embeddings * vader[:, column, None] for column in (-2, -1)]
    return np.hstack([embeddings, vader, *products])


class _Trained:
    """The head that ships in `eval/sentiment_head.json`."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        path = content_root() / "eval" / "sentiment_head.json"
        self._head = load_head(path, FEATURES)
        if self._head.labels != LABELS:
            raise ContentError(path, f"must be {', '.join(LABELS)}", field="labels")

    def score(self, sentences: Sequence[str], embeddings: NDArray[np.floating] | None) -> NDArray[np.float64]:
        rows = self._embedder.encode(sentences) if embeddings is None else embeddings
        return self._head.probabilities(features(rows, sentences))


class _Chosen:
    """A `transformers` text classifier, loaded at once so that a wrong name costs nothing else."""

    def __init__(self, name: str) -> None:
        self._model = Classifier(name, "sentiment model", "transformers text-classification model")
        meanings = [meaning(label, _MEANINGS) for label in self._model.labels]
        if None in meanings:
            raise UsageError(
                f"sentiment model {name!r} calls its classes {', '.join(self._model.labels)}; name them "
                "positive, neutral and negative under id2label in its config.json"
            )
        if not {"positive", "negative"} <= set(meanings):
            raise UsageError(
                f"sentiment model {name!r} has no class for positive or none for negative; "
                "give a model that tells the two apart"
            )
        self._columns = [LABELS.index(name) for name in meanings if name]

    def score(self, sentences: Sequence[str], _: NDArray[np.floating] | None) -> NDArray[np.float64]:
        import numpy as np

        scores = np.zeros((len(sentences), len(LABELS)))
        np.add.at(scores.T, self._columns, self._model.probabilities(sentences).T)
        return scores
