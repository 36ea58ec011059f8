"""What a sentence implies: none, unless one perspective is likely enough."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from multiplex.content import content_root
from multiplex.errors import ContentError
from multiplex.evaluation.extraction.frame import KNOWN
from multiplex.evaluation.extraction.implied import NONE, Implied
from multiplex.evaluation.extraction.logistic import Head, load_head, save_head
from multiplex.llm.embeddings import DIMENSIONS, Embedder

NO_CULTURE = Path(__file__).parents[3] / "shared" / "data" / "culture" / "no_culture.jsonl"

PLAIN = """
Agree early on who pays for what, and write it down.
A short walk each day does more good than a long one each month.
You may feel guilty at first; that is normal and it passes.
It depends on how much time each of you has.
Sleep, food and rest come before everything else.
Ask the doctor which of the medicines can be left out.
Nobody can decide this for you.
Honesty makes a friendship last, even where it hurts.
The best teachers I had were the ones who listened.
Start with the smallest step that you can take today.
Rules are only as good as the people who keep them.
When a promise cannot be kept, say so as soon as you know.
Computers now do in a second what once took a week.
Water boils at a lower temperature on a mountain.
The girl found a key in the garden and hid it under her pillow.
Both sides have good reasons, and both sides have something to lose.
A budget shows where the money goes.
Grief comes in waves and has no timetable.
Try to see the matter through the eyes of the other person.
In the end, what counts is that everyone is heard.
""".strip().splitlines()


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture(scope="module")
def implied() -> Implied:
    return Implied.load()


def test_plain_english_has_no_perspective(embedder: Embedder, implied: Implied) -> None:
    calls = implied.classify(embedder.encode(PLAIN))
    spoken = [(sentence, call) for sentence, call in zip(PLAIN, calls, strict=True) if call[0] is not None]
    assert len(spoken) <= 1, spoken


def test_what_is_unmistakable_is_called(embedder: Embedder, implied: Implied) -> None:
    cases = {
        "In Japan people bow when they meet and take off their shoes at the door.": "east_asian",
        "In Brazil the whole neighbourhood dances in the street during carnival.": "latin_american",
        "In Iran a guest is offered tea and refuses politely before accepting.": "islamic",
        "In Nigeria the elders of the village break the kola nut before they speak.": "african",
        "A young Native American girl learns the stories of her tribe from her grandmother.": "indigenous",
    }
    calls = implied.classify(embedder.encode(list(cases)))
    assert [perspective for perspective, _ in calls] == list(cases.values())
    assert all(implied.head.threshold <= chance <= 1 for _, chance in calls)


def test_no_row_gives_no_call(implied: Implied) -> None:
    assert implied.classify(np.zeros((0, DIMENSIONS), dtype=np.float32)) == []


def test_shipped_labels_are_known_perspectives_and_none(implied: Implied) -> None:
    *perspectives, last = implied.head.labels
    assert last == NONE
    assert set(perspectives) <= set(KNOWN)
    assert len(perspectives) == 9
    assert (content_root() / "eval" / "implied_head.json").stat().st_size < 40_000


@pytest.mark.parametrize(
    ("scores", "threshold", "expected"),
    [
        ((0.6, 0.1, 0.3), 0.5, ("islamic", 0.6)),
        ((0.6, 0.1, 0.3), 0.7, (None, 0.4)),  # likeliest, but not likely enough
        ((0.3, 0.3, 0.4), 0.2, (None, 0.7)),  # none is likelier than any one perspective
        ((0.1, 0.6, 0.3), 0.6, ("african", 0.6)),  # the threshold itself is enough
    ],
)
def test_a_perspective_must_beat_none_and_reach_the_threshold(
    scores: tuple[float, ...], threshold: float, expected: tuple[str | None, float]
) -> None:
    bias = np.log(np.array(scores))
    head = Head(("islamic", "african", NONE), np.zeros((3, 2)), bias, threshold - 1e-9, "")
    ((perspective, chance),) = Implied(head).classify(np.ones((1, 2)))
    assert perspective == expected[0]
    assert chance == pytest.approx(expected[1])


@pytest.mark.skipif(not NO_CULTURE.is_file(), reason="the labelled data lies beside the project and is not here")
def test_sentences_without_a_culture_are_left_alone(embedder: Embedder, implied: Implied) -> None:
    with NO_CULTURE.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    untrained = [row["text"] for row in rows if row["source"] == "normbank"]
    calls = implied.classify(embedder.encode(untrained))
    assert sum(perspective is None for perspective, _ in calls) / len(calls) >= 0.97


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
