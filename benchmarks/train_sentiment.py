"""Trains `eval/sentiment_head.json` on the ratings that come with VADER, and prints how well it does beside VADER.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python benchmarks/train_sentiment.py vaderSentiment-3.3.2.tar.gz PATH_TO_THE_DATA [--output FILE]

The archive (MIT licence) holds snippets of tweets, film reviews, product reviews and newspaper editorials, each
with the mean rating of some twenty people from -4 to 4. A snippet is positive above 0.5, negative below -0.5 and
neutral between: that is where the nearest whole rating is 0. Each class weighs the same in training, so that the head
brings no prior of its own: two of five snippets are from film reviews, which are seldom neutral.

The data folder holds sentiment/sst2.jsonl and sentiment/tweeteval.jsonl, which are only measured. Nearly every
sentence of SST-2 also stands among the film-review snippets; those snippets are taken out before training.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from training import fit

from multiplex.evaluation.extraction.logistic import save_head
from multiplex.evaluation.sentiment import DIMENSIONS, LABELS, features, spoken
from multiplex.llm.embeddings import Embedder

ARCHIVE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets")
NEUTRAL_UP_TO = 0.5  # of the mean rating, either way
STRENGTH = 0.3  # the inverse of the L2 penalty: the best of 0.3, 1 and 4 across the snippets' four sources
SEED, FOLDS = 7, 5
VADER_NEUTRAL = 0.05  # of the compound score, either way: the threshold that VADER's authors give
POSITIVE, NEUTRAL, NEGATIVE = range(3)  # the order of LABELS
ABOUT = (
    "Multinomial logistic regression on all-MiniLM-L6-v2 embeddings, VADER's neg, neu, pos, compound and |compound|, "
    "and the embeddings times compound and |compound|, made by benchmarks/train_sentiment.py; licence and origin of "
    "the training texts: ATTRIBUTION.md"
)


@dataclass(frozen=True)
class Snippets:
    """Texts, where each is from, and its class as a place in LABELS."""

    texts: list[str]
    sources: NDArray[np.str_]
    classes: NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the sentiment head.")
    parser.add_argument("archive", type=Path, help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("data", type=Path, help="the folder that holds sentiment/")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "eval" / "sentiment_head.json")
    arguments = parser.parse_args()

    rated = read_archive(arguments.archive)
    films = read_labelled(arguments.data / "sentiment" / "sst2.jsonl", "SST-2")
    tweets = read_labelled(arguments.data / "sentiment" / "tweeteval.jsonl", "TweetEval")
    shared = overlapping(rated.texts, films.texts + tweets.texts)
    embedder = Embedder()
    x_rated, x_films, x_tweets = (read_features(embedder, part.texts) for part in (rated, films, tweets))

    print_classes(rated, shared)
    model = fitted(x_rated[~shared], rated.classes[~shared])
    leaked = fitted(x_rated, rated.classes)
    print("| model | SST-2 accuracy | TweetEval macro-F1 | TweetEval macro-recall | TweetEval accuracy |")
    print("| --- | --- | --- | --- | --- |")
    for name, film, tweet in (
        ("VADER", vader_scores(x_films), vader_scores(x_tweets)),
        ("head", model.scores(x_films), model.scores(x_tweets)),
        ("(head that also saw the shared snippets)", leaked.scores(x_films), leaked.scores(x_tweets)),
    ):
        two = np.where(film[:, POSITIVE] >= film[:, NEGATIVE], POSITIVE, NEGATIVE)
        three = tweet.argmax(axis=1)
        right = (three == tweets.classes).mean()
        cells = [(two == films.classes).mean(), macro_f1(tweets.classes, three), recall(tweets.classes, three), right]
        print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    print()
    print_sources(rated, x_rated, shared)
    print_calibration(model.scores(x_tweets), tweets.classes)

    save_head(arguments.output, ABOUT, LABELS, model.table, model.bias)
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


def read_archive(path: Path) -> Snippets:
    """The rated snippets in the source archive of vaderSentiment 3.3.2."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != ARCHIVE_SHA256:
        sys.exit(f"{path} is not the source archive of vaderSentiment 3.3.2; download it as this script's head says")
    texts, sources, classes = [], [], []
    with tarfile.open(fileobj=io.BytesIO(member(content, INNER))) as inner:
        for source in SOURCES:
            file = inner.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
            lines = file.read().decode("utf-8-sig").split("\n") if file else []
            for line in filter(None, lines):
                _, rating, text = line.rstrip("\r").split("\t")
                texts.append(text.strip())
                sources.append(source)
                score = float(rating)
                classes.append(POSITIVE if score > NEUTRAL_UP_TO else NEGATIVE if score < -NEUTRAL_UP_TO else NEUTRAL)
    return Snippets(texts, np.array(sources), np.array(classes))


