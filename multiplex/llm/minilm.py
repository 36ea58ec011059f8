"""The forward pass of `all-MiniLM-L6-v2` in NumPy: the same embeddings as `sentence-transformers` gives, to 1e-6.

It is here because importing PyTorch takes longer than measuring an answer; on the processor both cost the same time.
The architecture is BERT (Devlin et al. 2019, arXiv 1810.04805) with six layers, followed by mean pooling over the word
pieces and normalisation to length 1 (Reimers and Gurevych 2019, arXiv 1908.10084).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import Tokenizer

from multiplex.content import storable

LENGTH = 256  # word pieces of a text that are read, the first and last marks among them
BATCH = 32  # texts a pass; larger ones fall out of the processor's cache
WIDTH, LAYERS, HEADS = 384, 6, 12
_EPSILON = np.float32(1e-12)

Floats = NDArray[np.float32]


class MiniLM:
    """The model with its weights, read from `model.safetensors` and `tokenizer.json` of a folder."""

    def __init__(self, folder: Path) -> None:
        self._weights: dict[str, Floats] = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LENGTH)

    def changed(self, changes: Mapping[str, NDArray[np.floating]]) -> MiniLM:
        """A copy with low-rank changes, which shares the other weights (Hu et al. 2021, "LoRA", arXiv 2106.09685).

        For a layer NAME, "NAME.up" of shape (outputs, rank) times "NAME.down" of shape (rank, inputs) is added to its
        weights, and "NAME.bias" to its bias.

        Raises:
            ValueError: a change is of no layer, or of another shape.
        """
        other = copy.copy(self)
        other._weights = dict(self._weights)
        for name in sorted({key.rpartition(".")[0] for key in changes}):
            try:
                up, down, bias = (changes[f"{name}.{part}"].astype(np.float32) for part in ("up", "down", "bias"))
                other._weights[f"{name}.weight"] = self._weights[f"{name}.weight"] + up @ down
                other._weights[f"{name}.bias"] = self._weights[f"{name}.bias"] + bias
            except KeyError as error:
                raise ValueError(f"the change of {name!r} lacks {error}, or the model has no such layer") from error
        return other

    def encode(self, texts: Sequence[str]) -> Floats:
        """One row of length 1 for each text, shape (n, 384)."""
        # One by one: a batch starts threads of its own. The tokenizer refuses halves of characters.
        pieces = [self._tokenizer.encode(storable(text)).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda row: -len(pieces[row]))
        rows = np.zeros((len(texts), WIDTH), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            rows[batch] = self._pool([pieces[row] for row in batch])
        return rows

    def _pool(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """Embeddings of texts given as word pieces, the longest first."""
        ids = np.zeros((len(pieces), len(pieces[0])), dtype=np.int64)
        present = np.zeros(ids.shape, dtype=np.float32)
        for row, text in enumerate(pieces):
            ids[row, : len(text)] = text
            present[row, : len(text)] = 1
        hidden = self._hidden(ids, present).reshape(*ids.shape, WIDTH)
        mean = (hidden * present[..., None]).sum(axis=1) / present.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _hidden(self, ids: NDArray[np.int64], present: Floats) -> Floats:
        """The last layer's states, shape (texts x pieces, 384)."""
        tables = [self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
        summed = tables[0][ids] + tables[1][: ids.shape[1]] + tables[2][0]
        hidden = self._normalise(summed.reshape(-1, WIDTH), "embeddings.LayerNorm")
        masked = np.where(present > 0, np.float32(0), np.float32(-1e9))[:, None, None, :]
        for number in range(LAYERS):
            layer = f"encoder.layer.{number}"
            seen = self._attend(hidden, masked, f"{layer}.attention.self")
            attended = self._linear(seen, f"{layer}.attention.output.dense")
            hidden = self._normalise(attended + hidden, f"{layer}.attention.output.LayerNorm")
            inner = self._linear(hidden, f"{layer}.intermediate.dense")
            inner *= np.float32(0.5) * (1 + erf(inner * np.float32(np.sqrt(0.5))))  # GELU
            hidden = self._normalise(self._linear(inner, f"{layer}.output.dense") + hidden, f"{layer}.output.LayerNorm")
        return hidden

    def _attend(self, hidden: Floats, masked: Floats, name: str) -> Floats:
        """Multi-head attention; `masked` is added to the scores, shape (texts, 1, 1, pieces)."""
        texts, pieces, depth = len(masked), masked.shape[-1], WIDTH // HEADS

        def split(part: str) -> Floats:
            return self._linear(hidden, f"{name}.{part}").reshape(texts, pieces, HEADS, depth).transpose(0, 2, 1, 3)

        scores: Floats = split("query") @ split("key").transpose(0, 1, 3, 2)
        scores *= np.float32(depth**-0.5)
        scores += masked
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        seen: Floats = (scores @ split("value")).transpose(0, 2, 1, 3)
        return seen.reshape(-1, WIDTH)

    def _linear(self, rows: Floats, name: str) -> Floats:
        """The layer `name` of rows, shape (n, its outputs)."""
        out: Floats = rows @ self._weights[f"{name}.weight"].T
        out += self._weights[f"{name}.bias"]
        return out

    def _normalise(self, rows: Floats, name: str) -> Floats:
        """Layer normalisation of rows."""
        centred = rows - rows.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
        return np.asarray(centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])
