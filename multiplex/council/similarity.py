"""What lies near to what in meaning, by sentence embeddings: the choices that a small model would make badly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from multiplex.content import content_root, sha256
from multiplex.council.personas import Idea, Persona
from multiplex.council.positions import FOLDER, Position, Sourcebook, load_topics
from multiplex.llm.embeddings import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

SHIPPED = "embeddings.npz"  # made by `python benchmarks/embed_positions.py`
PROJECTION = "projection.npz"  # made by `python benchmarks/train_similarity.py`
SIDES = ("question", "position")
SHOWN = 0.72  # least similarity of a position that a small model's voice shows; docs/positions.md says how it was set
GIVEN = 0.6  # and of one that is handed to a capable model, which leaves out what does not bear on the question
STEPS = 254  # the array holds embeddings as whole numbers: their parts, all within -0.5..0.5, times this
Pair = tuple[int, int]


def nearest_positions(
    question: str, personas: Iterable[Persona], most: int, least: float = GIVEN
) -> dict[str, tuple[Position, ...]]:
    """For each persona that has a sourcebook, by name, at most so many positions near the question, nearest first.

    `least` is the similarity below which a position is left out.
    """
    asked = Embedder().encode([question])[0]
    found = {}
    for persona in personas:
        if persona.sourcebook is not None:
            near = similarities(asked, persona.sourcebook)
            order = sorted(range(len(near)), key=near.__getitem__, reverse=True)[:most]
            found[persona.name] = tuple(persona.sourcebook.positions[i] for i in order if near[i] >= least)
    return found


def similarities(asked: Rows, book: Sourcebook) -> list[float]:
    """How near each position is to a question's embedding, -2..2: the mean of three cosines, and a learned one.

    The three are to the position's text (statement and topic phrases together), to the nearest of its topic phrases,
    and to the nearest topic that it covers; where it covers none, the mean of the first two. The fourth is between
    the embeddings of question and text as `project` moves them.
    """
    texts = embedded(book.texts) @ asked
    phrases = iter(embedded(book.phrases) @ asked)
    topics = dict(zip((topic.id for topic in load_topics()), embedded(topic_names()) @ asked, strict=True))
    learned = project_positions(book.texts) @ project(asked[None], "question")[0]
    near = []
    for text, moved, position in zip(texts, learned, book.positions, strict=True):
        parts = [text, max(next(phrases) for _ in position.topics)]
        parts += [max(topics[name] for name in position.covers)] if position.covers else []
        near.append(float(sum(parts) / len(parts) + moved))
    return near


def project(rows: Rows, side: str) -> Rows:
    """The embeddings of questions or of positions, moved so that what bears on a question stands near it.

    benchmarks/train_similarity.py has trained it. Shapes (n, 384) in and out, rows of length 1.
    """
    import numpy as np

    weights = _projection()[side]
    down = rows @ weights["down.weight"].T + weights["down.bias"]
    bent = 0.5 * down * (1 + np.tanh(0.7978845608 * (down + 0.044715 * down**3)))  # GELU (Hendrycks and Gimpel 2016)
    moved = rows @ weights["linear.weight"].T + bent @ weights["up.weight"].T + weights["up.bias"]
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


@cache
def project_positions(texts: tuple[str, ...]) -> Rows:
    """The texts of positions, embedded and moved; once in a process."""
    return project(embedded(texts), "position")


@cache
def _projection() -> dict[str, dict[str, Rows]]:
    """The weights of both networks, by side and then by layer."""
    import numpy as np

    sides: dict[str, dict[str, Rows]] = {side: {} for side in SIDES}
    with np.load(content_root() / "agents" / FOLDER / PROJECTION, allow_pickle=False) as held:
        for key in held.files:
            side, _, layer = key.partition(".")
            sides[side][layer] = held[key].astype(np.float32)
    return sides


@cache
def topic_names() -> tuple[str, ...]:
    """What is embedded of the topics."""
    return tuple(topic.name for topic in load_topics())


@cache
def embedded(texts: tuple[str, ...]) -> Rows:
    """A row for each text: of the array that is shipped, or of a changed file, embedded anew once in a process."""
    shipped = _shipped().get(key_of(texts))
    return Embedder().encode(texts) if shipped is None else shipped


def key_of(texts: Sequence[str]) -> str:
    """What the array calls the rows of these texts: a hash."""
    return sha256("\n".join(texts))[:16]


@cache
def _shipped() -> dict[str, Rows]:
    """The array that comes with the sourcebooks; empty where there is none."""
    import numpy as np

    path = content_root() / "agents" / FOLDER / SHIPPED
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as held:
        return {key: held[key].astype(np.float32) / STEPS for key in held.files}


def closest_and_furthest(texts: Sequence[str]) -> tuple[Pair, Pair]:
    """The places of the two texts nearest to each other and of the two furthest apart; at least two texts."""
    rows = Embedder().encode(texts)
    closeness = rows @ rows.T
    pairs = [(i, j) for i in range(len(texts)) for j in range(i + 1, len(texts))]
    return max(pairs, key=lambda pair: float(closeness[pair])), min(pairs, key=lambda pair: float(closeness[pair]))


def ideas_in(text: str, persona: Persona) -> list[Idea]:
    """The persona's ideas that a text names, in the order of the persona."""
    return [idea for idea in persona.ideas if re.search(rf"\b{re.escape(idea.name)}\b", text, re.IGNORECASE)]
