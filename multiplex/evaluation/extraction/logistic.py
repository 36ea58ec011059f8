"""Logistic heads: the small trained coefficients in `eval/` that turn features into probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from multiplex.content import read_text, sha256
from multiplex.errors import ContentError, first_invalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECIMALS = 3  # of a coefficient in the file; the probabilities move by less than 0.001


@dataclass(frozen=True)
class Head:
    """Multinomial logistic regression: softmax(features @ weights.T + bias).

    `labels` name the k classes; `weights` has shape (k, d) and `bias` (k,); `threshold` in [0, 1] is the probability
    from which a class is predicted (0: the largest always does); `digest` is the file's SHA-256, for records.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    threshold: float
    digest: str

    def probabilities(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Class probabilities, shape (n, k), each row summing to 1, of `features` with shape (n, d).

        Raises:
            ValueError: the features have another width than the head was trained on.
        """
        import numpy as np

        width = self.weights.shape[1]
        if features.ndim != 2 or features.shape[1] != width:
            raise ValueError(f"features have shape {features.shape}; this head reads (n, {width})")
        scores = features.astype(np.float64) @ self.weights.T + self.bias
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    threshold: Annotated[float, Field(ge=0, le=1)]
    bias: tuple[FiniteFloat, ...]
    weights: tuple[tuple[FiniteFloat, ...], ...]


def load_head(path: Path, width: int) -> Head:
    """The head in the JSON file at `path`, whose classes each weigh `width` features.

    Raises:
        ContentError: the file is absent, is not such a file, or its numbers do not fit together.
    """
    import numpy as np

    text = read_text(path)
    try:
        file = _File.model_validate_json(text)
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ContentError(path, wrong.problem, field=wrong.field) from error
    classes = len(file.labels)
    if len(set(file.labels)) != classes:
        raise ContentError(path, "a label occurs twice", field="labels")
    if len(file.bias) != classes:
        raise ContentError(path, f"{len(file.bias)} numbers for {classes} labels", field="bias")
    if len(file.weights) != classes or any(len(row) != width for row in file.weights):
        raise ContentError(path, f"must be {classes} rows of {width} numbers", field="weights")
    return Head(file.labels, np.array(file.weights), np.array(file.bias), file.threshold, sha256(text))


def save_head(
    path: Path,
    about: str,
    labels: Sequence[str],
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
    threshold: float = 0.0,
) -> None:
    """Writes the file that `load_head` reads: one line a class, coefficients rounded to DECIMALS places."""

    def numbers(row: NDArray[np.float64]) -> str:
        return json.dumps([round(float(number), DECIMALS) for number in row])

    lines = [
        "{",
        f'  "about": {json.dumps(about)},',
        f'  "labels": {json.dumps(list(labels))},',
        f'  "threshold": {round(threshold, DECIMALS)},',
        f'  "bias": {numbers(bias)},',
        '  "weights": [',
        ",\n".join(f"    {numbers(row)}" for row in weights),
        "  ]",
        "}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
