"""A trained head is read back as it was saved, and a damaged one is refused by file and field."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from multiplex.errors import ContentError
from multiplex.evaluation.extraction.frame import KNOWN
from multiplex.evaluation.extraction.logistic import load_head, save_head
from multiplex.evaluation.retention.perspective_classifier import NONE, PerspectiveClassifier


def test_the_labels_of_blind_attribution_are_known_perspectives_and_none() -> None:
    *perspectives, last = PerspectiveClassifier.load().head.labels
    assert last == NONE
    assert set(perspectives) <= set(KNOWN)
    assert len(perspectives) == 9


def test_a_saved_head_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "head.json"
    save_head(path, "made here", ["a", NONE], np.array([[1.23449, -2], [0, 0.5]]), np.array([0.1, -0.1]), 0.25)
    head = load_head(path, 2)
    assert head.labels == ("a", NONE)
    assert head.weights.tolist() == [[1.234, -2.0], [0.0, 0.5]]
    assert (head.threshold, head.bias.tolist()) == (0.25, [0.1, -0.1])
    rows = head.probabilities(np.array([[1.0, 0.0], [1000.0, -1000.0]]))
    assert rows.sum(axis=1) == pytest.approx([1, 1])
    assert rows[0, 0] == pytest.approx(1 / (1 + np.exp(-(1.234 + 0.1 + 0.1))))
    with pytest.raises(ValueError, match="reads \\(n, 2\\)"):
        head.probabilities(np.ones((1, 3)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [[1, 2], [3]]}, "weights: must be 2 rows of 2 numbers"),
        ({"bias": [0]}, "bias: 1 numbers for 2 labels"),
        ({"labels": ["a", "a"]}, "labels: a label occurs twice"),
        ({"threshold": 2}, "threshold: "),
        ({"extra": 1}, "extra: "),
        ({"bias": [0, "x"]}, "bias.1: "),
    ],
)
def test_a_damaged_head_is_refused_by_file_and_field(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "head.json"
    good = {"about": "", "labels": ["a", NONE], "threshold": 0, "bias": [0, 0], "weights": [[1, 2], [3, 4]]}
    path.write_text(json.dumps({**good, **change}), encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        load_head(path, 2)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert os.linesep not in str(caught.value)
