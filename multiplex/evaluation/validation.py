"""Holds the evaluator against labels that others wrote: the tables of `multiplex validate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.content import content_root, read_yaml
from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.corpus import Passage
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, KNOWN
from multiplex.evaluation.extraction.implied import NONE
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.extraction.references import count, pairs
from multiplex.evaluation.training import LABELS
from multiplex.text.sentences import split

WRITTEN = ("place", "named", "concept")
SEED, RESAMPLES = 7, 1000


@dataclass(frozen=True)
class Figure:
    """One figure of the table.

    Attributes:
        what: the texts and the cues that it is measured with.
        measure: what is measured, such as "accuracy".
        value: the figure, usually in 0..1.
        low, high: its 95% interval; None where there is none.
        n: the texts that it stands on.
        target: what was set out to be reached; None where the figure is only reported.
        note: what a reader must know beside it.
    """

    what: str
    measure: str
    value: float
    low: float | None
    high: float | None
    n: int
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(frozen=True)
class Confusion:
    """Labels against what was found: `cells[i, j]` texts labelled i were found to be j; ties are split among them."""

    what: str
    truth: tuple[str, ...]
    found: tuple[str, ...]
    cells: NDArray[np.float64]

    def recall(self) -> dict[str, float]:
        """Of the texts labelled k, the share that was found to be k."""
        return {
            name: float(self.cells[row, self.found.index(name)] / self.cells[row].sum())
            for row, name in enumerate(self.truth)
        }


@dataclass
class Validation:
    """What was measured, and which parts of the data were not there."""

    figures: list[Figure] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Labelled:
    """A text and its perspective, `none` where it has none."""

    text: str
    label: str


def validate(data: Path) -> Iterator[Validation]:
    """Every table, one part at a time, on a folder laid out as its README says, or on one file of labelled texts.

    A single file is JSON Lines with `text` and `perspective` (null: none). What a folder lacks is named in `absent`.

    Raises:
        UsageError: there is nothing at `data`, or a row is not of the form.
        ContentError: a gazetteer or a trained head is missing or wrong.
    """
    local = Local()
    if data.is_file():
        yield labelled(list(_labelled(data)), local)
        return
    if not data.is_dir():
        raise UsageError(f"{data}: no such file or folder; give labelled data with --data")
    parts: Sequence[tuple[str, Callable[[list[dict[str, Any]], Local], Validation]]] = (
        ("culture/culturalbench.jsonl", _culturalbench),
        ("culture/cultureatlas.jsonl", _cultureatlas),
        ("culture/gpt_stories.jsonl", _stories),
        ("culture/no_culture.jsonl", _no_culture),
        ("sentiment/sst2.jsonl", _sst2),
        ("sentiment/tweeteval.jsonl", _tweeteval),
    )
    there = [(name, measure) for name, measure in parts if (data / name).is_file()]
    if not there:
        raise UsageError(f"{data}: holds none of {', '.join(name for name, _ in parts)}")
    for name, measure in parts:
        if (name, measure) in there:
            yield measure(list(_rows(data / name)), local)
        else:
            yield Validation(absent=[name])
    if (data / "culture").is_dir():
        from multiplex.evaluation.unseen import left_out

        yield left_out(data / "culture")
    yield second_reader(local)
    yield tone_gate()


def labelled(texts: Sequence[Labelled], local: Local) -> Validation:
    """Accuracy and macro-F1 on labelled texts, with every written cue and with the headline's alone."""
    made = Validation()
    for cues in (WRITTEN, HEADLINE_CUES):
        made_here = classified("labelled texts", texts, cues, local)
        made.figures += made_here.figures
        made.confusions += made_here.confusions
    return made


def classified(
    what: str, texts: Sequence[Labelled], cues: Sequence[str], local: Local,
    *, targets: tuple[float | None, float | None] = (None, None),
) -> Validation:  # fmt: skip
    """Accuracy and macro-F1 of the perspective with most references; a tie counts as a fraction, silence as wrong."""
    votes = np.array([vote(each.text, cues, local) for each in texts])
    truth = np.array([LABELS.index(each.label) for each in texts])
    what = f"{what}; {' + '.join(cues)}"
    present = tuple(label for k, label in enumerate(LABELS) if (truth == k).any())
    cells = np.array([votes[truth == LABELS.index(label)].sum(axis=0) for label in present])
    table = Confusion(what, present, LABELS, cells)
    accuracy = votes[np.arange(len(truth)), truth]
    scores = {
        "accuracy": (float(accuracy.mean()), _resampled(len(truth), lambda pick: float(accuracy[pick].mean()))),
        "macro-F1": (
            _macro_f1(votes, truth),
            _resampled(len(truth), lambda pick: _macro_f1(votes[pick], truth[pick])),
        ),
    }
    figures = [
        Figure(what, name, value, low, high, len(texts), target)
        for (name, (value, (low, high))), target in zip(scores.items(), targets, strict=True)
    ]
    return Validation(figures, [table])


def vote(text: str, cues: Sequence[str], local: Local) -> NDArray[np.float64]:
    """How a text's one call is split over LABELS, shape (10,), sum 1: among those that tie for the most references.

    Perspectives that the labels do not hold (`jewish`, `christian`, `secular`) do not compete.
    """
    row = np.zeros(len(LABELS))
    counts = count(local.written(split(text)), LABELS[:-1], cues)
    most = max(counts.values())
    winners = [name for name, value in counts.items() if value == most] if most else [NONE]
    for name in winners:
        row[LABELS.index(name)] = 1 / len(winners)
    return row


