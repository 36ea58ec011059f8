"""What the classifier of implied references is worth on countries and pages that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from multiplex.evaluation.extraction.implied import Implied
from multiplex.evaluation.training import LABELS, SEED, Example, called, cooled, crossed, examples, temperature
from multiplex.evaluation.validation import Figure, Validation, proportion
from multiplex.llm.embeddings import Embedder

# How the texts of a slice are kept together in a fold.
_KEPT: dict[str, tuple[str, Callable[[Example], bool]]] = {
    "CulturalBench, country named": (
        "trained without the country, in five folds of countries",
        lambda example: example.slice == "CulturalBench, named",
    ),
    "CultureAtlas, country not named": (
        "trained without the page, in five folds of pages",
        lambda example: example.slice == "CultureAtlas, not named",
    ),
}


def left_out(culture: Path) -> Validation:
    """Trains the classifier anew by folds of `culture`/*.jsonl and reports what it calls rightly, implied cue alone.

    A country's name is still in the question: what is left out is every example of that country, so that the
    classifier must know the name from its embedding alone.

    Raises:
        FileNotFoundError: one of the four files is absent.
    """
    chosen = [example for example in examples(culture) if example.label in LABELS]
    embeddings = Embedder().encode([example.text for example in chosen]).astype(np.float64)
    unseen = crossed(chosen, embeddings, SEED, lambda example: example.group)
    head = Implied.load().head
    calls = called(cooled(unseen, temperature(unseen[None], chosen)), head.threshold)
    shipped = called(head.probabilities(embeddings), head.threshold)
    truth = np.array([LABELS.index(example.label) for example in chosen])
    made = Validation()
    for what, (how, belongs) in _KEPT.items():
        which = np.array([belongs(example) for example in chosen])
        made.figures += [
            _with_error(proportion(f"{what}; implied", "accuracy", calls[which] == truth[which], note=how)),
            _with_error(
                proportion(
                    f"{what}; implied", "accuracy", shipped[which] == truth[which],
                    note="the coefficients as shipped, trained on texts of this set",
                )
            ),
        ]  # fmt: skip
    return made


def _with_error(figure: Figure) -> Figure:
    error = (figure.value * (1 - figure.value) / figure.n) ** 0.5
    return Figure(**{**vars(figure), "note": f"{figure.note}; standard error {error:.3f}"})
