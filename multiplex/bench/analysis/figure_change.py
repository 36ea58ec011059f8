"""One figure of the same questions on two sides: two runs, or two languages of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from multiplex.evaluation.statistics.summary import Estimate

FigureName = Literal[
    "macro0", "macro", "micro", "unprompted macro0", "tone positive", "tone negative", "words", "seconds",
    "input_tokens", "output_tokens",
]  # fmt: skip
FORMER_FIGURES: Mapping[str, str] = {
    "macro0": "mean0", "macro": "mean", "micro": "pooled", "unprompted macro0": "unprompted mean0",
}  # fmt: skip
"""By name of a figure the one that it had in version 0.1.0; the JSON holds both."""


class FigureChange(BaseModel):
    """One figure of the paired units on both sides: entropies by reference in percent, tones 0..1, the rest as named.

    Attributes:
        before, after: on the first side and the second; means over questions, each in the side's own denominators.
        difference: after minus before over the questions that have the figure on both, with its 95% interval.
        p: two-sided, by swapping the sides within a question.
    """

    model_config = ConfigDict(frozen=True)

    before: float | None
    after: float | None
    difference: Estimate
    p: float | None
