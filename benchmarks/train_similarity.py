"""Trains `agents/positions/projection.npz`, which brings questions and the positions that bear on them closer together.

    python benchmarks/train_similarity.py

Two small networks, one for questions and one for positions, turn sentence embeddings into others whose cosine is the
learned similarity of `multiplex.council.similarity`. They learn from `benchmarks/retrieval/`: questions on which one
position bears (`questions/`), and matters with the positions of every sourcebook that bear on them (`matters.yaml`).
The loss is the cross-entropy of the right positions among all of the same sourcebook. After it run embed_positions.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from multiplex.council.personas import agents, built_in
from multiplex.council.positions import FOLDER
from multiplex.council.similarity import PROJECTION, SIDES
from multiplex.llm.embeddings import DIMENSIONS, Embedder

DATA = Path(__file__).with_name("retrieval")
SEED, EPOCHS, BATCH = 0, 9, 256
HIDDEN = 64  # units of the layer beside the linear one
RATE, DECAY = 6e-4, 1e-2
NOISE = 0.02  # standard deviation, added to every embedding while it learns
BEARS = 0.6  # weight of a position that bears on a matter, where one that answers it weighs 1


class Side(nn.Module):
    """A linear map that begins as the identity, and a small network beside it that begins as zero."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(DIMENSIONS, DIMENSIONS, bias=False)
        self.down, self.up = nn.Linear(DIMENSIONS, HIDDEN), nn.Linear(HIDDEN, DIMENSIONS)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows of length 1."""
        bent = self.up(functional.gelu(self.down(rows), approximate="tanh"))
        return functional.normalize(self.linear(rows) + bent, dim=-1)


def main() -> None:
    """Train, and write both networks."""
    torch.manual_seed(SEED)
    books = {p.name: p.sourcebook for p in built_in() if p.sourcebook is not None}
    places = {(name, each.id): n for n, (name, each) in enumerate(
        (name, each) for name, book in books.items() for each in book.positions)}  # fmt: skip
    questions, wanted = examples(places)
    rows = torch.tensor(Embedder().encode(questions))
    positions = torch.tensor(Embedder().encode([text for book in books.values() for text in book.texts]))
    of_book = [torch.tensor([n for (name, _), n in places.items() if name == book]) for book in books]
    sides = {name: Side() for name in SIDES}
    scale = nn.Parameter(torch.tensor(3.0))
    learned = [scale, *(each for side in sides.values() for each in side.parameters())]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY)
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(questions)).split(BATCH):
            asked, held = (each + NOISE * torch.randn_like(each) for each in (rows[chosen], positions))
            scores = sides["question"](asked) @ sides["position"](held).T * scale.exp()
            losses = [_loss(scores[:, own], wanted[chosen][:, own]) for own in of_book]
            loss = torch.stack([each for each in losses if each is not None]).sum() / len(of_book)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}", flush=True)
    path = agents() / FOLDER / PROJECTION
    weights = {f"{name}.{key}": value.detach().numpy().astype(np.float16)
               for name, side in sides.items() for key, value in side.state_dict().items()}  # fmt: skip
    np.savez_compressed(path, **weights)
    print(f"{path}: {sum(map(np.size, weights.values())):,} weights, {path.stat().st_size / 1e6:.1f} MB")


def examples(places: dict[tuple[str, str], int]) -> tuple[list[str], Tensor]:
    """The questions, and for each the weight of every position, shape (questions, positions)."""
    found: list[tuple[str, dict[int, float]]] = []
    for path in sorted((DATA / "questions").glob("*.yaml")):
        for position, asked in yaml.safe_load(path.read_text("utf-8")).items():
            if (path.stem, position) in places:
                found += [(question, {places[path.stem, position]: 1.0}) for question in asked]
    for matter in yaml.safe_load((DATA / "matters.yaml").read_text("utf-8")):
        weights = {}
        for name, listed in matter["positions"].items():
            for each in listed:
                position, grade = each.split("=")
                if (name, position) in places:
                    weights[places[name, position]] = 1.0 if grade == "2" else BEARS
        found += [(question, weights) for question in matter["questions"] if weights]
    wanted = torch.zeros(len(found), len(places))
    for row, (_, weights) in enumerate(found):
        for place, weight in weights.items():
            wanted[row, place] = weight
    return [question for question, _ in found], wanted


def _loss(scores: Tensor, wanted: Tensor) -> Tensor | None:
    """The mean cross-entropy over the questions for which this sourcebook holds a position."""
    there = wanted.sum(1) > 0
    if not there.any():
        return None
    shares = wanted[there] / wanted[there].sum(1, keepdim=True)
    return -(shares * functional.log_softmax(scores[there], 1)).sum(1).mean()


if __name__ == "__main__":
    main()
