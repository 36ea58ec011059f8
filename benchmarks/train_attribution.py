"""Trains `eval/attribution_head.json`, by which blind attribution tells voices apart, and prints how well it does.

    python benchmarks/train_attribution.py PATH_TO_THE_DATA [--output FILE]

The data folder holds culture/culturalbench.jsonl (CC BY), cultureatlas.jsonl (CC BY-SA), gpt_stories.jsonl (CC0) and
no_culture.jsonl (its Wikipedia and SQuAD rows, CC BY-SA, train; its NormBank rows are only measured).

Everything is measured on folds that keep a country's questions and encyclopaedic sentences, and a story prompt together
("unseen"), and again on folds by text alone ("seen": other texts of the same countries and prompts were trained on).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training import (
    SEED,
    Example,
    cross_val_predict,
    fitted,
    lowest_threshold,
    predict,
    temperature,
    temperature_scale,
)
from training import examples as examples_of

from multiplex.evaluation.extraction.gazetteer import Gazetteer
from multiplex.evaluation.extraction.logistic import save_head
from multiplex.evaluation.extraction.references import find
from multiplex.evaluation.retention.perspective_classifier import NONE
from multiplex.evaluation.statistics.accuracy import LABELS
from multiplex.llm.embeddings import Embedder

REPEATS = 3
ABOUT = (
    "Multinomial logistic regression on all-MiniLM-L6-v2 embeddings, made by benchmarks/train_attribution.py; "
    "licence and origin of the training texts: ATTRIBUTION.md"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the head of blind attribution.")
    parser.add_argument("data", type=Path, help="the folder that holds culture/")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "eval" / "attribution_head.json")
    arguments = parser.parse_args()

    examples = [example for example in examples_of(arguments.data / "culture") if example.label in LABELS]
    embeddings = Embedder().encode([example.text for example in examples]).astype(np.float64)
    unseen = np.stack([cross_val_predict(examples, embeddings, SEED + k, lambda e: e.group) for k in range(REPEATS)])
    seen = np.stack([cross_val_predict(examples, embeddings, SEED + k, lambda e: e.text) for k in range(REPEATS)])
    heat = temperature(unseen, examples)
    unseen, seen = temperature_scale(unseen, heat), temperature_scale(seen, heat)
    threshold = lowest_threshold(unseen, examples)

    print(f"trained on {sum(e.trains for e in examples)} texts; temperature {heat:.2f}; threshold {threshold:.3f}\n")
    print_slices(examples, unseen, seen, threshold)
    print_perspectives(examples, unseen, seen, threshold)
    print_silent(examples, unseen, seen, threshold)
    print_calibration(examples, unseen, threshold)

    table, bias = fitted(examples, embeddings, np.array([e.trains for e in examples]))
    save_head(arguments.output, ABOUT, LABELS, table / heat, bias / heat, threshold)
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


def print_slices(
    examples: list[Example], unseen: NDArray[np.float64], seen: NDArray[np.float64], threshold: float
) -> None:
    """How often each kind of text is called rightly, left alone, and what the likeliest perspective is worth."""
    truth = np.array([LABELS.index(example.label) for example in examples])
    slices = np.array([example.slice for example in examples])
    last = LABELS.index(NONE)
    print(
        "| texts | n | right, unseen | none, unseen | likeliest right, unseen | right, seen | likeliest right, seen |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(slices):
        which = slices == name
        cells = []
        for probabilities in (unseen, seen):
            calls = predict(probabilities[:, which], threshold)
            cells.append(f"{(calls == truth[which]).mean():.3f}")
            if probabilities is unseen:
                cells.append(f"{(calls == last).mean():.3f}")
            leads = (probabilities[:, which, :last].argmax(axis=-1) == truth[which]).mean()
            cells.append("" if (truth[which] == last).all() else f"{leads:.3f}")
        print(f"| {name} | {which.sum()} | {' | '.join(cells)} |")
    print()


def print_perspectives(
    examples: list[Example], unseen: NDArray[np.float64], seen: NDArray[np.float64], threshold: float
) -> None:
    """Precision and recall per perspective over all texts but NormBank's and the sentences of stories."""
    truth = np.array([LABELS.index(example.label) for example in examples])
    pool = np.array([example.trains and not example.slice.endswith("by sentence") for example in examples])
    print("| perspective | n | precision, unseen | recall, unseen | precision, seen | recall, seen |")
    print("| --- | --- | --- | --- | --- | --- |")
    for place, label in enumerate(LABELS):
        cells = []
        for probabilities in (unseen, seen):
            calls = predict(probabilities[:, pool], threshold)
            right = ((calls == place) & (truth[pool] == place)).sum()
            cells += [right / max((calls == place).sum(), 1), right / max(REPEATS * (truth[pool] == place).sum(), 1)]
        print(f"| {label} | {(truth[pool] == place).sum()} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    print()


def print_silent(
    examples: list[Example], unseen: NDArray[np.float64], seen: NDArray[np.float64], threshold: float
) -> None:
    """The same on the texts in which the gazetteers find nothing: the only ones that are asked in an evaluation."""
    gazetteer = Gazetteer.load()
    silent = np.array([not find(example.text, gazetteer) for example in examples])
    truth = np.array([LABELS.index(example.label) for example in examples])
    last = LABELS.index(NONE)
    print(
        "| texts without a written cue | n | predict, unseen | called rightly, unseen | predict, seen | rightly, seen |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, which in (("with a culture", silent & (truth != last)), ("without one", silent & (truth == last))):
        cells = []
        for probabilities in (unseen, seen):
            calls = predict(probabilities[:, which], threshold)
            cells += [(calls != last).mean(), ((calls != last) & (calls == truth[which])).mean()]
        print(f"| {name} | {which.sum()} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    print()


def print_calibration(examples: list[Example], unseen: NDArray[np.float64], threshold: float) -> None:
    """What the probability of a call is worth: the share of right calls among those of about that probability."""
    truth = np.tile(np.array([LABELS.index(example.label) for example in examples]), REPEATS)
    flat = unseen.reshape(-1, len(LABELS))
    calls = predict(flat, threshold)
    chance = flat[:, : LABELS.index(NONE)].max(axis=1)
    print("| probability of a call | calls | mean probability | right |")
    print("| --- | --- | --- | --- |")
    for low, high in ((threshold, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)):
        which = (calls != LABELS.index(NONE)) & (chance >= low) & (chance < high)
        if which.any():
            right = (calls == truth)[which].mean()
            print(f"| {low:.2f} to {min(high, 1):.2f} | {which.sum()} | {chance[which].mean():.2f} | {right:.2f} |")
    print()


if __name__ == "__main__":
    main()
