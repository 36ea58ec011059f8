"""What lies near to what in meaning, by sentence embeddings: the choices that a small model would make badly."""

from __future__ import annotations

import re
from collections.abc import Sequence

from multiplex.council.personas import Council, Idea, Persona, Schools
from multiplex.llm.embeddings import Embedder

IDEAS = 2
Pair = tuple[int, int]


def nearest_ideas(question: str, council: Council) -> dict[str, tuple[Idea, ...]]:
    """For each perspective the two ideas of its persona that lie nearest to the question, nearest first."""
    return {
        persona.perspective: tuple(
            persona.ideas[i] for i in _order(question, [f"{idea.name}: {idea.says}" for idea in persona.ideas])[:IDEAS]
        )
        for persona in council.personas
    }


def nearest_schools(question: str, persona: Persona) -> Schools:
    """The disagreement inside the persona's tradition that lies nearest to the question."""
    return persona.schools[_order(question, [schools.over for schools in persona.schools])[0]]


def closest_and_furthest(texts: Sequence[str]) -> tuple[Pair, Pair]:
    """The positions of the two texts nearest to each other and of the two furthest apart; at least two texts."""
    rows = Embedder().encode(texts)
    closeness = rows @ rows.T
    pairs = [(i, j) for i in range(len(texts)) for j in range(i + 1, len(texts))]
    return max(pairs, key=lambda pair: float(closeness[pair])), min(pairs, key=lambda pair: float(closeness[pair]))


def ideas_in(text: str, persona: Persona) -> list[Idea]:
    """The persona's ideas that a text names, in the order of the persona."""
    return [idea for idea in persona.ideas if re.search(rf"\b{re.escape(idea.name)}\b", text, re.IGNORECASE)]


def _order(question: str, texts: Sequence[str]) -> list[int]:
    rows = Embedder().encode([question, *texts])
    closeness = rows[1:] @ rows[0]
    return sorted(range(len(texts)), key=lambda i: -float(closeness[i]))
