"""Whether one sentence follows from another, by a natural-language-inference model that the user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from multiplex.errors import UsageError
from multiplex.llm.embeddings import quiet_transformers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LABELS = ("entailment", "neutral", "contradiction")  # the columns of a score
ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)
BATCH = 32
WORD_PIECES = 512  # read of a pair

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
        try:
            self._tokenizer, self._model = _load(name)
        except Exception as error:  # whatever the library raises for a missing, broken or unreachable model
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"NLI model {name!r} cannot be loaded ({reason}); give the folder or the hub name of a "
                "transformers sequence-classification model trained on natural-language inference"
            ) from error
        self._columns = _columns(name, self._model.config.id2label)

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
        """Shape (n, 3): for each pair the probabilities of LABELS, which sum to 1.

        Raises:
            ValueError: there are more premises than hypotheses, or fewer.
        """
        import numpy as np
        import torch

        if len(premises) != len(hypotheses):
            raise ValueError(f"{len(premises)} premises for {len(hypotheses)} hypotheses")
        length = min(WORD_PIECES, self._tokenizer.model_max_length)
        scores = np.zeros((len(premises), len(LABELS)))
        for start in range(0, len(premises), BATCH):
            pairs = (list(premises[start : start + BATCH]), list(hypotheses[start : start + BATCH]))
            inputs = self._tokenizer(*pairs, padding=True, truncation=True, max_length=length, return_tensors="pt")
            with torch.no_grad():
                shares = torch.softmax(self._model(**inputs).logits.double(), dim=-1).numpy()
            scores[start : start + BATCH, self._columns] = shares
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
    """For each output of the model, its column of LABELS; every column once."""
    columns = []
    for index in sorted(labels):
        words = re.sub(r"[\s_-]+", " ", str(labels[index])).strip().lower()
        columns.append(next((k for k, label in enumerate(LABELS) if words in _MEANINGS[label]), -1))
    if sorted(columns) != list(range(len(LABELS))):
        raise UsageError(
            f"NLI model {name!r} calls its classes {', '.join(map(str, labels.values()))}; a model with the three "
            "classes entailment, neutral and contradiction is needed, named so under id2label in its config.json"
        )
    return columns
