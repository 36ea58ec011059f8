"""Trains what reads the tone, on the ratings that come with VADER, and prints how well it does beside VADER.

    pip download --no-deps --no-binary :all: vaderSentiment==3.3.2
    python benchmarks/train_sentiment.py vaderSentiment-3.3.2.tar.gz PATH_TO_THE_DATA [--output FOLDER]

It writes `sentiment_layers.npz`, low-rank changes of MiniLM's last layers, and `sentiment_head.json`, a logistic head
on the embedding that these give and VADER's scores (`tone_network.py`). The archive (MIT licence) holds snippets of
tweets, film reviews, product reviews and newspaper editorials, each with the mean rating of some twenty people from -4
to 4. A snippet is positive above 0.5, negative below -0.5 and neutral between: that is where the nearest whole rating
is 0. Near these bounds it is partly both, by the standard error of the mean of twenty ratings. Each class weighs the
same within each source, so that neither the classes' frequency nor the style of a source says anything: film reviews
are seldom neutral.

An eighth of each source does not train and shows how well the network reads snippets it has not seen. The data folder
holds sentiment/sst2.jsonl and sentiment/tweeteval.jsonl, which are only measured. Nearly every sentence of SST-2 also
stands among the film-review snippets; those snippets are taken out before training.
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
from scipy.special import expit
from tone_network import load_weights, probabilities, states_of, train

from multiplex.evaluation.extraction.logistic import save_head
from multiplex.evaluation.sentiment import HEAD, LABELS, LAYERS, spoken, vader_features

ARCHIVE_SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets")
NEUTRAL_UP_TO = 0.5  # of the mean rating, either way
ERROR = 0.25  # standard error of the mean of twenty ratings
SEED, HELD_OUT = 7, 8  # one of so many snippets
VADER_NEUTRAL = 0.05  # of the compound score, either way: the threshold that VADER's authors give
POSITIVE, NEUTRAL, NEGATIVE = range(3)  # the order of LABELS
COMPOUND = 3  # VADER's compound among its features
ABOUT = (
    "Multinomial logistic regression on the embeddings of all-MiniLM-L6-v2, with the changes of sentiment_layers.npz, "
    "and VADER's neg, neu, pos, compound and |compound|, made by benchmarks/train_sentiment.py; licence and origin of "
    "the training texts: ATTRIBUTION.md"
)


@dataclass(frozen=True)
class Snippets:
    """Texts, where each is from, its class as a place in LABELS, and its mean rating, where there is one."""

    texts: list[str]
    sources: NDArray[np.str_]
    classes: NDArray[np.int64]
    ratings: NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the sentiment head.")
    parser.add_argument("archive", type=Path, help="vaderSentiment-3.3.2.tar.gz")
    parser.add_argument("data", type=Path, help="the folder that holds sentiment/")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "eval", help="a folder")
    arguments = parser.parse_args()

    rated = read_archive(arguments.archive)
    films = read_labelled(arguments.data / "sentiment" / "sst2.jsonl", "SST-2")
    tweets = read_labelled(arguments.data / "sentiment" / "tweeteval.jsonl", "TweetEval")
    shared = overlapping(rated.texts, films.texts + tweets.texts)
    print_classes(rated, shared)
    kept, held_out = divided(rated, shared)
    weights = load_weights()
    x_rated, x_films, x_tweets = (vader_features(read(part.texts)) for part in (rated, films, tweets))
    states = states_of(read(rated.texts), weights)
    network = train(states, x_rated, targets(rated.ratings), balanced(rated, kept), kept)

    scores = probabilities(network, states, x_rated, held_out)
    print_sources(rated, held_out, {"VADER": vader_scores(x_rated[held_out]), "network": scores})
    print("| model | SST-2 accuracy | TweetEval macro-F1 | TweetEval macro-recall | TweetEval accuracy |")
    print("| --- | --- | --- | --- | --- |")
    film, tweet = (
        probabilities(network, states_of(read(part.texts), weights), x, np.arange(len(x)))
        for part, x in ((films, x_films), (tweets, x_tweets))
    )
    print_measured("VADER", vader_scores(x_films), vader_scores(x_tweets), films, tweets)
    print_measured("network", film, tweet, films, tweets)
    print()
    print_calibration(tweet, tweets.classes)

    np.savez_compressed(arguments.output / LAYERS, **network.changes())
    save_head(arguments.output / HEAD, ABOUT, LABELS, *network.coefficients())
    for name in (LAYERS, HEAD):
        print(f"wrote {arguments.output / name} ({(arguments.output / name).stat().st_size:,} bytes)")


def print_measured(
    name: str, film: NDArray[np.float64], tweet: NDArray[np.float64], films: Snippets, tweets: Snippets
) -> None:
    two = np.where(film[:, POSITIVE] >= film[:, NEGATIVE], POSITIVE, NEGATIVE)
    three = tweet.argmax(axis=1)
    right = (three == tweets.classes).mean()
    cells = [(two == films.classes).mean(), macro_f1(tweets.classes, three), recall(tweets.classes, three), right]
    print(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")


def divided(rated: Snippets, shared: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The snippets that train and those held out; neither are `shared`."""
    rng = np.random.default_rng(SEED)
    own = [rng.permutation(np.flatnonzero((rated.sources == source) & ~shared)) for source in SOURCES]
    return (
        np.concatenate([each[len(each) // HELD_OUT :] for each in own]),
        np.concatenate([each[: len(each) // HELD_OUT] for each in own]),
    )


def targets(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each snippet is of each class, shape (n, 3); rows sum to 1."""
    positive, negative = expit((ratings - NEUTRAL_UP_TO) / ERROR), expit((-ratings - NEUTRAL_UP_TO) / ERROR)
    return np.stack([positive, 1 - positive - negative, negative], axis=1)


def balanced(rated: Snippets, kept: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights by which each class weighs the same within each source, over those kept."""
    weights = np.zeros(len(rated.texts))
    for source in SOURCES:
        own = kept[rated.sources[kept] == source]
        counts = np.bincount(rated.classes[own], minlength=len(LABELS))
        weights[own] = (len(own) / len(LABELS) / counts)[rated.classes[own]]
    return weights


def read(texts: list[str]) -> list[str]:
    return [spoken(text) for text in texts]


def read_archive(path: Path) -> Snippets:
    """The rated snippets in the source archive of vaderSentiment 3.3.2."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != ARCHIVE_SHA256:
        sys.exit(f"{path} is not the source archive of vaderSentiment 3.3.2; download it as this script's head says")
    texts, sources, classes, ratings = [], [], [], []
    with tarfile.open(fileobj=io.BytesIO(member(content, INNER))) as inner:
        for source in SOURCES:
            file = inner.extractfile(f"hutto_ICWSM_2014/{source}_GroundTruth.txt")
            lines = file.read().decode("utf-8-sig").split("\n") if file else []
            for line in filter(None, lines):
                _, rating, text = line.rstrip("\r").split("\t")
                texts.append(text.strip())
                sources.append(source)
                score = float(rating)
                ratings.append(score)
                classes.append(POSITIVE if score > NEUTRAL_UP_TO else NEGATIVE if score < -NEUTRAL_UP_TO else NEUTRAL)
    return Snippets(texts, np.array(sources), np.array(classes), np.array(ratings))


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
    return Snippets([row["text"] for row in rows], np.array([source] * len(rows)), classes, np.full(len(rows), np.nan))


def overlapping(texts: list[str], measured: list[str]) -> NDArray[np.bool_]:
    """Which texts hold, or are held by, a measured sentence, letters and digits compared alone."""
    bare = [re.sub(r"[^a-z0-9]", "", text.lower()) for text in texts]
    known = {re.sub(r"[^a-z0-9]", "", text.lower()) for text in measured}
    joined, every = "|".join(known), "|".join(bare)
    found = np.array([text in known or (len(text) > 20 and text in joined) for text in bare])
    starts = np.cumsum([0, *(len(text) + 1 for text in bare)])
    for text in known:
        at = every.find(text) if len(text) > 20 else -1
        while at >= 0:
            found[np.searchsorted(starts, at, side="right") - 1] = True
            at = every.find(text, at + 1)
    return found


def vader_scores(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores whose largest is VADER's own class; between positive and negative, the sign of compound decides."""
    compound = x[:, COMPOUND]
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


def print_sources(rated: Snippets, held_out: NDArray[np.int64], scores: dict[str, NDArray[np.float64]]) -> None:
    """On what is held out of each source: macro-recall, and accuracy of positive against negative."""
    print("| held out of | model | macro-recall | positive or negative |")
    print("| --- | --- | --- | --- |")
    truth = rated.classes[held_out]
    for source in SOURCES:
        own = rated.sources[held_out] == source
        told = own & (truth != NEUTRAL)
        for name, table in scores.items():
            right = (table[told, POSITIVE] >= table[told, NEGATIVE]) == (truth[told] == POSITIVE)
            print(f"| {source} | {name} | {recall(truth[own], table[own].argmax(axis=1)):.3f} | {right.mean():.3f} |")
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
