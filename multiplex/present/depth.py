"""What the figures of depth are called, and how each is printed; every surface shows them beside entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from multiplex.evaluation.depth.figures import Depth

READING = (
    "Entropy is how evenly the references spread over the frame (100% = evenly; a convention, not an ideal). "
    "Few references bias it downward, so read it with their number. It counts names; depth, "
    "(1 - labels only) x ln(1 + holders a perspective), says how far a text goes beyond them. "
    "More positive is not better."
)


class Label(NamedTuple):
    """A figure's name for readers, the factor and format of its number, its unit, and what it says, one line."""

    name: str
    scale: float
    form: str
    unit: str
    about: str


LABELS: Mapping[str, Label] = {
    "depth": Label("depth", 1, ".2f", "", "(1 - labels only) x ln(1 + holders a perspective)"),
    "label_share": Label("labels only", 100, ".0f", "%", "references that only the frame's own label makes"),
    "specific": Label("specific references", 1, ".0f", "", "with a people, person, school, text or practice"),
    "plurality": Label("holders a perspective", 1, ".2f", "", "effective number of distinct holders"),
    "plural": Label("perspectives with two holders", 1, ".1f", "", "or more"),
    "disagreement": Label("inner disagreements", 1, ".1f", "", "two holders of one perspective against each other"),
    "balance": Label("balance of reasons", 1, ".0f", "%", "evenness of the words of reasons over the frame"),
    "generalised": Label("generalising sentences", 100, ".0f", "%", "of those with a reference: a whole people holds"),
}  # fmt: skip


def shown(depth: Depth | None, name: str) -> str:
    """One figure of a text; a dash where it does not exist."""
    value = depth.scalars()[name] if depth else None
    label = LABELS[name]
    form = label.form if not isinstance(value, int) else "d"
    return "–" if value is None else f"{value * label.scale:{form}}{label.unit}"
