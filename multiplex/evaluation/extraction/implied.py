"""Implied references: which perspective a sentence speaks from when it names none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiplex.content import content_root
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.logistic import Head, load_head
from multiplex.llm.embeddings import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NONE = "none"


class Implied:
    """A logistic head on sentence embeddings over the perspectives and `none`.

    `none` wins unless one perspective reaches the head's threshold: plain English is not Western. The head is
    trained by `benchmarks/train_implied.py`, which prints its precision and recall per perspective.
    """

    def __init__(self, head: Head) -> None:
        self.head = head

    @classmethod
    def load(cls) -> Implied:
        """The head that ships in `eval/implied_head.json`.

        Raises:
            ContentError: the file is absent or wrong.
        """
        path = content_root() / "eval" / "implied_head.json"
        head = load_head(path, DIMENSIONS)
        if NONE not in head.labels:
            raise ContentError(path, f"must hold {NONE!r}", field="labels")
        return cls(head)

    def classify(self, embeddings: NDArray[np.floating]) -> list[tuple[str | None, float]]:
        """A (perspective or None, probability) for each row of `embeddings`, shape (n, 384).

        The probability is that the row refers to the perspective; for None, that it does not refer to the likeliest
        one. It is calibrated on folds whose countries and prompts were not trained on.
        """
        labels = self.head.labels
        predictions: list[tuple[str | None, float]] = []
        for row in self.head.probabilities(embeddings):
            best = max((k for k, label in enumerate(labels) if label != NONE), key=lambda k: float(row[k]))
            chance = float(row[best])
            wins = chance >= self.head.threshold and chance > float(row[labels.index(NONE)])
            predictions.append((labels[best], chance) if wins else (None, 1 - chance))
        return predictions
