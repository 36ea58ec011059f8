"""Sentiment of sentences: the shipped head, and classifiers that a user names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from multiplex.errors import UsageError
from multiplex.evaluation.sentiment import LABELS, Sentiment, vader_features

DATA = Path(__file__).parents[3] / "shared" / "data" / "sentiment"


@pytest.fixture(scope="module")
def sentiment() -> Sentiment:
    return Sentiment()


def test_feeling_and_its_absence_are_told_apart(sentiment: Sentiment) -> None:
    sentences = [
        "It was a wonderful day and everyone was kind to us.",
        "The office is open from nine to five on weekdays.",
        "They lied to her, and the cruelty of it still hurts.",
        "The plot goes nowhere, and I left before the end.",  # no word of VADER's lexicon
    ]
    scores = sentiment.score(sentences)
    assert scores.shape == (4, 3)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert [LABELS[k] for k in scores.argmax(axis=1)] == ["positive", "neutral", "negative", "negative"]


def test_no_sentence_gives_no_row(sentiment: Sentiment) -> None:
    assert sentiment.score([]).shape == (0, 3)


def test_vader_features_are_its_scores_and_the_size_of_compound() -> None:
    (row,) = vader_features(["VADER is not smart, handsome, nor funny."])
    assert row == pytest.approx([0.646, 0.354, 0.0, -0.7424, 0.7424])


@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled data lies beside the project and is not here")
def test_the_head_is_ahead_of_vader_on_film_reviews(sentiment: Sentiment) -> None:
    with (DATA / "sst2.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts, positive = [row["text"] for row in rows], np.array([row["label"] == "positive" for row in rows])
    scores = sentiment.score(texts)
    head = ((scores[:, 0] >= scores[:, 2]) == positive).mean()
    vader = ((vader_features(texts)[:, 3] >= 0) == positive).mean()
    assert head > 0.83
    assert head > vader + 0.18


def classifier(folder: Path, labels: list[str], leaning: list[float]) -> str:
    """A tiny real classifier in `folder`, whose outputs have the odds exp(leaning) whatever it reads."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    words = folder / "words.txt"
    words.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]), encoding="utf-8")
    config = BertConfig(
        vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=16, id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(leaning))
    model.save_pretrained(folder)
    BertTokenizerFast(str(words), model_max_length=16).save_pretrained(folder)
    return str(folder)


def test_a_chosen_classifier_is_read_by_its_own_labels(tmp_path: Path) -> None:
    odds = [float(np.log(share)) for share in (0.2, 0.7, 0.1)]
    sentiment = Sentiment(classifier(tmp_path / "m", ["NEGATIVE", "Neutral", "pos"], odds))
    scores = sentiment.score(["good", "bad " * 100, "good bad"] * 20)
    assert scores.shape == (60, 3)
    assert scores == pytest.approx(np.tile([0.1, 0.7, 0.2], (60, 1)), abs=1e-5)
    assert sentiment.score([]).shape == (0, 3)


def test_stars_are_added_up_and_two_classes_leave_neutral_empty(tmp_path: Path) -> None:
    stars = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
    five = Sentiment(classifier(tmp_path / "five", stars, [0.0] * 5))
    assert five.score(["good"])[0] == pytest.approx([0.4, 0.2, 0.4], abs=1e-5)
    two = Sentiment(classifier(tmp_path / "two", ["negative", "positive"], [0.0, 0.0]))
    assert two.score(["good"])[0] == pytest.approx([0.5, 0, 0.5], abs=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["LABEL_0", "LABEL_1", "LABEL_2"], "calls its classes LABEL_0, LABEL_1, LABEL_2"),
        (["joy", "anger"], "calls its classes joy, anger"),
        (["neutral", "positive"], "none for negative"),
    ],
)
def test_labels_that_do_not_tell_are_refused(tmp_path: Path, labels: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sentiment(classifier(tmp_path / "m", labels, [0.0] * len(labels)))


def test_a_classifier_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in (str(tmp_path / "nothing"), str(tmp_path / "empty"), "no one/no such model"):
        with pytest.raises(UsageError, match="cannot be loaded") as caught:
            Sentiment(name)
        assert "\n" not in str(caught.value)
