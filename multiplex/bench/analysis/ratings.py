"""What ratings come to: means with intervals over questions, differences to `multiplex`, agreement of the raters.

People and models are never averaged together. A figure that does not exist is None, with a reason beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from multiplex.bench.analysis.conditions import ratio
from multiplex.bench.ratings.blind import FORMS, Form, Key
from multiplex.bench.ratings.blind_folder import read_keys
from multiplex.bench.ratings.files import Accepted, Kind
from multiplex.bench.ratings.folder import read_accepted
from multiplex.bench.ratings.rubric import LEAST, MOST, POINTS
from multiplex.evaluation.statistics import resampling, row_sums
from multiplex.evaluation.statistics.summary import Estimate, estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MULTIPLEX = "multiplex"
MEAN = "mean"
COLUMNS = (MEAN, *POINTS)
"""The figures of an answer: the mean of its six points, and each of them."""
RESAMPLES, SEED = 2000, 7


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Figures(_Frozen):
    """Means over questions; a question's value is the mean over its ratings.

    Attributes:
        form: whose; of a difference, what is subtracted from multiplex.
        questions, ratings: what the figures stand on; a rating is one rater's of one answer (or pair of answers).
        points: by COLUMNS: 1..7, or of a difference -6..6, with 95% intervals over questions.
        no_interval: why there are none; None where there are.
    """

    model: str
    form: Form
    questions: int
    ratings: int
    points: dict[str, Estimate]
    no_interval: str | None


class PointAgreement(_Frozen):
    """Krippendorff's alpha (ordinal) of the raters on one point, at most 1; 0 is what chance would give.

    Attributes:
        answers: that at least two have rated.
        alpha: None where it does not exist, and `undefined` says why.
    """

    point: str
    answers: int
    alpha: float | None
    undefined: str | None


class Rater(_Frozen):
    """Who rated what.

    Attributes:
        belongs: the tradition that they say they belong to; None where none, and of a model.
        sets: of the run.
        questions, answers: that they rated; `unread` questions of a model could not be read and are not counted.
        mean: of all the marks that they gave, 1..7.
        own: whether a model rated answers that it wrote itself, among others.
    """

    rater: str
    kind: Kind
    place: str
    belongs: str | None
    sets: tuple[str, ...]
    questions: int
    answers: int
    unread: dict[str, str]
    mean: float
    own: bool


class FalseClaim(_Frozen):
    """What a rater called false in an answer, in the rater's words."""

    model: str
    form: Form
    question_id: str
    question: str
    rater: str
    text: str


class RatingGroup(_Frozen):
    """All figures of the raters of one kind.

    Attributes:
        differences: multiplex minus each other form, by the same rater on the same question.
        no_differences: why there are none; None where there are.
    """

    kind: Kind
    raters: tuple[Rater, ...]
    figures: tuple[Figures, ...]
    differences: tuple[Figures, ...]
    no_differences: str | None
    agreement: tuple[PointAgreement, ...]
    false_claims: tuple[FalseClaim, ...]


class Ratings(_Frozen):
    """What the ratings of a run come to: people first, then models."""

    sets: tuple[str, ...]
    resamples: int
    seed: int
    groups: tuple[RatingGroup, ...]


@dataclass(frozen=True)
class _Row:
    """One rater's marks of one answer, and whose it is; `called` is the rater's name as they wrote it."""

    rater: str
    called: str
    set: str
    number: int
    letter: str
    question_id: str
    question: str
    domain: str
    model: str
    form: Form
    values: tuple[int, ...]
    false_claims: str


