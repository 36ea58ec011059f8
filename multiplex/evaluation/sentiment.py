"""Sentence-level sentiment: VADER and embeddings through a logistic head, or a classifier of one's own choice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multiplex.content import content_root
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.heads import load_head
from multiplex.llm.embeddings import DIMENSIONS, Embedder, quiet_transformers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("positive", "neutral", "negative")  # the columns of a score
FEATURES = 3 * DIMENSIONS + 5
BATCH = 32
WORD_PIECES = 512  # read of a sentence by a chosen classifier

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
        try:
            self._tokenizer, self._model = _load(name)
        except Exception as error:  # whatever the library raises for a missing, broken or unreachable model
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"sentiment model {name!r} cannot be loaded ({reason}); give the folder or the hub name of a "
                "transformers text-classification model"
            ) from error
        self._columns = _columns(name, self._model.config.id2label)

    def score(self, sentences: Sequence[str], _: NDArray[np.floating] | None) -> NDArray[np.float64]:
        import numpy as np
        import torch

        length = min(WORD_PIECES, self._tokenizer.model_max_length)
        scores = np.zeros((len(sentences), len(LABELS)))
        for start in range(0, len(sentences), BATCH):
            batch = list(sentences[start : start + BATCH])
            inputs = self._tokenizer(batch, padding=True, truncation=True, max_length=length, return_tensors="pt")
            with torch.no_grad():
                shares = torch.softmax(self._model(**inputs).logits.double(), dim=-1).numpy()
            np.add.at(scores[start : start + BATCH].T, self._columns, shares.T)
        return scores


def _load(name: str) -> tuple[Any, Any]:
    with quiet_transformers():
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        def load(local: bool) -> tuple[Any, Any]:
            model = AutoModelForSequenceClassification.from_pretrained(name, local_files_only=local)
            return AutoTokenizer.from_pretrained(name, local_files_only=local), model.eval()

        try:
            return load(local=True)
        except OSError:
            return load(local=False)


def _columns(name: str, labels: dict[int, str]) -> list[int]:
    """For each output of the classifier, the column of LABELS that it adds to."""
    columns = []
    for index in sorted(labels):
        words = re.sub(r"[\s_-]+", " ", str(labels[index])).strip().lower()
        column = next((k for k, label in enumerate(LABELS) if words in _MEANINGS[label]), None)
        if column is None:
            raise UsageError(
                f"sentiment model {name!r} calls its classes {', '.join(map(str, labels.values()))}; name them "
                "positive, neutral and negative under id2label in its config.json"
            )
        columns.append(column)
    if not {LABELS.index("positive"), LABELS.index("negative")} <= set(columns):
        raise UsageError(
            f"sentiment model {name!r} has no class for positive or none for negative; "
            "give a model that tells the two apart"
        )
    return columns