def member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        file = outer.extractfile(name)
        if file is None:
            sys.exit(f"the archive holds no file {name}")
        return file.read()


def read_labelled(path: Path, source: str) -> Snippets:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    classes = np.array([LABELS.index(row["label"]) for row in rows])
    return Snippets([row["text"] for row in rows], np.array([source] * len(rows)), classes)


def overlapping(texts: list[str], measured: list[str]) -> NDArray[np.bool_]:
    """Which texts hold, or are held by, a measured sentence, letters and digits compared alone."""
    bare = [re.sub(r"[^a-z0-9]", "", text.lower()) for text in texts]
    known = {re.sub(r"[^a-z0-9]", "", text.lower()) for text in measured}
    long = [text for text in known if len(text) > 20]
    return np.array([text in known or any(a in text or (len(text) > 20 and text in a) for a in long) for text in bare])


@dataclass(frozen=True)
class Model:
    """A fitted head: coefficients of shape (3, d) and biases (3,)."""

    table: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scores(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return softmax(x @ self.table.T + self.bias, axis=1)


def read_features(embedder: Embedder, texts: list[str]) -> NDArray[np.float64]:
    said = [spoken(text) for text in texts]
    return features(embedder.encode(said), said)


def fitted(x: NDArray[np.float64], classes: NDArray[np.int64]) -> Model:
    counts = np.bincount(classes, minlength=len(LABELS))
    return Model(*fit(x, classes, (len(classes) / len(LABELS) / counts)[classes], STRENGTH))


def vader_scores(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores whose largest is VADER's own class; between positive and negative, the sign of compound decides."""
    compound = x[:, DIMENSIONS + 3]
    return np.stack([compound - VADER_NEUTRAL, np.zeros(len(x)), -compound - VADER_NEUTRAL], axis=1)


def macro_f1(truth: NDArray[np.int64], calls: NDArray[np.int64]) -> float:
    scores = []
    for label in (POSITIVE, NEUTRAL, NEGATIVE):
        right = ((truth == label) & (calls == label)).sum()
        scores.append(2 * right / max((truth == label).sum() + (calls == label).sum(), 1))
    return float(np.mean(scores))


def recall(truth: NDArray[np.int64], calls: NDArray[np.int64]) -> float:
    return float(np.mean([(calls[truth == label] == label).mean() for label in (POSITIVE, NEUTRAL, NEGATIVE)]))


def print_classes(rated: Snippets, shared: NDArray[np.bool_]) -> None:
    print(f"{len(rated.texts)} snippets, {shared.sum()} of them taken out because they are measured\n")
    print("| source | positive | neutral | negative |")
    print("| --- | --- | --- | --- |")
    for source in SOURCES:
        counts = Counter(rated.classes[(rated.sources == source) & ~shared].tolist())
        print(f"| {source} | {' | '.join(str(counts[label]) for label in (POSITIVE, NEUTRAL, NEGATIVE))} |")
    print()


def print_sources(rated: Snippets, x: NDArray[np.float64], shared: NDArray[np.bool_]) -> None:
    """Macro-F1 on each source: cross-validated, trained on the other three sources alone, and VADER's."""
    folds = np.random.default_rng(SEED).permutation(len(rated.texts)) % FOLDS
    crossed = np.zeros(len(rated.texts), dtype=np.int64)
    for fold in range(FOLDS):
        model = fitted(x[(folds != fold) & ~shared], rated.classes[(folds != fold) & ~shared])
        crossed[folds == fold] = model.scores(x[folds == fold]).argmax(axis=1)
    print("| macro-F1 on | VADER | head, other sources only | head, cross-validated |")
    print("| --- | --- | --- | --- |")
    for source in SOURCES:
        own = (rated.sources == source) & ~shared
        others = fitted(x[~own & ~shared], rated.classes[~own & ~shared]).scores(x[own]).argmax(axis=1)
        calls = (vader_scores(x[own]).argmax(axis=1), others, crossed[own])
        print(f"| {source} | {' | '.join(f'{macro_f1(rated.classes[own], call):.3f}' for call in calls)} |")
    print()


def print_calibration(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> None:
    print("| TweetEval: probability of the class called | tweets | mean probability | right |")
    print("| --- | --- | --- | --- |")
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    for low, high in ((0.33, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 1.01)):
        which = (top >= low) & (top < high)
        if which.any():
            cells = (which.sum(), f"{top[which].mean():.2f}", f"{right[which].mean():.2f}")
            print(f"| {low:.2f} to {min(high, 1):.2f} | {' | '.join(map(str, cells))} |")
    print()


if __name__ == "__main__":
    main()
