"""How often the extractor is right about labelled texts, with intervals: the figures of `multiplex validate`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import UsageError
from multiplex.evaluation.extraction.frame import HEADLINE_CUES, KNOWN
from multiplex.evaluation.extraction.local import Local
from multiplex.evaluation.extraction.references import count
from multiplex.evaluation.languages.reading import languages_of
from multiplex.evaluation.retention.perspective_classifier import NONE
from multiplex.text.markup import blank_markup
from multiplex.text.sentences import split

LABELS = (*KNOWN[:9], NONE)  # the perspectives that labelled texts hold
WRITTEN = ("place", "named", "concept")
SEED, RESAMPLES = 7, 1000


@dataclass(frozen=True)
class AccuracyFigure:
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
    """What was measured, which parts of the data were not there, and the texts that are in no figure, in words."""

    figures: list[AccuracyFigure] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unread: str = ""


@dataclass(frozen=True)
class Labelled:
    """A text and its perspective, `none` where it has none."""

    text: str
    label: str


def labelled(texts: Sequence[Labelled], local: Local) -> Validation:
    """Accuracy and macro-F1 on labelled texts, with every written cue and with the headline's alone.

    Texts in languages that are not read are in no figure, as `multiplex score` has them.

    Raises:
        UsageError: none is in a language that is read.
    """
    readings = [local.reader.read(split(blank_markup(each.text))) for each in texts]
    left = Counter(reading.language for reading in readings if "names" in dict(reading.why_not))
    read = [each for each, of in zip(texts, readings, strict=True) if "names" not in dict(of.why_not)]
    languages = languages_of({"names": dict(left.most_common())})
    if not read:
        raise UsageError(f"no text is in a language that is read{languages}")
    made = Validation()
    if left:
        made.unread = f"{left.total():,} of {len(texts):,} texts are in languages that are not read{languages}"
    for cues in (WRITTEN, HEADLINE_CUES):
        made_here = classified("labelled texts", read, cues, local)
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
        "accuracy": (float(accuracy.mean()), resample(len(truth), lambda pick: float(accuracy[pick].mean()))),
        "macro-F1": (
            _macro_f1(votes, truth),
            resample(len(truth), lambda pick: _macro_f1(votes[pick], truth[pick])),
        ),
    }
    figures = [
        AccuracyFigure(what, name, value, low, high, len(texts), target)
        for (name, (value, (low, high))), target in zip(scores.items(), targets, strict=True)
    ]
    return Validation(figures, [table])


def vote(text: str, cues: Sequence[str], local: Local) -> NDArray[np.float64]:
    """How a text's one call is split over LABELS, shape (10,), sum 1: among those that tie for the most references.

    Perspectives that the labels do not hold (`jewish`, `christian`, `secular`) do not compete.
    """
    row = np.zeros(len(LABELS))
    sentences = split(blank_markup(text))
    counts = count(local.written(sentences, reading=local.reader.read(sentences)), LABELS[:-1], cues)
    most = max(counts.values())
    winners = [name for name, value in counts.items() if value == most] if most else [NONE]
    for name in winners:
        row[LABELS.index(name)] = 1 / len(winners)
    return row


def proportion(
    what: str, measure: str, hits: Iterable[bool], *, target: float | None = None, note: str = ""
) -> AccuracyFigure:
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
    return AccuracyFigure(
        what, measure, share, float(interval.low), float(interval.high), len(values), target, note=note
    )


def _macro_f1(votes: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The mean over the labels that occur of 2 TP / (2 TP + FP + FN), ties counted as fractions."""
    scores = []
    for label in np.unique(truth):
        hits = votes[truth == label, label].sum()
        scores.append(2 * hits / (votes[:, label].sum() + (truth == label).sum()))
    return float(np.mean(scores))


def resample(n: int, figure: Callable[[NDArray[np.int64]], float]) -> tuple[float, float] | tuple[None, None]:
    """The 95% percentile interval of a figure over resampled texts, seeded; none where all texts agree."""
    rng = np.random.default_rng(SEED)
    values = [figure(rng.integers(n, size=n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(values, (0.025, 0.975))
    return (float(low), float(high)) if low < high else (None, None)  # what no text shows, no resample can


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file; blank lines are passed over.

    Raises:
        UsageError: a line is not UTF-8, not JSON or no object.
    """
    return (row for _, row in _numbered(path))


def _numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as lines:
        for line, raw in enumerate(lines, start=1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
                row = json.loads(text) if text.strip() else None
            except UnicodeDecodeError as error:
                raise UsageError(f"{path}:{line}: not UTF-8; save it as UTF-8") from error
            except ValueError as error:
                raise UsageError(f"{path}:{line}: not JSON ({getattr(error, 'msg', error)})") from error
            except RecursionError as error:
                raise UsageError(f"{path}:{line}: not JSON (nested too deeply)") from error
            if isinstance(row, dict):
                yield line, row
            elif text.strip():
                raise UsageError(f"{path}:{line}: not a JSON object; one object a line is wanted")


def read_labelled(path: Path) -> Iterator[Labelled]:
    """The texts of a JSON Lines file with `text` and `perspective` (null: none).

    Raises:
        UsageError: a row is not of the form, or there is none.
    """
    line = 0
    for line, row in _numbered(path):
        text, label = row.get("text"), row.get("perspective") or NONE
        if not isinstance(text, str) or "perspective" not in row or label not in LABELS:
            raise UsageError(f"{path}:{line}: needs `text` and `perspective`, one of {', '.join(LABELS[:-1])} or null")
        yield Labelled(text, label)
    if not line:
        raise UsageError(f"{path}: holds no row; each line is an object with `text` and `perspective`")
