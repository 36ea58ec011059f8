"""The network that `train_sentiment.py` trains: MiniLM whose last layers carry low-rank changes, and a linear head.

The changes are those of Hu et al., "LoRA", 2021 (arXiv 2106.09685): a weight W becomes W + UD, where U and D have few
columns and rows. The layers before are not changed, so that their states are computed once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from multiplex.llm.embeddings import find_model
from multiplex.llm.minilm import HEADS, LAYERS, WIDTH

FIRST, RANK = 4, 8  # the first layer that is changed, of 0..5, and the rank of a change
LENGTH = 64  # word pieces of a snippet that are read
EPOCHS, BATCH, SORTED = 2, 32, 2048  # of each so many shuffled snippets, those of like length share a batch
RATE, HEAD_RATE, DECAY, WARM = 1e-3, 3e-3, 0.01, 100  # WARM: steps until the full rate, which then falls to nothing
DROPOUT = 0.1
SCALE = 8.0  # of the embedding, whose parts are about 1/20, before the head
SEED = 7


@dataclass(frozen=True)
class States:
    """What the unchanged layers make of texts: `rows` of shape (pieces, 384), those of text i from starts[i] on."""

    rows: NDArray[np.float16]
    starts: NDArray[np.int64]

    def padded(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """States of some texts, shape (n, pieces, 384), and which of these are there, (n, pieces)."""
        lengths = self.starts[chosen + 1] - self.starts[chosen]
        states, there = (
            torch.zeros(len(chosen), int(lengths.max()), WIDTH),
            torch.zeros(len(chosen), int(lengths.max())),
        )
        for row, (text, length) in enumerate(zip(chosen, lengths, strict=True)):
            at = self.starts[text]
            states[row, :length] = torch.from_numpy(self.rows[at : at + length].astype(np.float32))
            there[row, :length] = 1
        return states, there.bool()


class Changed(nn.Module):
    """A linear layer of the model with a change of rank RANK, which begins as nothing, and of its bias."""

    def __init__(self, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        self.register_buffer("weight", weights[f"{name}.weight"])
        self.register_buffer("bias", weights[f"{name}.bias"])
        outputs, inputs = weights[f"{name}.weight"].shape
        self.name = name
        self.down = nn.Parameter(torch.randn(RANK, inputs) / inputs**0.5)
        self.up = nn.Parameter(torch.zeros(outputs, RANK))
        self.shift = nn.Parameter(torch.zeros(outputs))

    def forward(self, rows: Tensor) -> Tensor:
        return functional.linear(rows, self.weight + self.up @ self.down, self.bias + self.shift)


class Layer(nn.Module):
    """One layer of the model, as `multiplex.llm.minilm` computes it."""

    def __init__(self, weights: dict[str, Tensor], number: int) -> None:
        super().__init__()
        name = f"encoder.layer.{number}"
        self.query, self.key, self.value = (
            Changed(weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        self.attended = Changed(weights, f"{name}.attention.output.dense")
        self.inner = Changed(weights, f"{name}.intermediate.dense")
        self.outer = Changed(weights, f"{name}.output.dense")
        self.norms = nn.ModuleList(
            _norm(weights, f"{name}.{part}.LayerNorm") for part in ("attention.output", "output")
        )

    def forward(self, states: Tensor, there: Tensor) -> Tensor:
        texts, pieces, _ = states.shape
        heads = [
            part(states).view(texts, pieces, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        ]
        seen = functional.scaled_dot_product_attention(*heads, attn_mask=there[:, None, None, :])
        seen = self.attended(seen.transpose(1, 2).reshape(texts, pieces, WIDTH))
        states = self.norms[0](functional.dropout(seen, DROPOUT, self.training) + states)
        inner = self.outer(functional.gelu(self.inner(states)))
        return self.norms[1](functional.dropout(inner, DROPOUT, self.training) + states)  # type: ignore[no-any-return]


def _norm(weights: dict[str, Tensor], name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(WIDTH, eps=1e-12)
    norm.load_state_dict({"weight": weights[f"{name}.weight"], "bias": weights[f"{name}.bias"]})
    return norm.requires_grad_(requires_grad=False)


class Network(nn.Module):
    """The changed layers, mean pooling to length 1, and a head that reads the embedding and VADER's five figures."""

    def __init__(self, weights: dict[str, Tensor], features: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(weights, number) for number in range(FIRST, LAYERS))
        self.head = nn.Linear(WIDTH + features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, states: Tensor, there: Tensor, features: Tensor) -> Tensor:
        for layer in self.layers:
            states = layer(states, there)
        present = there[..., None].float()
        embedding = functional.normalize((states * present).sum(1) / present.sum(1), dim=-1)
        return self.head(torch.cat([embedding * SCALE, features], 1))  # type: ignore[no-any-return]

    def changes(self) -> dict[str, NDArray[np.float16]]:
        """By name, as `multiplex.llm.minilm.MiniLM.changed` takes them."""
        found = {}
        for layer in self.modules():
            if isinstance(layer, Changed):
                for part, value in (("up", layer.up), ("down", layer.down), ("bias", layer.shift)):
                    found[f"{layer.name}.{part}"] = value.detach().numpy().astype(np.float16)
        return found

    def coefficients(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The head's, shape (classes, 384 + features), for embeddings of length 1; and its biases."""
        table = self.head.weight.detach().numpy().astype(np.float64)
        table[:, :WIDTH] *= SCALE
        return table, self.head.bias.detach().numpy().astype(np.float64)


def load_weights() -> dict[str, Tensor]:
    """The model's weights by name."""
    return load_file(find_model() / "model.safetensors")


def states_of(texts: Sequence[str], weights: dict[str, Tensor]) -> States:
    """The states of texts before the layers that are changed."""
    tokenizer = Tokenizer.from_file(str(find_model() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    pieces = [tokenizer.encode(text).ids for text in texts]
    starts = np.cumsum([0, *map(len, pieces)])
    rows = np.zeros((starts[-1], WIDTH), dtype=np.float16)
    tables = [weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    norm, layers = _norm(weights, "embeddings.LayerNorm"), [Layer(weights, number).eval() for number in range(FIRST)]
    order = sorted(range(len(texts)), key=lambda text: len(pieces[text]))
    with torch.inference_mode():
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            ids = torch.zeros(len(batch), len(pieces[batch[-1]]), dtype=torch.long)
            there = torch.zeros(ids.shape, dtype=torch.bool)
            for row, text in enumerate(batch):
                ids[row, : len(pieces[text])] = torch.tensor(pieces[text])
                there[row, : len(pieces[text])] = True
            states = norm(tables[0][ids] + tables[1][: ids.shape[1]] + tables[2][0])
            for layer in layers:
                states = layer(states, there)
            for row, text in enumerate(batch):
                rows[starts[text] : starts[text + 1]] = states[row, : len(pieces[text])].numpy()
    return States(rows, starts)


def train(
    states: States,
    features: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    chosen: NDArray[np.int64],
) -> Network:
    """A network trained on the chosen texts by cross-entropy with `targets`, shape (n, classes), weighted by text."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = Network(load_weights(), features.shape[1], targets.shape[1])
    read, wanted, weighed = (torch.tensor(each, dtype=torch.float32) for each in (features, targets, weights))
    optimizer = torch.optim.AdamW(
        [{"params": network.layers.parameters(), "lr": RATE}, {"params": network.head.parameters(), "lr": HEAD_RATE}],
        weight_decay=DECAY,
    )
    steps, step, started = EPOCHS * len(list(_batches(states, chosen, rng))), 0, time.monotonic()
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: min(1, (at + 1) / WARM) * max(0.02, 1 - at / steps)
    )
    for _ in range(EPOCHS):
        for batch in _batches(states, chosen, rng):
            logs = functional.log_softmax(network(*states.padded(batch), read[batch]), 1)
            loss = -((wanted[batch] * logs).sum(1) * weighed[batch]).sum() / weighed[batch].sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            if step % 100 == 0:
                print(f"step {step} of {steps}: loss {loss.item():.3f}, {time.monotonic() - started:.0f} s", flush=True)
    return network.eval()


def probabilities(
    network: Network, states: States, features: NDArray[np.float64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Class probabilities of the chosen texts, shape (n, classes)."""
    read = torch.tensor(features, dtype=torch.float32)
    with torch.inference_mode():
        found = [
            network(*states.padded(batch), read[batch]).softmax(1).numpy()
            for batch in np.array_split(chosen, max(1, len(chosen) // BATCH))
        ]
    return np.concatenate(found).astype(np.float64)


def _batches(states: States, chosen: NDArray[np.int64], rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The chosen texts in random batches of like length."""
    lengths = np.diff(states.starts)
    parts = np.array_split(rng.permutation(chosen), max(1, len(chosen) // SORTED))
    order = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in parts])
    batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    yield from (batches[place] for place in rng.permutation(len(batches)))
