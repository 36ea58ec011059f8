"""A `transformers` sequence classifier that the user names, for tone or for entailment."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from multiplex.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 32
WORD_PIECES = 512  # read of a text, or of a pair of texts


class Classifier:
    """Loaded at once, so that a wrong name costs nothing else; one not in the local cache is fetched, once.

    `name` is a folder or a name on the Hugging Face hub; `what` it is and which `wanted` kind of model must be given
    stand in the error. `labels` are the model's own names for its classes, in the order of its outputs.

    Raises:
        UsageError: it cannot be loaded.
    """

    def __init__(self, name: str, what: str, wanted: str) -> None:
        try:
            self._tokenizer, self._model = _load(name)
        except Exception as error:  # whatever the library raises for a missing, broken or unreachable model
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"{what} {name!r} cannot be loaded ({reason}); give the folder or the hub name of a {wanted}"
            ) from error
        named: dict[int, str] = self._model.config.id2label
        self.labels = tuple(str(named[index]) for index in sorted(named))

    def probabilities(self, texts: Sequence[str], seconds: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Class probabilities of texts, or of pairs of a text and a second, shape (n, classes)."""
        import numpy as np
        import torch

        length = min(WORD_PIECES, self._tokenizer.model_max_length)
        parts = [np.zeros((0, len(self.labels)))]
        for start in range(0, len(texts), BATCH):
            batch = [list(side[start : start + BATCH]) for side in (texts, seconds) if side is not None]
            inputs = self._tokenizer(*batch, padding=True, truncation=True, max_length=length, return_tensors="pt")
            with torch.no_grad():
                parts.append(torch.softmax(self._model(**inputs).logits.double(), dim=-1).numpy())
        rows: NDArray[np.float64] = np.vstack(parts)
        return rows


def meaning(label: str, meanings: dict[str, set[str]]) -> str | None:
    """Which of the `meanings`' keys a model's label stands for, hyphens and capitals aside; None for none of them."""
    words = re.sub(r"[\s_-]+", " ", label).strip().lower()
    return next((name for name, known in meanings.items() if words in known), None)


def _load(name: str) -> tuple[Any, Any]:
    with _quiet_transformers():
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        def load(local: bool) -> tuple[Any, Any]:
            model = AutoModelForSequenceClassification.from_pretrained(name, local_files_only=local)
            return AutoTokenizer.from_pretrained(name, local_files_only=local), model.eval()

        try:
            return load(local=True)
        except OSError:
            return load(local=False)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Holds back the bars and log lines that `transformers` prints while it loads a model, and restores them after."""
    console: Any = importlib.import_module("transformers.utils.logging")  # untyped functions
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bar = console.is_progress_bar_enabled()
    console.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bar:
            console.enable_progress_bar()
