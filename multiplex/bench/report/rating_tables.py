"""Readers' ratings as tables of text, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from multiplex.bench.analysis.ratings import COLUMNS, MEAN, Figures, RatingGroup, Ratings
from multiplex.bench.report.tables import Table, estimate
from multiplex.evaluation.statistics.summary import Estimate
from multiplex.present.numbers import NONE, number

KINDS = {"person": "people", "model": "language models, not people"}
LIMITS = (
    "A few raters are a few raters: the intervals are over questions and say nothing of other raters. Ratings by "
    "language models are a hint and no validation. Points run from 1 to 7."
)
_NAMES = {
    MEAN: "mean of six",
    "rep": "represented",
    "depth": "depth",
    "diff": "difference",
    "true": "true",
    "read": "readable",
    "use": "useful",
}


def make_tables(ratings: Ratings, entropy: Mapping[tuple[str, str], Estimate] | None = None) -> tuple[Table, ...]:
    """The tables of a run's ratings: by kind of rater the means, the differences and the agreement, then who rated.

    `entropy` is what stands beside the means, by (model, strategy).
    """
    tables = []
    for group in ratings.groups:
        who = KINDS[group.kind]
        tables.append(_means(group, f"Ratings by {who}", entropy or {}))
        if group.differences:
            tables.append(_differences(group, f"Multiplex minus each other form, rated by {who}"))
        tables.append(_agreement(group, f"How far the raters agree ({who})"))
    tables.append(_raters(ratings))
    return tuple(tables)


def false_claims(ratings: Ratings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What raters called false, by form, as a lead and a list."""
    found: dict[str, list[str]] = {}
    for group in ratings.groups:
        for claim in group.false_claims:
            where = f"{claim.form}, {claim.model}"
            found.setdefault(where, []).append(f"{claim.question} {claim.rater} ({group.kind}): {claim.text}")
    return tuple((f"Called false by raters in answers of {where}:", tuple(lines)) for where, lines in found.items())


def _means(group: RatingGroup, title: str, entropy: Mapping[tuple[str, str], Estimate]) -> Table:
    head = ("form", "n questions", "n ratings", *(["entropy"] if entropy else []), *(_NAMES[name] for name in COLUMNS))

    def row(of: Figures) -> tuple[str, ...]:
        beside = [estimate(entropy[of.model, of.form]) if (of.model, of.form) in entropy else NONE] if entropy else []
        return (of.form, str(of.questions), str(of.ratings), *beside, *_points(of))

    note = f"By {len(group.raters)} {'rater' if len(group.raters) == 1 else 'raters'}. {LIMITS}"
    if entropy:
        note += " Entropy: `macro0`, percent, over all questions of the run."
    reasons = dict.fromkeys(of.no_interval for of in group.figures if of.no_interval)
    return Table(title, head, _grouped(group.figures, row), " ".join([note, *(f"No interval: {r}." for r in reasons)]))


def _differences(group: RatingGroup, title: str) -> Table:
    head = ("minus", "n questions", "n pairs", *(_NAMES[name] for name in COLUMNS))

    def row(of: Figures) -> tuple[str, ...]:
        return (of.form, str(of.questions), str(of.ratings), *_points(of))

    return Table(title, head, _grouped(group.differences, row), "By the same rater on the same question.")


def _points(of: Figures) -> list[str]:
    return [estimate(of.points[name], form=".2f") for name in COLUMNS]


def _grouped(
    figures: Sequence[Figures], row: Callable[[Figures], tuple[str, ...]]
) -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
    models = dict.fromkeys(of.model for of in figures)
    return tuple((model, tuple(row(of) for of in figures if of.model == model)) for model in models)


def _agreement(group: RatingGroup, title: str) -> Table:
    rows = tuple(
        (_NAMES[each.point], str(each.answers), each.undefined or number(each.alpha, ".2f")) for each in group.agreement
    )
    note = "Krippendorff's alpha, ordinal: 1 is agreement, 0 what chance would give."
    return Table(title, ("point", "answers rated by two or more", "alpha"), (("", rows),), note)


def _raters(ratings: Ratings) -> Table:
    rows = tuple(
        (
            rater.rater,
            f"model at {rater.place}" if rater.kind == "model" else "person",
            rater.belongs or ("says none" if rater.kind == "person" else NONE),
            str(rater.questions),
            str(rater.answers),
            f"{rater.mean:.2f}",
            "; ".join([*(["rated answers of its own"] if rater.own else []), *rater.unread.values()]) or NONE,
        )
        for group in ratings.groups
        for rater in group.raters
    )
    head = ("rater", "kind", "belongs to", "questions", "answers", "mean mark", "to know")
    return Table("Who rated", head, (("", rows),))
