"""What lies near to what in meaning, by sentence embeddings: the choices that a small model would make badly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.content import content_root
from multiplex.council.personas import Idea, Persona
from multiplex.council.positions import FOLDER, Position, Sourcebook
from multiplex.llm.embeddings import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

SHIPPED = "embeddings.npz"  # made by `python benchmarks/embed_positions.py`
NEAR = 0.30  # cosine; below it a position is not about the question (calibrated in docs/positions.md)
Pair = tuple[int, int]
_rows: dict[str, Rows] = {}


def nearest_positions(question: str, personas: Iterable[Persona], most: int) -> dict[str, tuple[Position, ...]]:
    """For each persona that has a sourcebook, by name, at most so many positions near the question, nearest first.

    A position is as near as the nearest of its topic phrases and its statement.
    """
    asked = Embedder().encode([question])[0]
    found = {}
    for persona in personas:
        if persona.sourcebook is None:
            continue
        closeness = _closeness(asked, persona.sourcebook)
        order = sorted(range(len(closeness)), key=lambda i, of=closeness: -of[i])  # type: ignore[misc]
        near = [i for i in order[:most] if closeness[i] >= NEAR]
        found[persona.name] = tuple(persona.sourcebook.positions[i] for i in near)
    return found


def _closeness(asked: Rows, book: Sourcebook) -> list[float]:
    """The cosine of each position to a question's embedding."""
    rows = embedded(book)
    closeness, start = [], 0
    for position in book.positions:
        end = start + len(position.topics) + 1
        closeness.append(float((rows[start:end] @ asked).max()))
        start = end
    return closeness


def embedded(book: Sourcebook) -> Rows:
    """A row for each topic phrase and statement of a sourcebook, in its order.

    Taken from the array that is shipped; where the file has changed since, embedded anew, once in a process.
    """
    if book.key not in _rows:
        shipped = _shipped()
        _rows[book.key] = shipped[book.key] if book.key in shipped else Embedder().encode(book.texts)
    return _rows[book.key]


@cache
def _shipped(path: Path | None = None) -> dict[str, Rows]:
    """The array that comes with the sourcebooks; empty where there is none."""
    import numpy as np

    path = path or content_root() / "agents" / FOLDER / SHIPPED
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as held:
        return {key: held[key].astype(np.float32) for key in held.files}


def closest_and_furthest(texts: Sequence[str]) -> tuple[Pair, Pair]:
    """The places of the two texts nearest to each other and of the two furthest apart; at least two texts."""
    rows = Embedder().encode(texts)
    closeness = rows @ rows.T
    pairs = [(i, j) for i in range(len(texts)) for j in range(i + 1, len(texts))]
    return max(pairs, key=lambda pair: float(closeness[pair])), min(pairs, key=lambda pair: float(closeness[pair]))


def ideas_in(text: str, persona: Persona) -> list[Idea]:
    """The persona's ideas that a text names, in the order of the persona."""
    return [idea for idea in persona.ideas if re.search(rf"\b{re.escape(idea.name)}\b", text, re.IGNORECASE)]
