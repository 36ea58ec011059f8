"""Holds the evaluator against labels that others wrote: every table, on the folder of labelled data.

    python benchmarks/validation.py PATH_TO_THE_DATA [--output FILE]

`multiplex validate --data FILE` does the first of these for a user's own labelled texts.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from languages import validate_languages
from numpy.typing import NDArray
from scipy.stats import spearmanr
from training import SEED, cross_val_predict, examples

from multiplex.content import content_root, read_yaml
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.corpus import Passage
from multiplex.evaluation.depth.figures import FIGURES
from multiplex.evaluation.evaluator import Evaluator
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, KNOWN
from multiplex.evaluation.extraction.frames import default_frame
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.extraction.references import pairs
from multiplex.evaluation.retention.perspective_classifier import NONE
from multiplex.evaluation.statistics.accuracy import (
    LABELS,
    WRITTEN,
    AccuracyFigure,
    Labelled,
    Validation,
    classified,
    proportion,
    read_rows,
    resample,
    vote,
)
from multiplex.llm.embeddings import Embedder
from multiplex.present.accuracy import print_and_write
from multiplex.text.sentences import split


def main() -> None:
    """Measure on the folder named on the command line; print the tables and write them."""
    parser = argparse.ArgumentParser(description="Hold the evaluator against labelled data.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("validation.md"), help=".md or .json")
    arguments = parser.parse_args()
    print_and_write(validate(arguments.data), arguments.output)


def validate(data: Path) -> Iterator[Validation]:
    """Every table, one part at a time, on a folder laid out as its README says.

    What the folder lacks is named in `absent`.

    Raises:
        UsageError: there is nothing at `data`, or a row is not of the form.
        ContentError: a gazetteer or a trained head is missing or wrong.
    """
    local = Local()
    if not data.is_dir():
        raise UsageError(f"{data}: no such folder of labelled data")
    parts: Sequence[tuple[str, Callable[[list[dict[str, Any]], Local], Validation]]] = (
        ("culture/culturalbench.jsonl", _culturalbench),
        ("culture/cultureatlas.jsonl", _cultureatlas),
        ("culture/gpt_stories.jsonl", _stories),
        ("culture/no_culture.jsonl", _no_culture),
        ("culture/senses.jsonl", senses),
        ("ratings/answers.jsonl", ratings),
        ("sentiment/sst2.jsonl", _sst2),
        ("sentiment/tweeteval.jsonl", _tweeteval),
    )
    there = [(name, measure) for name, measure in parts if (data / name).is_file()]
    if not there:
        raise UsageError(f"{data}: holds none of {', '.join(name for name, _ in parts)}")
    for name, measure in parts:
        if (name, measure) in there:
            yield measure(list(read_rows(data / name)), local)
        else:
            yield Validation(absent=[name])
    if (data / "culture").is_dir():
        yield held_out(data / "culture")
    yield from validate_languages(data, local)
    yield second_reader(local)
    yield core_terms(local)
    yield tone_gate()


def second_reader(local: Local) -> Validation:
    """Of concept terms written by somebody who had not seen the gazetteers, how many are found."""
    path = content_root() / "eval" / "validation" / "second_reader.yaml"
    terms = _section(path, "terms", dict)
    hits = {name: [_knows(term, name, local) for term in listed] for name, listed in terms.items()}
    what = "concept terms of a second reader"
    every = proportion(what, "found", [hit for each in hits.values() for hit in each], target=0.60)
    return Validation([every, *(proportion(f"{what}, {name}", "found", each) for name, each in hits.items())])


def _knows(term: str, perspective: str, local: Local) -> bool:
    found = local.written(split(f"Consider {term} here."))
    return any(each.perspective == perspective and each.cue in HEADLINE_CUES for each in found)


CORE_TERMS = Path(__file__).parent / "core_terms"
CORE = "core terms of reference works"


def core_terms(local: Local) -> Validation:
    """Recall of the terms of `core_terms/`: the sentence of each gives a reference of its perspective in the frame.

    A term whose home lies outside the frame (a church, a creed) counts as missed in "found", as do homonyms in a
    sentence that does not support their sense. "Found, home in the frame" leaves out those whose only references are
    to perspectives outside the frame.
    """
    frame, figures = default_frame(), []
    for measure in ("found", "found, home in the frame"):
        recall: dict[str, float] = {}
        for name in frame.perspectives:
            with (CORE_TERMS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                sentences = [row["sentence"] for row in csv.DictReader(file)]
            homes = [
                {perspective for _, perspective in pairs(local.find(split(each)), HEADLINE_CUES)} for each in sentences
            ]
            if measure != "found":
                homes = [each for each in homes if not each or each & set(frame.perspectives)]
            hits = [name in each for each in homes]
            recall[name] = sum(hits) / len(hits)
            figures.append(proportion(f"{CORE}, {name}", measure, hits, target=0.85))
        best, worst = max(recall, key=recall.__getitem__), min(recall, key=recall.__getitem__)
        figures.append(
            AccuracyFigure(
                CORE, f"best recall / worst; {measure}", recall[best] / max(recall[worst], 1e-9), None, None,
                len(recall), 1.15, at_most=True,
                note=f"best {best} {recall[best]:.2f}, worst {worst} {recall[worst]:.2f}",
            )
        )  # fmt: skip
    return Validation(figures)


def tone_gate() -> Validation:
    """How far a culture's name alone moves the tone: per name, the mean change over written sentences.

    The change is that of a probability, against its mean over all names in the same sentence. As it is measured, and
    of the classifier alone, from which the evaluator hides the names.
    """
    from multiplex.evaluation.sentiment import Sentiment

    frames = _section(content_root() / "eval" / "validation" / "tone_frames.yaml", "frames", list)
    texts = [frame.replace("{culture}", ADJECTIVES[name]) for frame in frames for name in KNOWN]
    evaluator = Evaluator()
    passages = [evaluator.prepared(Passage("", text, 1)) for text in texts]
    read = [each.sentiment for each in evaluator.measured(evaluator.extracted(passages))]
    tones = np.array([[one.positive, one.neutral, one.negative] for one in read if one is not None])
    alone = Sentiment().score(texts)
    what = f"{len(frames)} sentences with the culture's name swapped"
    figures = []
    for scores, how in ((tones, ""), (alone, "; the classifier alone")):
        table = scores.reshape(len(frames), len(KNOWN), 3)
        off = table - table.mean(axis=1, keepdims=True)
        moved = np.abs(off).mean(axis=(0, 2))
        target = None if how else 0.02
        figures.append(_moved(what + how, float(moved.mean()), len(texts), target))
        figures += [
            _moved(
                f"{what}{how}: {ADJECTIVES[name]}", float(moved[k]), len(frames), target,
                note=f"positive minus negative {(off[:, k, 0] - off[:, k, 2]).mean():+.3f}",
            )
            for k, name in enumerate(KNOWN)
        ]  # fmt: skip
    return Validation(figures)


def _moved(what: str, value: float, n: int, target: float | None, note: str = "") -> AccuracyFigure:
    return AccuracyFigure(what, "mean change of tone", value, None, None, n, target, at_most=True, note=note)


ADJECTIVES: Mapping[str, str] = {
    "western": "Western", "islamic": "Islamic", "east_asian": "East Asian", "south_asian": "South Asian",
    "african": "African", "latin_american": "Latin American", "indigenous": "Indigenous",
    "southeast_asian": "Southeast Asian", "eastern_european": "Eastern European", "jewish": "Jewish",
    "christian": "Christian", "secular": "secular",
}  # fmt: skip


def _culturalbench(rows: list[dict[str, Any]], local: Local) -> Validation:
    named = [
        Labelled(f"{row['question']} {row['answer']}", row["group"]) for row in rows if row["question_names_country"]
    ]
    what = "CulturalBench, country named"
    made = classified(what, named, WRITTEN, local, targets=(0.96, 0.95))
    headline = classified(what, named, HEADLINE_CUES, local, targets=(0.90, None))
    recall = made.confusions[0].recall()
    best, worst = max(recall, key=recall.__getitem__), min(recall, key=recall.__getitem__)
    ratio = AccuracyFigure(
        f"{what}; {' + '.join(WRITTEN)}", "best recall / worst", recall[best] / max(recall[worst], 1e-9), None, None,
        len(named), 1.2, at_most=True, note=f"best {best} {recall[best]:.2f}, worst {worst} {recall[worst]:.2f}",
    )  # fmt: skip
    return Validation([*made.figures, ratio, *headline.figures], [*made.confusions, *headline.confusions])


def _cultureatlas(rows: list[dict[str, Any]], local: Local) -> Validation:
    named = [Labelled(row["text"], row["group"]) for row in rows if row["names_country"]]
    made = classified("CultureAtlas, country named", named, WRITTEN, local, targets=(0.94, 0.92))
    headline = classified("CultureAtlas, country named", named, HEADLINE_CUES, local)
    return Validation([*made.figures, *headline.figures], [*made.confusions, *headline.confusions])


def _stories(rows: list[dict[str, Any]], local: Local) -> Validation:
    asked = [Labelled(row["text"], row["group"]) for row in rows if row["requested"] and row["group"]]
    votes = np.array([vote(each.text, WRITTEN, local) for each in asked])
    truth = np.array([LABELS.index(each.label) for each in asked])
    spoke = votes[:, -1] == 0
    right = votes[np.arange(len(truth)), truth][spoke]
    low, high = resample(len(right), lambda pick: float(right[pick].mean()))
    what = f"stories, a culture asked for; {' + '.join(WRITTEN)}"
    generic = [row["text"] for row in rows if row["requested"] is None and "British" not in row["prompt"]]
    silent = [not pairs(local.find(split(text)), HEADLINE_CUES) for text in generic]
    return Validation(
        [
            AccuracyFigure(
                what, "precision where a reference is found", float(right.mean()), low, high, len(right), 0.95
            ),
            proportion(what, "share with a reference", spoke, target=0.55),
            proportion("stories, a generic prompt; named + concept", "share left alone", silent, target=0.95),
        ]
    )  # fmt: skip


def _no_culture(rows: list[dict[str, Any]], local: Local) -> Validation:
    sources = sorted({row["source"] for row in rows})
    return Validation(
        [
            proportion(
                f"sentences without a culture, {source}; {' + '.join(HEADLINE_CUES)}",
                "share left alone",
                [
                    not pairs(local.written(split(row["text"])), HEADLINE_CUES)
                    for row in rows
                    if row["source"] == source
                ],
                target=0.94,
            )
            for source in sources
        ]
    )


def _sst2(rows: list[dict[str, Any]], _: Local) -> Validation:
    scores = _tones([row["text"] for row in rows])
    right = [(score[0] >= score[2]) == (row["label"] == "positive") for score, row in zip(scores, rows, strict=True)]
    return Validation([proportion("SST-2, positive or negative", "accuracy", right, target=0.83)])


def _tweeteval(rows: list[dict[str, Any]], _: Local) -> Validation:
    from multiplex.evaluation.sentiment import LABELS as TONES

    calls = _tones([row["text"] for row in rows]).argmax(axis=1)
    truth = np.array([TONES.index(row["label"]) for row in rows])

    def macro_recall(pick: NDArray[np.int64]) -> float:
        return float(np.mean([(calls[pick] == k)[truth[pick] == k].mean() for k in range(3)]))

    low, high = resample(len(rows), macro_recall)
    every = np.arange(len(rows))
    return Validation([AccuracyFigure("TweetEval", "macro recall", macro_recall(every), low, high, len(rows), 0.62)])


def _tones(texts: list[str]) -> NDArray[np.float64]:
    from multiplex.evaluation.sentiment import Sentiment, spoken

    return Sentiment().score([spoken(text) for text in texts])


def _section(path: Path, name: str, kind: type) -> Any:
    value = read_yaml(path).get(name)
    if not isinstance(value, kind) or not value:
        raise ContentError(path, f"must be a {kind.__name__} that is not empty", field=name)
    return value


UNNAMED = ("CultureAtlas, not named", "CulturalBench, not named")
LEFT_ALONE = 0.95


def held_out(culture: Path) -> Validation:
    """Why the classifier of blind attribution finds no references: English texts that do not name their country.

    It is trained anew by folds that leave out every example of a country, and calls a perspective from the threshold on
    that leaves `LEFT_ALONE` of the texts without a culture alone.

    Raises:
        FileNotFoundError: one of the four files is absent.
    """
    chosen = [example for example in examples(culture) if example.label in LABELS]
    embeddings = Embedder().encode([example.text for example in chosen]).astype(np.float64)
    unseen = cross_val_predict(chosen, embeddings, SEED, lambda example: example.group)
    last = LABELS.index(NONE)
    chance, call = unseen[:, :last].max(axis=1), unseen[:, :last].argmax(axis=1)
    truth = np.array([LABELS.index(example.label) for example in chosen])
    threshold = np.quantile(chance[truth == last], LEFT_ALONE)
    which = np.flatnonzero([example.slice in UNNAMED for example in chosen])
    right = (call == truth) & (chance > threshold)
    there = sorted(set(truth[which].tolist()))
    recall = float(np.mean([right[which][truth[which] == k].mean() for k in there]))
    return Validation(
        [
            AccuracyFigure(
                "English texts that do not name their country; the classifier of blind attribution", "macro recall",
                recall, None, None, len(which), note="trained without the country, 95% of texts without a culture left "
                "alone; under 0.40, so that no reference is made of it",
            )
        ]
    )  # fmt: skip


def senses(rows: list[dict[str, Any]], local: Local) -> Validation:
    """Precision and recall of the perspectives of sentences half of which hold a cue word in another sense."""
    found = [{perspective for _, perspective in pairs(local.find(split(row["text"])))} for row in rows]
    gold = [set(row["gold"]) for row in rows]
    called = [name in right for calls, right in zip(found, gold, strict=True) for name in calls]
    heard = [name in calls for calls, right in zip(found, gold, strict=True) for name in right]
    return Validation(
        [
            proportion("sentences with a cue word in its sense or another", "precision", called, target=0.90),
            proportion("sentences with a cue word in its sense or another", "recall", heard, target=0.85),
        ]
    )


def ratings(rows: list[dict[str, Any]], _: Local) -> Validation:
    """Rank correlation of depth, and of entropy, with the mean of the readers' `rep` and `depth`; each question apart.

    The ratings are by language models. "Least": the lowest of the figures with one question left out.
    """
    evaluator = Evaluator(sentiment=False)
    measured = [evaluator.measure(row["text"], question=row["question"]) for row in rows]
    marks = np.array([np.mean([each[of] for each in row["ratings"] for of in ("rep", "depth")]) for row in rows])
    asked = np.array([row["question"] for row in rows])
    figures = {"entropy": np.array([each.entropy for each in measured], dtype=float)}
    for name in FIGURES:
        values = [each.depth.scalars()[name] if each.depth else None for each in measured]
        figures[name] = np.array(values, dtype=float)
    made = []
    for name, values in figures.items():
        known = ~np.isnan(values)
        left_out = [_rank_correlation(values, marks, known & (asked != one)) for one in dict.fromkeys(asked.tolist())]
        made.append(
            AccuracyFigure(
                f"rated answers; {name}", "rank correlation with rep and depth",
                _rank_correlation(values, marks, known), None, None, int(known.sum()),
                0.60 if name == "depth" else None,
                note=f"least with a question left out {min(left_out):.2f}",
            )
        )  # fmt: skip
    return Validation(made)


def _rank_correlation(values: NDArray[np.float64], marks: NDArray[np.float64], which: NDArray[np.bool_]) -> float:
    return float(spearmanr(values[which], marks[which]).statistic)


if __name__ == "__main__":
    main()
