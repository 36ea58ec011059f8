"""Adds up the measures of many texts: every weighting and reading of shares, entropy and tone, with intervals."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from multiplex.evaluation.depth.figures import FIGURES
from multiplex.evaluation.extraction.frames import DEFAULT
from multiplex.evaluation.extraction.references import pairs
from multiplex.evaluation.measures import Measures
from multiplex.evaluation.renamed import Renamed
from multiplex.evaluation.statistics import diversity, resampling, row_sums

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEIGHTINGS = ("reference", "presence", "words")
TONES = ("positive", "neutral", "negative")
WAITING = 1024  # rows kept in memory before they go to disk
RESAMPLES, SEED = 1000, 7


class Estimate(BaseModel):
    """A figure with its 95% interval; each is None where it does not exist (see `resampling.bootstrap`)."""

    model_config = ConfigDict(frozen=True)
    value: float | None
    low: float | None = None
    high: float | None = None


class Jackknife(BaseModel):
    """Delete-one-text jackknife of a micro average, in percentage points: bias, figure without it, standard error."""

    model_config = ConfigDict(frozen=True)
    bias: float
    corrected: float
    standard_error: float


class Weighting(Renamed):
    """Shares and entropies with references counted in one way.

    `reference`: each counts; `presence`: a perspective at most once a text; `words`: the words of its sentences.

    Attributes:
        shares: PDS by perspective, 0..1: counts are added over texts first.
        macro: mean entropy of the texts with a reference, percent.
        macro0: the same with 0 for the others, the papers' likely convention.
        micro: entropy of those shares, percent; neither of the two bounds it.
        jackknife: of `micro`.
        hill_number: exp(H ln K) of `micro`, 1..K.
    """

    model_config = ConfigDict(frozen=True)
    former_names: ClassVar = {"macro": "mean", "macro0": "mean0", "micro": "pooled", "hill_number": "effective"}
    shares: dict[str, Estimate]
    macro: Estimate
    macro0: Estimate
    micro: Estimate
    jackknife: Jackknife | None
    hill_number: Estimate


class Summary(Renamed):
    """What many texts come to.

    Attributes:
        texts: how many were measured; every interval is over them, as a random sample.
        references: of the frame, with an accepted cue, all texts together.
        with_reference: the share of texts with a reference, 0..1.
        weightings: by reference, by presence, by words.
        expected_perspectives: E[S_5] of all references together; `expected_perspectives_mean` is the mean over the
            texts with at least five.
        never: the perspectives of the frame that no text refers to.
        excluded, berger_parker, per_100_words: means over texts (berger_parker over those with a reference).
        out_of_frame: of all references with an accepted cue, the share outside the frame.
        depth: means of `Depth.scalars` over the texts that have each, by the names of `depth.figures.FIGURES`.
        sentiment: mean probabilities over texts; None where no tone was read.
        stance: by perspective, the mean over the texts that refer to it.
        labels: the share of texts whose likeliest tone is this one; only to stand beside the papers' figures.
        left_out: texts that are in no figure, because their language is not read.
        unread: of names, concepts, labels, depth and tone, in how many texts it was not measured, by language code.
    """

    model_config = ConfigDict(frozen=True)
    former_names: ClassVar = {"berger_parker": "dominance"}
    texts: int
    frame: tuple[str, ...]
    frame_name: str
    cues: tuple[str, ...]
    references: int
    with_reference: Estimate
    weightings: dict[str, Weighting]
    never: tuple[str, ...]
    expected_perspectives: float | None
    expected_perspectives_mean: Estimate
    excluded: Estimate
    berger_parker: Estimate
    out_of_frame: Estimate
    per_100_words: Estimate
    depth: dict[str, Estimate]
    sentiment: dict[str, Estimate] | None
    stance: dict[str, dict[str, Estimate]]
    labels: dict[str, Estimate] | None
    left_out: int = 0
    unread: dict[str, dict[str, int]] = Field(default_factory=dict)


class Tally:
    """Takes in measures one by one and keeps a row of numbers for each on disk, so that memory does not grow.

    A context manager, which gives the disk space back. No file is open before there are rows.
    """

    def __init__(self, frame: tuple[str, ...], cues: tuple[str, ...], frame_name: str = DEFAULT) -> None:
        self.frame, self.cues, self.frame_name = frame, cues, frame_name
        self._names = _columns(frame)
        self._opened: BinaryIO | None = None
        self._waiting: list[list[float]] = []
        self._texts = 0
        self.counts = dict.fromkeys(frame, 0)
        self._left_out = 0
        self._unread: dict[str, Counter[str]] = {}

    def __len__(self) -> int:
        return self._texts

    def __getitem__(self, index: slice) -> NDArray[np.float64]:
        """The rows of some texts in the order they came, shape (n, columns)."""
        import numpy as np

        self._flush()
        start, stop, _ = index.indices(self._texts)
        width = len(self._names)
        self._file.seek(start * width * 8)
        return np.frombuffer(self._file.read((stop - start) * width * 8)).reshape(-1, width)

    def add(self, measures: Measures) -> None:
        """Take in one text."""
        row = _row(measures)
        self._waiting.append([row[name] for name in self._names])
        self._texts += 1
        for name, value in measures.counts.items():
            self.counts[name] += value
        self.note(measures.language, measures.unread)
        if len(self._waiting) == WAITING:
            self._flush()

    @property
    def width(self) -> int:
        """How many numbers a text's row has."""
        return len(self._names)

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Take in texts by their rows, shape (n, width), as another tally of this frame and these cues has them."""
        self._flush()
        self._file.seek(0, 2)
        self._file.write(rows.tobytes())
        self._texts += len(rows)
        for name in self.counts:
            self.counts[name] += round(float(rows[:, self._names.index(f"reference {name}")].sum()))

    def leave_out(self, language: str, why_not: Iterable[str]) -> None:
        """Take in a text that is in no figure: of what its language is not read for."""
        self._left_out += 1
        self.note(language, why_not)

    def add_unread(self, left_out: int, unread: Mapping[str, Mapping[str, int]]) -> None:
        """Take in what another tally of the same measuring has as `left_out` and `unread`."""
        self._left_out += left_out
        for what, counts in unread.items():
            self._unread.setdefault(what, Counter()).update(counts)

    def note(self, language: str, why_not: Iterable[str]) -> None:
        """Count a text for which something was not read, beside its figures."""
        for what in why_not:
            self._unread.setdefault(what, Counter())[language] += 1

    @property
    def left_out(self) -> int:
        """How many texts are in no figure."""
        return self._left_out

    @property
    def unread(self) -> dict[str, dict[str, int]]:
        """Of what is measured, in how many texts it was not, by language, the commonest first."""
        return {what: dict(counts.most_common()) for what, counts in sorted(self._unread.items())}

    def __enter__(self) -> Tally:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _file(self) -> BinaryIO:
        if self._opened is None:
            self._opened = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `__exit__`
        return self._opened

    def summary(self) -> Summary | None:
        """The figures over all texts taken in, with seeded intervals; None where there was none."""
        return _summary(self, _Sums(self._names)) if self._texts else None

    def _flush(self) -> None:
        import numpy as np

        if self._waiting:
            self._file.seek(0, 2)
            self._file.write(np.array(self._waiting, dtype=np.float64).tobytes())
            self._waiting = []


def _columns(frame: tuple[str, ...]) -> list[str]:
    names = [f"{weighting} {name}" for weighting in WEIGHTINGS for name in frame]
    names += [f"entropy {weighting}" for weighting in WEIGHTINGS]
    names += ["text", "referring", "outside", "headline", "excluded", "berger_parker", "rate"]
    names += ["spread", "spreading", "toned"]
    names += [f"{what} {name}" for name in FIGURES for what in ("depth", "has")]
    names += [f"tone {tone}" for tone in TONES] + [f"label {tone}" for tone in TONES]
    for name in frame:
        names += [f"stance {name}", *(f"stance {name} {tone}" for tone in TONES)]
    return names


def _row(measures: Measures) -> dict[str, float]:
    """One text as numbers that can be added: a figure that it does not have is 0 here and not counted either."""
    row = dict.fromkeys(_columns(measures.frame), 0.0)
    counts: dict[str, Mapping[str, float]] = {
        "reference": measures.counts,
        "presence": diversity.by_presence(measures.counts),
        "words": measures.counts_by_words,
    }
    for weighting, of in counts.items():
        row |= {f"{weighting} {name}": float(value) for name, value in of.items()}
        row[f"entropy {weighting}"] = diversity.entropy_percent(of) or 0.0
    headline = len(pairs(measures.references, measures.cues))
    row |= {
        "text": 1.0, "referring": float(measures.n > 0), "headline": headline, "outside": headline - measures.n,
        "excluded": measures.excluded, "berger_parker": measures.berger_parker or 0.0, "rate": measures.per_100_words,
        "spread": measures.expected_perspectives or 0.0,
        "spreading": float(measures.expected_perspectives is not None),
    }  # fmt: skip
    for name, value in measures.depth.scalars().items() if measures.depth else ():
        row |= {f"depth {name}": value or 0.0, f"has {name}": float(value is not None)}
    if measures.sentiment is not None:
        tones = measures.sentiment.model_dump()
        row["toned"] = 1.0
        row |= {f"tone {tone}": tones[tone] for tone in TONES}
        row[f"label {max(TONES, key=tones.__getitem__)}"] = 1.0
    for name, stance in measures.stance.items():
        row[f"stance {name}"] = 1.0
        row |= {f"stance {name} {tone}": value for tone, value in stance.model_dump().items()}
    return row


class _Sums:
    """Figures as functions of column sums, which is what `resampling.bootstrap` resamples."""

    def __init__(self, names: list[str]) -> None:
        self._at = {name: place for place, name in enumerate(names)}

    def ratio(self, top: str, bottom: str, most: float = 1.0) -> row_sums.Figure:
        """sum(top) / sum(bottom), within 0..most; undefined where the bottom is 0."""
        above, below = self._at[top], self._at[bottom]
        return row_sums.Figure(lambda sums: _divided(sums[:, above], sums[:, below]).clip(0.0, most))

    def share(self, weighting: str, name: str, frame: tuple[str, ...]) -> row_sums.Figure:
        """The share of one perspective, of the counts added over texts."""
        places = [self._at[f"{weighting} {each}"] for each in frame]
        own = frame.index(name)

        def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            counts = sums[:, places].clip(0.0)
            return _divided(counts[:, own], counts.sum(axis=1))

        return row_sums.Figure(statistic)

    def micro(self, weighting: str, frame: tuple[str, ...]) -> row_sums.Figure:
        """The entropy of the counts added over texts, in percent."""
        places = [self._at[f"{weighting} {each}"] for each in frame]

        def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            import numpy as np

            values, known = row_sums.entropies(sums[:, places].clip(0.0))
            return np.where(known, values, np.nan)

        return row_sums.Figure(statistic, biased=True)


def _divided(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> NDArray[np.float64]:
    """top / bottom, and NaN, which `stats` reads as undefined, where the bottom is 0."""
    import numpy as np

    quotients: NDArray[np.float64] = np.full(len(top), np.nan)
    np.divide(top, bottom, out=quotients, where=bottom > row_sums.NONE_LEFT)
    return quotients


def _summary(tally: Tally, of: _Sums) -> Summary:
    frame = tally.frame
    figures: dict[str, row_sums.Figure] = {
        "referring": of.ratio("referring", "text"),
        "spread": of.ratio("spread", "spreading", most=5.0),
        "excluded": of.ratio("excluded", "text"),
        "berger_parker": of.ratio("berger_parker", "referring"),
        "outside": of.ratio("outside", "headline"),
        "rate": of.ratio("rate", "text", most=100.0),
    }
    figures |= {f"depth {name}": of.ratio(f"depth {name}", f"has {name}", most=math.inf) for name in FIGURES}
    for weighting in WEIGHTINGS:
        figures |= {f"{weighting} {name}": of.share(weighting, name, frame) for name in frame}
        figures[f"{weighting} macro"] = of.ratio(f"entropy {weighting}", "referring", most=100.0)
        figures[f"{weighting} macro0"] = of.ratio(f"entropy {weighting}", "text", most=100.0)
        figures[f"{weighting} micro"] = of.micro(weighting, frame)
    for tone in TONES:
        figures[f"tone {tone}"] = of.ratio(f"tone {tone}", "toned")
        figures[f"label {tone}"] = of.ratio(f"label {tone}", "toned")
        figures |= {f"stance {name} {tone}": of.ratio(f"stance {name} {tone}", f"stance {name}") for name in frame}
    estimates = resampling.bootstrap([tally], figures, resamples=RESAMPLES, seed=SEED)
    found = {name: estimate(each) for name, each in estimates.items()}
    toned = found["tone positive"].value is not None
    return Summary(
        texts=len(tally),
        frame=frame,
        frame_name=tally.frame_name,
        cues=tally.cues,
        references=sum(tally.counts.values()),
        with_reference=found["referring"],
        weightings={
            weighting: weighting_of(weighting, frame, found, resampling.jackknife([tally], of.micro(weighting, frame)))
            for weighting in WEIGHTINGS
        },
        never=tuple(name for name, value in tally.counts.items() if not value),
        expected_perspectives=diversity.expected_perspectives(tally.counts),
        expected_perspectives_mean=found["spread"],
        excluded=found["excluded"],
        berger_parker=found["berger_parker"],
        out_of_frame=found["outside"],
        per_100_words=found["rate"],
        depth={name: found[f"depth {name}"] for name in FIGURES},
        sentiment={tone: found[f"tone {tone}"] for tone in TONES} if toned else None,
        stance={
            name: {tone: found[f"stance {name} {tone}"] for tone in TONES}
            for name in frame
            if found[f"stance {name} positive"].value is not None
        },
        labels={tone: found[f"label {tone}"] for tone in TONES} if toned else None,
        left_out=tally.left_out,
        unread=tally.unread,
    )


def weighting_of(
    weighting: str, frame: tuple[str, ...], found: Mapping[str, Estimate], knife: resampling.JackknifeEstimate | None
) -> Weighting:
    """One way to count, from the figures `found` under "WEIGHTING NAME"; those that are absent do not exist."""
    nothing = Estimate(value=None)
    micro = found.get(f"{weighting} micro", nothing)

    def hill_number(entropy: float | None) -> float | None:
        return None if entropy is None else math.exp(entropy / 100.0 * math.log(len(frame)))

    return Weighting(
        shares={name: found.get(f"{weighting} {name}", nothing) for name in frame},
        macro=found.get(f"{weighting} macro", nothing),
        macro0=found.get(f"{weighting} macro0", nothing),
        micro=micro,
        jackknife=(
            Jackknife(bias=knife.bias, corrected=knife.corrected, standard_error=knife.standard_error)
            if knife
            else None
        ),
        hill_number=Estimate(value=hill_number(micro.value), low=hill_number(micro.low), high=hill_number(micro.high)),
    )


def estimate(of: resampling.BootstrapEstimate) -> Estimate:
    """The figure with the ends of its interval side by side."""
    around = of.interval
    return Estimate(value=of.value, low=around.low if around else None, high=around.high if around else None)