def proportion(what: str, measure: str, hits: Iterable[bool], *, target: float | None = None, note: str = "") -> Figure:
    """A share of texts with Wilson's interval (JASA 22, 1927).

    Raises:
        UsageError: there is no text.
    """
    from scipy.stats import binomtest

    values = [bool(hit) for hit in hits]
    if not values:
        raise UsageError(f"{what}: no such text in the data")
    interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    share = sum(values) / len(values)
    return Figure(what, measure, share, float(interval.low), float(interval.high), len(values), target, note=note)


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


def tone_gate() -> Validation:
    """How far a culture's name alone moves the tone: per name, the mean change over written sentences.

    The change is that of a probability, against its mean over all names in the same sentence. As it is measured, and
    of the classifier alone, from which the evaluator hides the names.
    """
    from multiplex.evaluation.evaluator import Evaluator
    from multiplex.evaluation.sentiment import Sentiment
    from multiplex.llm.embeddings import Embedder

    frames = _section(content_root() / "eval" / "validation" / "tone_frames.yaml", "frames", list)
    texts = [frame.replace("{culture}", ADJECTIVES[name]) for frame in frames for name in KNOWN]
    evaluator = Evaluator()
    passages = [evaluator.prepared(Passage("", text, 1)) for text in texts]
    read = [each.sentiment for each in evaluator.measured(evaluator.extracted(passages))]
    tones = np.array([[one.positive, one.neutral, one.negative] for one in read if one is not None])
    alone = Sentiment(Embedder()).score(texts)
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


def _moved(what: str, value: float, n: int, target: float | None, note: str = "") -> Figure:
    return Figure(what, "mean change of tone", value, None, None, n, target, at_most=True, note=note)


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
    ratio = Figure(
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
    low, high = _resampled(len(right), lambda pick: float(right[pick].mean()))
    what = f"stories, a culture asked for; {' + '.join(WRITTEN)}"
    generic = [row["text"] for row in rows if row["requested"] is None and "British" not in row["prompt"]]
    silent = [not pairs(local.find(split(text)), ("named", "concept", "implied")) for text in generic]
    return Validation(
        [
            Figure(what, "precision where a reference is found", float(right.mean()), low, high, len(right), 0.95),
            proportion(what, "share with a reference", spoke, target=0.55),
            proportion(
                "stories, a generic prompt; named + concept + implied", "share left alone", silent, target=0.95,
                note="the classifier of implied references was trained on texts of this set",
            ),
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
                target=0.92,
            )
            for source in sources
        ]
    )


def _sst2(rows: list[dict[str, Any]], _: Local) -> Validation:
    scores = _tones([row["text"] for row in rows])
    right = [(score[0] >= score[2]) == (row["label"] == "positive") for score, row in zip(scores, rows, strict=True)]
    return Validation([proportion("SST-2, positive or negative", "accuracy", right, target=0.80)])


def _tweeteval(rows: list[dict[str, Any]], _: Local) -> Validation:
    from multiplex.evaluation.sentiment import LABELS as TONES

    calls = _tones([row["text"] for row in rows]).argmax(axis=1)
    truth = np.array([TONES.index(row["label"]) for row in rows])

    def macro_recall(pick: NDArray[np.int64]) -> float:
        return float(np.mean([(calls[pick] == k)[truth[pick] == k].mean() for k in range(3)]))

    low, high = _resampled(len(rows), macro_recall)
    every = np.arange(len(rows))
    return Validation([Figure("TweetEval", "macro recall", macro_recall(every), low, high, len(rows), 0.60)])


def _tones(texts: list[str]) -> NDArray[np.float64]:
    from multiplex.evaluation.sentiment import Sentiment, spoken
    from multiplex.llm.embeddings import Embedder

    return Sentiment(Embedder()).score([spoken(text) for text in texts])


def _macro_f1(votes: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The mean over the labels that occur of 2 TP / (2 TP + FP + FN), ties counted as fractions."""
    scores = []
    for label in np.unique(truth):
        hits = votes[truth == label, label].sum()
        scores.append(2 * hits / (votes[:, label].sum() + (truth == label).sum()))
    return float(np.mean(scores))


def _resampled(n: int, figure: Callable[[NDArray[np.int64]], float]) -> tuple[float, float]:
    """The 95% percentile interval of a figure over resampled texts, seeded."""
    rng = np.random.default_rng(SEED)
    values = [figure(rng.integers(n, size=n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line, raw in enumerate(lines, start=1):
            try:
                yield json.loads(raw)
            except json.JSONDecodeError as error:
                raise UsageError(f"{path}:{line}: not JSON ({error.msg})") from error


def _labelled(path: Path) -> Iterator[Labelled]:
    for line, row in enumerate(_rows(path), start=1):
        text, label = row.get("text"), row.get("perspective") or NONE
        if not isinstance(text, str) or label not in LABELS:
            raise UsageError(f"{path}:{line}: needs `text` and `perspective`, one of {', '.join(LABELS[:-1])} or null")
        yield Labelled(text, label)


def _section(path: Path, name: str, kind: type) -> Any:
    value = read_yaml(path).get(name)
    if not isinstance(value, kind) or not value:
        raise ContentError(path, f"must be a {kind.__name__} that is not empty", field=name)
    return value
