"""Trains `eval/implied_head.json`, which says what perspective a sentence implies, and prints how well it does.

    python benchmarks/train_implied.py PATH_TO_THE_DATA [--output FILE]

The data folder holds culture/culturalbench.jsonl (CC BY), cultureatlas.jsonl (CC BY-SA), gpt_stories.jsonl (CC0) and
no_culture.jsonl (its Wikipedia and SQuAD rows, CC BY-SA, train; its NormBank rows are only measured).

What counts as no culture, so that plain English is not Western:
- encyclopaedic sentences without a culture, and stories for which no culture was asked, whole and by sentence;
- stories asked to be English, American, Australian ... in which no Western people or country is named: the wish left
  no trace in them;
- the questions of CulturalBench with their country struck out, where no other name or quoted word is left: talk
  about customs is not yet talk about somebody's customs.
Stories asked to be "British" are measured as stories with no culture asked, but not trained on.

Everything is measured on folds that keep a country's questions, an encyclopaedia page, and a story prompt together
("unseen"), and again on folds by text alone ("seen": other texts of the same countries and prompts were trained on).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.evaluation.gazetteer import Gazetteer
from multiplex.evaluation.heads import save_head
from multiplex.evaluation.implied import NONE
from multiplex.evaluation.references import find
from multiplex.evaluation.sentences import split
from multiplex.llm.embeddings import Embedder

SEED, FOLDS, REPEATS = 7, 5, 3
STRENGTH = 3.0  # the inverse of the L2 penalty
NONE_WEIGHT = 6.0  # of the class `none`, where every perspective weighs 1
LEFT_ALONE = 0.95  # of the texts without a culture, at least
LABELS = (
    *("western", "islamic", "east_asian", "south_asian", "african", "latin_american", "indigenous"),
    *("southeast_asian", "eastern_european", NONE),
)
ABOUT = (
    "Multinomial logistic regression on all-MiniLM-L6-v2 embeddings, made by benchmarks/train_implied.py; "
    "licence and origin of the training texts: ATTRIBUTION.md"
)

WESTERN = re.compile(
    r"\b(Western|Europe(ans?)?|Brit(ish|ain|ons?)|UK|Engl(ish|and)|London|Scot(s|tish|land)|Edinburgh|Highlands?|"
    r"Wales|Welsh|Cardiff|Irish|Ireland|Dublin|Belfast|Celt(s|ic)|Americans?|America|United States|USA?|New York|"
    r"Canad(a|ians?)|Toronto|Australians?|Australia|Aussie|Outback|outback|Sydney|New Zealand(ers?)?|Kiwi|"
    r"French|France|Paris|Germans?|Germany|Ital(y|ians?)|Spain|Spanish|Dutch|Netherlands|Nord(ic)?|Norse|Vikings?|"
    r"Greek|Greece|Portug(al|uese)|Sw(iss|itzerland|eden|edish)|Nor(way|wegian)|Danish|Denmark|Austria(n)?)\b"
)
_NATIONALS = """
Argentina: Argentine|Argentinian; Australia: Australian|Aussie; Bangladesh: Bangladeshi|Bengali;
Brazil: Brazilian; Canada: Canadian; Chile: Chilean; China: Chinese; Czech Republic: Czech; Egypt: Egyptian;
France: French; Germany: German; Hong Kong: Hong Konger|Hongkonger; India: Indian; Indonesia: Indonesian;
Iran: Iranian|Persian; Italy: Italian; Japan: Japanese; Lebanon: Lebanese; Malaysia: Malaysian|Malay;
Mexico: Mexican; Morocco: Moroccan; Nepal: Nepali|Nepalese; Netherlands: Dutch; New Zealand: New Zealander|Kiwi;
Nigeria: Nigerian; Pakistan: Pakistani; Peru: Peruvian; Philippines: Philippine|Filipino; Poland: Polish|Pole;
Romania: Romanian; Russia: Russian; Saudi Arabia: Saudi Arabian|Saudi; Singapore: Singaporean;
South Africa: South African; South Korea: South Korean|Korean|Korea; Spain: Spanish|Spaniard; Taiwan: Taiwanese;
Thailand: Thai; Turkey: Turkish|Turk; Ukraine: Ukrainian;
United Kingdom: British|Briton|Britain|UK|English|England; United States: American|America|USA|US;
Vietnam: Vietnamese; Zimbabwe: Zimbabwean
"""
NATIONALS = dict(entry.strip().split(": ") for entry in _NATIONALS.split(";"))


@dataclass(frozen=True)
class Example:
    """A text, what it is called (`label`), what it belongs with (`group`), the slice of the report it counts in, and
    whether it trains."""

    text: str
    label: str
    group: str
    slice: str
    trains: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and measure the head for implied references.")
    parser.add_argument("data", type=Path, help="the folder that holds culture/")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "eval" / "implied_head.json")
    arguments = parser.parse_args()

    examples = [example for example in read(arguments.data / "culture") if example.label in LABELS]
    embeddings = Embedder().encode([example.text for example in examples]).astype(np.float64)
    unseen = np.stack([crossed(examples, embeddings, SEED + k, lambda e: e.group) for k in range(REPEATS)])
    seen = np.stack([crossed(examples, embeddings, SEED + k, lambda e: e.text) for k in range(REPEATS)])
    heat = temperature(unseen, examples)
    unseen, seen = cooled(unseen, heat), cooled(seen, heat)
    threshold = lowest_threshold(unseen, examples)

    print(f"trained on {sum(e.trains for e in examples)} texts; temperature {heat:.2f}; threshold {threshold:.3f}\n")
    print_slices(examples, unseen, seen, threshold)
    print_perspectives(examples, unseen, seen, threshold)
    print_silent(examples, unseen, seen, threshold)
    print_calibration(examples, unseen, threshold)

    model = fitted(examples, embeddings, np.array([e.trains for e in examples]))
    order = [list(model.classes_).index(label) for label in LABELS]
    save_head(arguments.output, ABOUT, LABELS, model.coef_[order] / heat, model.intercept_[order] / heat, threshold)
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


def read(folder: Path) -> Iterator[Example]:
    """Every example of the four files."""
    for row in rows(folder / "culturalbench.jsonl"):
        group, named = f"country {row['country']}", row["question_names_country"] or row["answer_names_country"]
        where = "CulturalBench, " + ("named" if named else "not named")
        yield Example(f"{row['question']} {row['answer']}", row["group"], group, where)
        if blank := struck_out(row["question"], row["country"]):
            yield Example(blank, NONE, group, "questions, country struck out")
    for row in rows(folder / "cultureatlas.jsonl"):
        where = "CultureAtlas, " + ("named" if row["names_country"] else "not named")
        yield Example(row["text"], row["group"], f"page {row['page']}", where)
    for row in rows(folder / "gpt_stories.jsonl"):
        yield from story(row)
    for row in rows(folder / "no_culture.jsonl"):
        tested = row["source"] == "normbank"
        where = "NormBank (never trained)" if tested else "Wikipedia and SQuAD"
        yield Example(row["text"], NONE, f"text {row['text']}", where, trains=not tested)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def story(row: dict[str, Any]) -> Iterator[Example]:
    text, group = row["text"], f"prompt {row['prompt']}"
    if row["requested"] is None:
        british = "British" in row["prompt"]
        where = "stories, 'British' asked" if british else "stories, no culture asked"
        yield Example(text, NONE, group, where, trains=not british)
        for sentence in split(text):
            yield Example(sentence.text, NONE, group, f"{where}, by sentence", trains=not british)
    elif row["group"] == "western" and not WESTERN.search(text):
        yield Example(text, NONE, group, "stories, Western asked, none named")
    elif row["group"] is not None:
        western = row["group"] == "western"
        yield Example(text, row["group"], group, "stories, Western named" if western else "stories, other cultures")


def struck_out(question: str, country: str) -> str | None:
    """The question without its country, or None where another name or a quoted word may still give it away."""
    names = rf"\b(?:the )?(?:{country}|{NATIONALS[country]})(?:s|'s)?\b"
    text = re.sub(
        rf"\b(in|of|from|to|In|Of|From) {names}(?! (?:culture|people|tradition))", r"\1 this country", question
    )
    text = re.sub(names, "local", text)
    revealing = re.search(r"[\"“”‘’'(\n]|(?<!^)\b(?!I\b)[A-Z]", text)
    return None if revealing or text == question else text


def fitted(examples: list[Example], embeddings: NDArray[np.float64], chosen: NDArray[np.bool_]) -> Any:
    """The regression on the chosen examples: each perspective weighs the same, `none` NONE_WEIGHT times that."""
    from sklearn.linear_model import LogisticRegression

    labels = np.array([example.label for example in examples])[chosen]
    counts = Counter(labels)
    weights = np.array([len(labels) / len(counts) / counts[label] for label in labels])
    weights[labels == NONE] *= NONE_WEIGHT
    return LogisticRegression(C=STRENGTH, max_iter=2000).fit(embeddings[chosen], labels, sample_weight=weights)


def crossed(
    examples: list[Example], embeddings: NDArray[np.float64], seed: int, key: Callable[[Example], str]
) -> NDArray[np.float64]:
    """Probabilities of LABELS for each example, by a model that saw nothing of its fold; folds keep `key` together."""
    keys = sorted({key(example) for example in examples})
    places = dict(zip(np.random.default_rng(seed).permutation(keys), np.arange(len(keys)) % FOLDS, strict=True))
    folds = np.array([places[key(example)] for example in examples])
    trains = np.array([example.trains for example in examples])
    result = np.zeros((len(examples), len(LABELS)))
    for fold in range(FOLDS):
        model = fitted(examples, embeddings, trains & (folds != fold))
        order = [LABELS.index(label) for label in model.classes_]
        held_out = np.flatnonzero(folds == fold)
        result[held_out[:, None], order] = model.predict_proba(embeddings[held_out])
    return result


def cooled(probabilities: NDArray[np.float64], heat: float) -> NDArray[np.float64]:
    powers = probabilities ** (1 / heat)
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def temperature(probabilities: NDArray[np.float64], examples: list[Example]) -> float:
    """The softmax temperature with the least log loss on held-out examples (Guo et al., ICML 2017)."""
    trains = np.array([example.trains for example in examples])
    truth = np.array([LABELS.index(example.label) for example in examples])

    def loss(heat: float) -> float:
        own = cooled(probabilities, heat)[:, np.arange(len(truth)), truth][:, trains]
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    return min((float(heat) for heat in np.arange(0.5, 3.01, 0.05)), key=loss)


def called(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """The label that `Implied.classify` would give, as a place in LABELS."""
    last = LABELS.index(NONE)
    best = probabilities[..., :last].max(axis=-1)
    wins = (best >= threshold) & (best > probabilities[..., last])
    return np.where(wins, probabilities[..., :last].argmax(axis=-1), last)


def lowest_threshold(probabilities: NDArray[np.float64], examples: list[Example]) -> float:
    """The least threshold that leaves LEFT_ALONE of the stories without a culture, and of the sentences, at none."""
    last = LABELS.index(NONE)
    best = probabilities[..., :last].max(axis=-1)
    score = np.where(best > probabilities[..., last], best, 0)
    stories = np.array([e.slice in ("stories, no culture asked", "stories, 'British' asked") for e in examples])
    sentences = np.array([e.slice == "Wikipedia and SQuAD" for e in examples])
    least = max(np.quantile(score[:, which], LEFT_ALONE, method="higher") for which in (stories, sentences))
    return float(np.ceil(least * 1000 + 1e-9) / 1000)


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
            calls = called(probabilities[:, which], threshold)
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
            calls = called(probabilities[:, pool], threshold)
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
        "| texts without a written cue | n | called, unseen | called rightly, unseen | called, seen | rightly, seen |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, which in (("with a culture", silent & (truth != last)), ("without one", silent & (truth == last))):
        cells = []
        for probabilities in (unseen, seen):
            calls = called(probabilities[:, which], threshold)
            cells += [(calls != last).mean(), ((calls != last) & (calls == truth[which])).mean()]
        print(f"| {name} | {which.sum()} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    print()


def print_calibration(examples: list[Example], unseen: NDArray[np.float64], threshold: float) -> None:
    """What the probability of a call is worth: the share of right calls among those of about that probability."""
    truth = np.tile(np.array([LABELS.index(example.label) for example in examples]), REPEATS)
    flat = unseen.reshape(-1, len(LABELS))
    calls = called(flat, threshold)
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
