"""Name against content: what of the voices is left when their names are permuted within an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations as permutations_of
from typing import TYPE_CHECKING, Literal, get_args

from multiplex.bench.analysis.model import LabelPermutation
from multiplex.bench.store.records import Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Kind = Literal["blind attribution", "blind attribution, relative", "own references"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ENUMERATED = 7  # names; they have 5,040 orders


@dataclass
class Voices:
    """The multiplex voices of one model, gathered answer by answer.

    Attributes:
        tables: by kind, one square array an answer: row i, column j is what text i is worth under the name j, 0..1.
    """

    tables: dict[Kind, list[Array]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, score: Score) -> None:
        """Take in the voices of one answer; fewer than two names cannot be permuted."""
        attribution = score.retention.voice_attribution if score.retention is not None else None
        if attribution is not None:
            self._keep("blind attribution", _hits(attribution.predicted))
            self._keep("blind attribution, relative", _hits(attribution.relative_predicted))
        self._keep("own references", _parts(score.voices))

    def permute_labels(self, model: str, permutations: int, seed: int) -> list[LabelPermutation]:
        """Each kind as observed and under permuted names, where any answer has it."""
        return [_permute(model, kind, tables, permutations, seed) for kind, tables in self.tables.items() if tables]

    def _keep(self, kind: Kind, table: Array) -> None:
        if len(table) > 1:
            self.tables[kind].append(table)


def _hits(predicted: Mapping[str, str]) -> Array:
    """1 where the text of the row is taken for the column's name."""
    import numpy as np

    return np.array([[float(taken == name) for name in predicted] for taken in predicted.values()])


def _parts(voices: Mapping[str, Mapping[str, int]]) -> Array:
    """The part of each voice's references that goes to the column's perspective, over the voices that refer to any."""
    import numpy as np

    speaking = {name: counts for name, counts in voices.items() if sum(counts.values())}
    return np.array([[counts.get(name, 0) / sum(counts.values()) for name in speaking] for counts in speaking.values()])


def _permute(model: str, kind: Kind, tables: list[Array], permutations: int, seed: int) -> LabelPermutation:
    """p = (b + 1) / (B + 1), b of B permutations within every answer reaching at least as much."""
    import numpy as np

    rng = np.random.default_rng(seed)
    voices = sum(len(table) for table in tables)
    observed = sum(float(np.trace(table)) for table in tables)
    expected = sum(float(table.mean(axis=1).sum()) for table in tables)
    orders = {size: _orders(size) for size in sorted({len(table) for table in tables})}
    reached = np.zeros(permutations)
    for table in tables:
        worth = table[np.arange(len(table)), orders[len(table)]].sum(axis=1)
        reached += worth[rng.integers(len(worth), size=permutations)]
    at_least = int(np.count_nonzero(reached > observed - 1e-9))
    return LabelPermutation(
        model=model,
        what=kind,
        answers=len(tables),
        voices=voices,
        observed=observed / voices,
        expected=expected / voices,
        p=(at_least + 1) / (permutations + 1),
    )


def _orders(size: int) -> NDArray[np.int64]:
    """Every order of so many names, shape (size!, size); of more than seven, which have too many, 20,000 drawn."""
    import numpy as np

    if size <= ENUMERATED:
        return np.array(list(permutations_of(range(size))))
    return np.random.default_rng(size).permuted(np.tile(np.arange(size), (20_000, 1)), axis=1)
