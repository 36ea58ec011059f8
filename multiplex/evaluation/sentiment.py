"""Sentence-level sentiment: embeddings that were trained for it, with VADER, or a classifier of one's own choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiplex.content import content_root
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.extraction.logistic import load_head
from multiplex.llm.classifier import Classifier, meaning
from multiplex.llm.embeddings import DIMENSIONS, ChangedEmbedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("positive", "neutral", "negative")  # the columns of a score
FEATURES = DIMENSIONS + 5
HEAD, LAYERS = "sentiment_head.json", "sentiment_layers.npz"  # of eval/; benchmarks/train_sentiment.py made both

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

    By default VADER's scores and the embedding of MiniLM, whose last two layers carry changes, go through a logistic
    head; both were trained on human ratings (`benchmarks/train_sentiment.py`). `model` is instead the folder, or the
    name on the Hugging Face hub, of a `transformers` text classifier; one that is not in the local cache is fetched,
    once. A classifier without a neutral class gives neutral 0. More positive is not better.

    Raises:
        ContentError: `eval/sentiment_head.json` is absent or wrong, or from `score` `eval/sentiment_layers.npz`.
        UsageError: `model` cannot be loaded, or its labels do not say what is positive and what is negative.
    """

    def __init__(self, model: str | None = None) -> None:
        self.model = model
        self._scorer = _Trained() if model is None else _Chosen(model)

    def score(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        """Shape (n, 3): columns positive, neutral, negative; each row sums to 1."""
        import numpy as np

        return self._scorer.score(sentences) if sentences else np.zeros((0, len(LABELS)))


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
    """What the trained head reads, shape (n, FEATURES): the embedding and VADER's scores."""
    import numpy as np

    return np.hstack([embeddings, vader_features(sentences)])


class _Trained:
    """The layers and the head that ship in eval/."""

    def __init__(self) -> None:
        folder = content_root() / "eval"
        self._embedder = ChangedEmbedder(folder / LAYERS)
        path = folder / HEAD
        self._head = load_head(path, FEATURES)
        if self._head.labels != LABELS:
            raise ContentError(path, f"must be {', '.join(LABELS)}", field="labels")

    def score(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        return self._head.probabilities(features(self._embedder.encode(sentences), sentences))


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

    def score(self, sentences: Sequence[str]) -> NDArray[np.float64]:
        import numpy as np

        scores = np.zeros((len(sentences), len(LABELS)))
        np.add.at(scores.T, self._columns, self._model.probabilities(sentences).T)
        return scores