def measure_ratings(
    accepted: Sequence[Accepted], keys: Mapping[str, Key], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Ratings:
    """The figures of ratings that fit their keys; every set of `accepted` must be among `keys`."""
    kinds: tuple[Kind, ...] = ("person", "model")
    return Ratings(
        sets=tuple(dict.fromkeys(each.rating.set for each in accepted)),
        resamples=resamples,
        seed=seed,
        groups=tuple(
            _group(kind, of, keys, resamples, seed)
            for kind in kinds
            if (of := [each for each in accepted if each.kind == kind])
        ),
    )


def _group(kind: Kind, accepted: Sequence[Accepted], keys: Mapping[str, Key], resamples: int, seed: int) -> RatingGroup:
    rows = [row for each in accepted for row in _rows(each, keys[each.rating.set])]
    conditions = [
        (model, form)
        for model in dict.fromkeys(row.model for row in rows)
        for form in FORMS
        if any((row.model, row.form) == (model, form) for row in rows)
    ]
    figures, differences = [], []
    for model, form in conditions:
        of = [(row, _columns(row.values)) for row in rows if (row.model, row.form) == (model, form)]
        figures.append(_figures(model, form, of, (LEAST, MOST), resamples, seed))
        if form != MULTIPLEX and (pairs := _pairs(rows, model, form)):
            most = MOST - LEAST
            differences.append(_figures(model, form, pairs, (-most, most), resamples, seed))
    return RatingGroup(
        kind=kind,
        raters=tuple(_rater(name, accepted, keys, rows) for name in dict.fromkeys(map(_name, accepted))),
        figures=tuple(figures),
        differences=tuple(differences),
        no_differences=None if differences else "no rater has rated multiplex beside another form",
        agreement=agree(rows),
        false_claims=tuple(_false_claims(rows)),
    )


def _name(accepted: Accepted) -> str:
    """What tells raters of one kind apart."""
    return accepted.identity[2]


def _rows(accepted: Accepted, key: Key) -> Iterable[_Row]:
    asked = {each.number: each for each in key.questions}
    for rated in accepted.rating.ratings:
        of = asked[rated.question]
        yield _Row(
            rater=_name(accepted), called=accepted.rating.rater, set=key.set, number=of.number, letter=rated.letter,
            question_id=of.question_id, question=of.question, domain=of.domain, model=of.model,
            form=of.letters[rated.letter].form, values=rated.values, false_claims=rated.false_claims,
        )  # fmt: skip


def _columns(values: Sequence[int]) -> tuple[float, ...]:
    return (sum(values) / len(values), *map(float, values))


def _pairs(rows: Sequence[_Row], model: str, form: Form) -> list[tuple[_Row, tuple[float, ...]]]:
    """Multiplex minus the form, one a rater and question of a set."""
    place = {(row.rater, row.set, row.number, row.form): row for row in rows if row.model == model}
    pairs = []
    for row in place.values():
        other = place.get((row.rater, row.set, row.number, form))
        if row.form == MULTIPLEX and other is not None:
            both = zip(_columns(row.values), _columns(other.values), strict=True)
            pairs.append((row, tuple(a - b for a, b in both)))
    return pairs


def _figures(
    model: str, form: Form, of: Sequence[tuple[_Row, tuple[float, ...]]], bounds: tuple[int, int], resamples: int,
    seed: int,
) -> Figures:  # fmt: skip
    import numpy as np

    questions: dict[str, list[tuple[float, ...]]] = {}
    domains: dict[str, str] = {}
    for row, values in of:
        questions.setdefault(row.question_id, []).append(values)
        domains[row.question_id] = row.domain
    means = np.array([np.mean(values, axis=0) for values in questions.values()])
    points, why = _estimates(means, list(domains.values()), bounds, resamples, seed)
    return Figures(model=model, form=form, questions=len(questions), ratings=len(of), points=points, no_interval=why)


def _estimates(
    means: Array, domains: Sequence[str], bounds: tuple[int, int], resamples: int, seed: int
) -> tuple[dict[str, Estimate], str | None]:
    """Means of columns over questions, shape (questions, 7), and why they have no interval.

    Questions are drawn anew within each domain, as everywhere; where some domain has a single question, which tells
    nothing of its spread, over all questions together, which gives the wider interval.
    """
    import numpy as np

    if any(domains.count(domain) < 2 for domain in domains):
        domains = [""] * len(domains)
    last = len(COLUMNS)
    rows: Array = np.hstack([means, np.ones((len(means), 1))])
    figures = {name: ratio(place, last, *map(float, bounds)) for place, name in enumerate(COLUMNS)}
    found = resampling.bootstrap(row_sums.by_stratum(rows, domains), figures, resamples=resamples, seed=seed)
    why = None
    if len(means) <= resampling.LEAST_FREEDOM:
        asked = f"{len(means)} question{'' if len(means) == 1 else 's'}"
        why = f"{asked}: an interval over questions needs at least {resampling.LEAST_FREEDOM + 1}"
    return {name: estimate(each) for name, each in found.items()}, why


def agree(rows: Sequence[_Row]) -> tuple[PointAgreement, ...]:
    """Krippendorff's alpha for ordinal marks, point by point, over the answers that at least two have rated.

    Computed by the `krippendorff` package. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
    """
    import numpy as np

    raters = list(dict.fromkeys(row.rater for row in rows))
    answers = list(dict.fromkeys((row.set, row.number, row.letter) for row in rows))
    marks = np.full((len(POINTS), len(raters), len(answers)), np.nan)
    at = {rater: place for place, rater in enumerate(raters)}
    of = {answer: place for place, answer in enumerate(answers)}
    for row in rows:
        marks[:, at[row.rater], of[row.set, row.number, row.letter]] = row.values
    shared = marks[:, :, (~np.isnan(marks[0])).sum(axis=0) > 1]
    return tuple(_alpha(name, len(raters), shared[place]) for place, name in enumerate(POINTS))


def _alpha(point: str, raters: int, marks: Array) -> PointAgreement:
    """Of marks of shape (raters, answers), NaN where a rater has not rated."""
    import numpy as np
    from krippendorff import alpha

    answers = marks.shape[1]
    why = None
    if raters < 2:
        why = "one rater: agreement needs two"
    elif not answers:
        why = "no answer was rated by two"
    elif len(np.unique(marks[~np.isnan(marks)])) < 2:
        why = "every mark is the same"
    value = None
    if why is None:
        every = list(range(LEAST, MOST + 1))
        value = float(alpha(reliability_data=marks, level_of_measurement="ordinal", value_domain=every))
    return PointAgreement(point=point, answers=answers, alpha=value, undefined=why)


def _rater(name: str, accepted: Sequence[Accepted], keys: Mapping[str, Key], rows: Sequence[_Row]) -> Rater:
    own = [each for each in accepted if _name(each) == name]
    marks = [row for row in rows if row.rater == name]
    first = own[0]
    said = dict.fromkeys(each.rating.belongs for each in own if each.rating.belongs is not None)
    return Rater(
        rater=first.rating.rater,
        kind=first.kind,
        place=first.place,
        belongs="; ".join(said) or None,
        sets=tuple(each.rating.set for each in own),
        questions=len({(row.set, row.number) for row in marks}),
        answers=len(marks),
        unread={f"{each.rating.set} {number}": why for each in own for number, why in sorted(each.unread.items())},
        mean=sum(sum(row.values) for row in marks) / (len(marks) * len(POINTS)),
        own=first.kind == "model"
        and any(first.rating.rater == of.model for each in own for of in keys[each.rating.set].questions),
    )


def _false_claims(rows: Sequence[_Row]) -> Iterable[FalseClaim]:
    """By form, then in the order of the run."""
    noted = [row for row in rows if row.false_claims]
    for row in sorted(noted, key=lambda row: FORMS.index(row.form)):
        yield FalseClaim(
            model=row.model, form=row.form, question_id=row.question_id, question=row.question, rater=row.called,
            text=row.false_claims,
        )  # fmt: skip


def read_ratings(run: Path) -> Ratings | None:
    """What the kept ratings of a run come to; None where there are none.

    Raises:
        ContentError: a kept file or a key is damaged.
    """
    keys = read_keys(run)
    accepted = read_accepted(run, keys) if keys else []
    return measure_ratings(accepted, keys) if accepted else None
