"""Trains the classifier of blind attribution on labelled texts, and predicts texts by folds that did not see them.

What counts as no culture, so that plain English is not Western:
- encyclopaedic sentences without a culture, and stories for which no culture was asked, whole and by sentence;
- stories asked to be English, American, Australian ... in which no Western people or country is named: the wish left
  no trace in them;
- the questions of CulturalBench with their country struck out, where no other name or quoted word is left: talk
  about customs is not yet talk about somebody's customs.
Stories asked to be "British" are measured as stories with no culture asked, but not trained on.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from multiplex.evaluation.retention.perspective_classifier import NONE
from multiplex.evaluation.statistics.accuracy import LABELS
from multiplex.text.sentences import split

SEED, FOLDS = 7, 5
STRENGTH = 3.0  # the inverse of the L2 penalty
NONE_WEIGHT = 6.0  # of the class `none`, where every perspective weighs 1
LEFT_ALONE = 0.95  # of the texts without a culture, at least

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


def examples(folder: Path) -> Iterator[Example]:
    """Every example of the four files."""
    for row in rows(folder / "culturalbench.jsonl"):
        group, named = f"country {row['country']}", row["question_names_country"] or row["answer_names_country"]
        where = "CulturalBench, " + ("named" if named else "not named")
        yield Example(f"{row['question']} {row['answer']}", row["group"], group, where)
        if blank := struck_out(row["question"], row["country"]):
            yield Example(blank, NONE, group, "questions, country struck out")
    for row in rows(folder / "cultureatlas.jsonl"):
        where = "CultureAtlas, " + ("named" if row["names_country"] else "not named")
        yield Example(row["text"], row["group"], f"country {row['country']}", where)
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


def fit(
    features: NDArray[np.floating], classes: NDArray[np.int64], weights: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multinomial logistic regression: coefficients of shape (k, d) and biases (k,), k = max(classes) + 1.

    Minimises sum_i weights_i * -ln p(classes_i) + |coefficients|^2 / (2 strength); biases are not penalised.
    `features` have shape (n, d), `classes` and `weights` (n,).
    """
    count, width, total = int(classes.max()) + 1, features.shape[1], float(weights.sum())
    weights, strength = weights / total, strength * total  # a mean loss: the tolerance below is per text
    wanted = np.eye(count)[classes] * weights[:, None]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        table = flat.reshape(count, width + 1)
        scores = features @ table[:, :width].T + table[:, width]
        logs = scores - logsumexp(scores, axis=1, keepdims=True)
        pull = np.exp(logs) * weights[:, None] - wanted
        slope = np.hstack([pull.T @ features + table[:, :width] / strength, pull.sum(axis=0)[:, None]])
        return float((table[:, :width] ** 2).sum() / (2 * strength) - (wanted * logs).sum()), slope.ravel()

    start = np.zeros(count * (width + 1))
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-5})
    table = best.x.reshape(count, width + 1)
    return table[:, :width], table[:, width]


def fitted(
    examples: Sequence[Example], embeddings: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`fit` over LABELS on the chosen examples: each perspective weighs the same, `none` NONE_WEIGHT times that."""
    classes = np.array([LABELS.index(example.label) for example in examples])[chosen]
    counts = Counter(classes.tolist())
    weights = np.array([len(classes) / len(counts) / counts[label] for label in classes.tolist()])
    weights[classes == LABELS.index(NONE)] *= NONE_WEIGHT
    return fit(embeddings[chosen], classes, weights, STRENGTH)


def cross_val_predict(
    examples: Sequence[Example], embeddings: NDArray[np.float64], seed: int, key: Callable[[Example], str]
) -> NDArray[np.float64]:
    """Probabilities of LABELS for each example, by a model that saw nothing of its fold; folds keep `key` together."""
    keys = sorted({key(example) for example in examples})
    places = dict(zip(np.random.default_rng(seed).permutation(keys), np.arange(len(keys)) % FOLDS, strict=True))
    folds = np.array([places[key(example)] for example in examples])
    trains = np.array([example.trains for example in examples])
    result = np.zeros((len(examples), len(LABELS)))
    for fold in range(FOLDS):
        held_out = np.flatnonzero(folds == fold)
        table, bias = fitted(examples, embeddings, trains & (folds != fold))
        result[held_out] = softmax(embeddings[held_out] @ table.T + bias, axis=1)
    return result


def temperature_scale(probabilities: NDArray[np.float64], heat: float) -> NDArray[np.float64]:
    """Probabilities at another softmax temperature; the order within a row stays."""
    powers = probabilities ** (1 / heat)
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def temperature(probabilities: NDArray[np.float64], examples: Sequence[Example]) -> float:
    """The softmax temperature with the least log loss on held-out examples (Guo et al., ICML 2017)."""
    trains = np.array([example.trains for example in examples])
    truth = np.array([LABELS.index(example.label) for example in examples])

    def loss(heat: float) -> float:
        own = temperature_scale(probabilities, heat)[:, np.arange(len(truth)), truth][:, trains]
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    return min((float(heat) for heat in np.arange(0.5, 3.01, 0.05)), key=loss)


def predict(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    """The likeliest perspective as a place in LABELS; `none` unless it is likelier and reaches the threshold."""
    last = LABELS.index(NONE)
    best = probabilities[..., :last].max(axis=-1)
    wins = (best >= threshold) & (best > probabilities[..., last])
    return np.where(wins, probabilities[..., :last].argmax(axis=-1), last)


def lowest_threshold(probabilities: NDArray[np.float64], examples: Sequence[Example]) -> float:
    """The least threshold that leaves LEFT_ALONE of the stories without a culture, and of the sentences, at none."""
    last = LABELS.index(NONE)
    best = probabilities[..., :last].max(axis=-1)
    score = np.where(best > probabilities[..., last], best, 0)
    stories = np.array([e.slice in ("stories, no culture asked", "stories, 'British' asked") for e in examples])
    sentences = np.array([e.slice == "Wikipedia and SQuAD" for e in examples])
    least = max(np.quantile(score[:, which], LEFT_ALONE, method="higher") for which in (stories, sentences))
    return float(np.ceil(least * 1000 + 1e-9) / 1000)
