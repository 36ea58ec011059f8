"""Whether one sentence follows from another, by a natural-language-inference model that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiplex.errors import UsageError
from multiplex.llm.classifier import Classifier, meaning

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("entailment", "neutral", "contradiction")  # the columns of a score
ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)

# What the labels of published models mean; a label not named here stops the run rather than being guessed.
_MEANINGS = {
    "entailment": {"entailment", "entail", "entails"},
    "neutral": {"neutral"},
    "contradiction": {"contradiction", "contradict", "contradicts"},
}


class Entailment:
    """A `transformers` sequence-pair classifier over entailment, neutral and contradiction, loaded at once.

    `name` is a folder or a name on the Hugging Face hub; one that is not in the local cache is fetched, once.

    Raises:
        UsageError: it cannot be loaded, or its labels do not say which class is which.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._model = Classifier(
            name, "NLI model", "transformers sequence-classification model trained on natural-language inference"
        )
        meanings = [meaning(label, _MEANINGS) for label in self._model.labels]
        if sorted(filter(None, meanings)) != sorted(LABELS) or None in meanings:
            raise UsageError(
                f"NLI model {name!r} calls its classes {', '.join(self._model.labels)}; a model with the three "
                "classes entailment, neutral and contradiction is needed, named so under id2label in its config.json"
            )
        self._order = [meanings.index(label) for label in LABELS]

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
        """Shape (n, 3): for each pair the probabilities of LABELS, which sum to 1.

        Raises:
            ValueError: there are more premises than hypotheses, or fewer.
        """
        if len(premises) != len(hypotheses):
            raise ValueError(f"{len(premises)} premises for {len(hypotheses)} hypotheses")
        return self._model.probabilities(premises, hypotheses)[:, self._order]

    def rows(self, premises: Sequence[str], hypotheses: Sequence[str]) -> list[list[float]]:
        """`score` as plain lists.

        Raises:
            ValueError: as `score`.
        """
        return self.score(premises, hypotheses).tolist()  # type: ignore[no-any-return]  # numpy's stubs say Any
